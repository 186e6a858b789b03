//! Git as a child that is read from a thread of its own: bounded in time, silent on its standard error, reaped.

use std::fs::File;
use std::io::{self, Read, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::deadline::Deadline;
use super::trouble::Trouble;
use crate::git::Git;
use crate::object::ObjectId;
use crate::push::Push;

/// How long a read waits before it looks whether the push is still there.
const GLANCE: Duration = Duration::from_millis(200);
/// How much of what git complains of is repeated, in characters.
const COMPLAINT: usize = 300;
/// The most bytes of an answer that is read as a whole.
const SHORT: u64 = 64 << 10;

/// The repositories of one push, and how git is asked about them.
pub(crate) struct Repository<'a> {
    pub(crate) git: &'a Git,
    pub(crate) push: &'a Push,
    pub(crate) scratch: &'a Path,
    pub(crate) deadline: Deadline,
}

/// Which objects git sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum View {
    /// The mirror and the quarantine.
    Both,
    /// The quarantine alone.
    Quarantine,
    /// The mirror alone.
    Mirror,
}

/// A running git, from whose output is read.
pub(crate) struct Running {
    child: Child,
    output: ChildStdout,
    complaints: File,
    doing: &'static str,
    deadline: Deadline,
}

impl Repository<'_> {
    /// Starts git. `input` is what it reads, all of it at once.
    pub(crate) fn start(
        &self,
        doing: &'static str,
        view: View,
        arguments: &[&str],
        input: Option<File>,
    ) -> Result<Running, Trouble> {
        let mut command = self.git.command(&self.push.mirror).into_std();
        // An empty file of grafts, and none of shallow commits: parents are those that commits name. Git calls the former
        // old-fashioned where it is not told to keep that to itself, and whatever it says is a failure.
        command.args(["-c", "advice.graftFileDeprecated=false"]).args(arguments).env("GIT_SHALLOW_FILE", "");
        self.show(&mut command, view)?;
        let complaints = tempfile::tempfile_in(self.scratch).map_err(Trouble::io("making a file"))?;
        let to = complaints.try_clone().map_err(Trouble::io("making a file"))?;
        command.stderr(to).stdout(Stdio::piped());
        command.stdin(input.map_or_else(Stdio::null, Stdio::from));
        let mut child = command.spawn().map_err(Trouble::io("starting git"))?;
        let Some(output) = child.stdout.take() else {
            return Err(Trouble::git(doing, "it has no output"));
        };
        Ok(Running { child, output, complaints, doing, deadline: self.deadline.clone() })
    }

    /// Starts git that is asked and answers in turn.
    pub(crate) fn converse(
        &self,
        doing: &'static str,
        arguments: &[&str],
    ) -> Result<(Running, io::PipeWriter), Trouble> {
        let (reader, writer) = io::pipe().map_err(Trouble::io("making a pipe"))?;
        // What reads from a pipe is given to a child as it would be a file.
        let input = File::from(std::os::fd::OwnedFd::from(reader));
        Ok((self.start(doing, View::Both, arguments, Some(input))?, writer))
    }

    /// A file with these lines, to be read by git.
    pub(crate) fn lines<'a>(&self, lines: impl Iterator<Item = &'a str>) -> Result<File, Trouble> {
        let failed = || Trouble::io("writing a list of objects");
        let file = tempfile::tempfile_in(self.scratch).map_err(failed())?;
        let mut writer = io::BufWriter::new(file);
        for line in lines {
            writeln!(writer, "{line}").map_err(failed())?;
        }
        let mut file = writer.into_inner().map_err(io::IntoInnerError::into_error).map_err(failed())?;
        file.rewind().map_err(failed())?;
        Ok(file)
    }

    /// Whether `old` is an ancestor of `new`.
    pub(crate) fn is_ancestor(&self, old: &ObjectId, new: &ObjectId) -> Result<bool, Trouble> {
        let arguments = ["merge-base", "--is-ancestor", "--end-of-options", old.as_str(), new.as_str()];
        let running = self.start("comparing a ref with upstream's", View::Both, &arguments, None)?;
        match running.finish()? {
            0 => Ok(true),
            1 => Ok(false),
            code => Err(Trouble::git("comparing a ref with upstream's", format!("it ended with {code}"))),
        }
    }

    fn show(&self, command: &mut Command, view: View) -> Result<(), Trouble> {
        let objects = self.push.mirror.join("objects");
        let Some(quarantine) = self.push.quarantine.as_ref().filter(|_| view != View::Mirror) else {
            return Ok(());
        };
        command.env("GIT_OBJECT_DIRECTORY", quarantine);
        if view == View::Both {
            command.env("GIT_ALTERNATE_OBJECT_DIRECTORIES", plain(&objects)?);
        }
        Ok(())
    }
}

/// A path that git reads as one entry of a list.
fn plain(path: &Path) -> Result<PathBuf, Trouble> {
    let bytes = path.as_os_str().as_encoded_bytes();
    if bytes.iter().any(|byte| matches!(byte, b':' | b'"' | b'\n')) {
        return Err(Trouble::git("finding the mirror", "its path holds a colon, a quote or a line's end"));
    }
    Ok(path.to_owned())
}

impl Read for Running {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let left = self.deadline.left().map_err(io::Error::other)?.min(GLANCE);
            let timeout = Timespec { tv_sec: 0, tv_nsec: left.subsec_nanos().into() };
            let mut ready = [PollFd::new(&self.output, PollFlags::IN)];
            match poll(&mut ready, Some(&timeout)) {
                // Another child's end may interrupt any wait of this process.
                Ok(0) | Err(Errno::INTR) => {}
                Ok(_) => return self.output.read(buffer),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl Running {
    /// Why a read failed.
    pub(crate) fn failed(&self, error: io::Error) -> Trouble {
        match self.deadline.left() {
            Err(trouble) => trouble,
            Ok(_) => Trouble::Io { doing: self.doing, source: error },
        }
    }

    /// Waits for its end, which must be a good one.
    pub(crate) fn succeed(self) -> Result<(), Trouble> {
        let doing = self.doing;
        match self.finish()? {
            0 => Ok(()),
            code => Err(Trouble::git(doing, format!("it ended with {code}"))),
        }
    }

    /// Waits for its end. Whatever it complained of is a failure, however it ended.
    pub(crate) fn finish(mut self) -> Result<i32, Trouble> {
        let mut rest = [0; 1];
        let read = self.read(&mut rest).map_err(|error| self.failed(error))?;
        if read > 0 {
            return Err(Trouble::git(self.doing, "it said more than it was asked"));
        }
        let status = loop {
            // Its output is closed, so that it is about to end.
            if let Some(status) = self.child.try_wait().map_err(Trouble::io("waiting for git"))? {
                break status;
            }
            self.deadline.left()?;
            std::thread::sleep(Duration::from_micros(200));
        };
        let mut complaint = String::new();
        self.complaints.rewind().map_err(Trouble::io("reading what git complains of"))?;
        let read = (&self.complaints).take(SHORT).read_to_string(&mut complaint);
        if read.is_err() || !complaint.is_empty() {
            return Err(Trouble::git(self.doing, base::inert(complaint.trim(), COMPLAINT)));
        }
        status.code().ok_or_else(|| Trouble::git(self.doing, "a signal ended it"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may be over already; either way it is reaped here.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
