//! A command that is run to its end during the launch.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use boundary::order::{self, Answer, CAPTURE_LIMIT};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};

use crate::command;

/// How often a command's end is looked for where the kernel does not tell of it.
const LOOK: Duration = Duration::from_millis(5);

/// Runs the command and answers with its code and the beginning of its output.
///
/// # Errors
/// The system refused a pipe, a process or a wait.
pub(crate) fn exec(command: &order::Command, input: &str, deadline: Duration) -> io::Result<Answer> {
    let mut process = match command::prepare(command) {
        Ok(process) => process,
        Err(reason) => return Ok(Answer::Failed { reason }),
    };
    process
        .stdin(File::from(input_file(input)?))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    let mut child = match process.spawn() {
        Ok(child) => child,
        Err(error) => return Ok(Answer::Failed { reason: command::explain(command, &error) }),
    };
    let ended = wait(&mut child, Instant::now() + deadline)?;
    let (stdout, stderr) = (ended.stdout.text(), ended.stderr.text());
    Ok(Answer::Done { code: ended.code, stdout, stderr })
}

/// The input as a file, so that nobody has to write while the command reads.
fn input_file(input: &str) -> io::Result<OwnedFd> {
    let mut file = File::from(rustix::fs::memfd_create("input", rustix::fs::MemfdFlags::CLOEXEC)?);
    file.write_all(input.as_bytes())?;
    file.rewind()?;
    Ok(file.into())
}

struct Ended {
    code: Option<i32>,
    stdout: Capture,
    stderr: Capture,
}

/// Reads both streams until the command has ended, then kills what is left of its process group: a background child
/// must not outlive its provisioning step, nor hold the pipes open.
fn wait(child: &mut Child, deadline: Instant) -> io::Result<Ended> {
    let mut stdout = Capture::new(child.stdout.take().map(OwnedFd::from));
    let mut stderr = Capture::new(child.stderr.take().map(OwnedFd::from));
    let group = Pid::from_child(child);
    let ended = match pidfd_open(group, PidfdFlags::empty()) {
        Ok(ended) => Some(ended),
        Err(Errno::NOSYS) => None,
        Err(error) => return Err(error.into()),
    };
    let in_time = loop {
        let Some(left) = deadline.checked_duration_since(Instant::now()) else { break false };
        // Without a descriptor of the process (gVisor) it is looked for again and again.
        let left = if ended.is_some() { left } else { left.min(LOOK) };
        let ready = readable(&[ended.as_ref().map(AsFd::as_fd), stdout.as_fd(), stderr.as_fd()], left)?;
        stdout.read_if(ready[1])?;
        stderr.read_if(ready[2])?;
        if ready[0] || ended.is_none() && child.try_wait()?.is_some() {
            break true;
        }
    };
    let _ = kill_process_group(group, Signal::KILL);
    let status = child.wait()?;
    stdout.read_rest()?;
    stderr.read_rest()?;
    let code = in_time.then(|| status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0)));
    Ok(Ended { code, stdout, stderr })
}

fn readable(descriptors: &[Option<std::os::fd::BorrowedFd<'_>>; 3], left: Duration) -> io::Result<[bool; 3]> {
    let mut asked = Vec::new();
    let mut places = Vec::new();
    for (place, descriptor) in descriptors.iter().enumerate() {
        if let Some(descriptor) = descriptor {
            asked.push(PollFd::from_borrowed_fd(*descriptor, PollFlags::IN));
            places.push(place);
        }
    }
    let left = Timespec::try_from(left).map_err(|_| io::ErrorKind::InvalidInput)?;
    match poll(&mut asked, Some(&left)) {
        Ok(_) | Err(Errno::INTR) => {}
        Err(error) => return Err(error.into()),
    }
    let mut ready = [false; 3];
    for (asked, place) in asked.iter().zip(places) {
        ready[place] = !asked.revents().is_empty();
    }
    Ok(ready)
}

/// One output stream: what was kept of it, and its pipe while it is open.
struct Capture {
    pipe: Option<File>,
    kept: Vec<u8>,
}

impl Capture {
    fn new(pipe: Option<OwnedFd>) -> Self {
        Self { pipe: pipe.map(File::from), kept: Vec::new() }
    }

    fn as_fd(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
        self.pipe.as_ref().map(AsFd::as_fd)
    }

    fn read_if(&mut self, ready: bool) -> io::Result<()> {
        let Some(pipe) = self.pipe.as_mut().filter(|_| ready) else { return Ok(()) };
        let mut buffer = [0; 16 * 1024];
        let read = pipe.read(&mut buffer)?;
        if read == 0 {
            self.pipe = None;
        }
        let room = CAPTURE_LIMIT - self.kept.len();
        self.kept.extend_from_slice(&buffer[..read.min(room)]);
        Ok(())
    }

    /// What is still in the pipe. A process that left its group may hold the other end, so this never waits.
    fn read_rest(&mut self) -> io::Result<()> {
        while let Some(pipe) = self.as_fd() {
            let ready = readable(&[Some(pipe), None, None], Duration::ZERO)?[0];
            if !ready {
                break;
            }
            self.read_if(true)?;
        }
        Ok(())
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.kept).into_owned()
    }
}
