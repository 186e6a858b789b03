//! Programs that are run to their end: bounded in time, in what they say and in what they use, and ended with all that
//! they started when nobody waits for them any more.

use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process_group, prlimit};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// Bytes of a program's complaints that are kept: the last ones.
const COMPLAINTS: usize = 16 << 10;
/// Bytes of one line of them.
const LINE: usize = 2000;

/// Why a program's result is not there.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// It could not be run.
    #[error("cannot run {program}")]
    Start {
        /// What.
        program: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It was ended, with what it had said.
    #[error("it took longer than {} seconds", within.as_secs())]
    Late {
        /// How long it had.
        within: Duration,
    },
    /// It said more than was to be kept.
    #[error("it said more than {most} bytes")]
    Much {
        /// How much it may.
        most: usize,
    },
    /// Its pipes failed.
    #[error("cannot talk to it")]
    Pipe(#[from] io::Error),
}

/// How a program ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) out: Vec<u8>,
    /// What it complained of, as untrusted as what it worked on.
    pub(crate) complaints: Vec<String>,
}

/// A child that leads a process group, which ends with this handle.
pub(crate) struct Group {
    pub(crate) child: Child,
    leader: Option<Pid>,
}

impl Group {
    /// Starts a program as the leader of a group of its own.
    pub(crate) fn start(command: &mut Command) -> Result<Self, Failure> {
        let child = command.process_group(0).spawn().map_err(|source| Failure::Start {
            program: command.as_std().get_program().to_string_lossy().into_owned(),
            source,
        })?;
        let leader = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        Ok(Self { child, leader })
    }

    /// Bounds what it may use; it must not have been given anything to work on yet.
    pub(crate) fn limit(&self, limits: &[(Resource, u64)]) -> io::Result<()> {
        for (resource, most) in limits {
            bound(self.leader, *resource, *most)?;
        }
        Ok(())
    }

    /// Waits for its end.
    pub(crate) async fn wait(&mut self) -> io::Result<ExitStatus> {
        let status = self.child.wait().await?;
        // The number may be another's from here on. What it started ends when its pipes do.
        self.leader = None;
        Ok(status)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.leader {
            // It may have ended by itself.
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }
}

/// Bounds what a program may use that has not been given anything to work on yet.
///
/// # Errors
/// The system refuses.
pub(crate) fn bound(program: Option<Pid>, resource: Resource, most: u64) -> io::Result<()> {
    // The gate's own box may be narrower, and nothing can be more than that.
    let most = getrlimit(resource).maximum.map_or(most, |own| own.min(most));
    prlimit(program, resource, Rlimit { current: Some(most), maximum: Some(most) })?;
    Ok(())
}

/// Runs a program to its end. It is given `input`, may say `most` bytes, and each line that it complains of is shown to
/// `hear` at once.
///
/// # Errors
/// [`Failure`]; a status other than zero is none.
pub(crate) async fn finish(
    mut command: Command,
    input: &[u8],
    most: usize,
    within: Duration,
    mut hear: impl FnMut(&str) + Send,
) -> Result<Ended, Failure> {
    if !input.is_empty() {
        command.stdin(Stdio::piped());
    }
    let mut group = Group::start(&mut command)?;
    let (stdin, out, err) = (group.child.stdin.take(), group.child.stdout.take(), group.child.stderr.take());
    let work = async {
        let give = async {
            if let Some(mut stdin) = stdin {
                // A program that has heard enough closes its end.
                let _ = stdin.write_all(input).await;
            }
        };
        let ((), out, complaints) = tokio::join!(give, keep(out, most), complaints(err, &mut hear));
        let (out, complaints) = (out?, complaints?);
        Ok(Ended { status: group.wait().await?, out, complaints })
    };
    match timeout(within, work).await {
        Ok(ended) => ended,
        Err(_) => Err(Failure::Late { within }),
    }
}

/// All that comes out, at most so much.
async fn keep(from: Option<impl AsyncRead + Unpin>, most: usize) -> Result<Vec<u8>, Failure> {
    let mut kept = Vec::new();
    let Some(from) = from else { return Ok(kept) };
    from.take(most as u64 + 1).read_to_end(&mut kept).await?;
    if kept.len() > most { Err(Failure::Much { most }) } else { Ok(kept) }
}

/// Reads lines of complaints, however they end; progress is a line that is written over, and is heard but not kept.
pub(crate) async fn complaints(
    from: Option<impl AsyncRead + Unpin>,
    mut hear: impl FnMut(&str) + Send,
) -> io::Result<Vec<String>> {
    let mut lines = Lines::default();
    let Some(mut from) = from else { return Ok(lines.kept) };
    let mut piece = [0; 4096];
    loop {
        let read = from.read(&mut piece).await?;
        piece[..read].iter().for_each(|byte| lines.take(*byte, &mut hear));
        if read == 0 {
            lines.end(true, &mut hear);
            return Ok(lines.kept);
        }
    }
}

/// Complaints as they come.
#[derive(Default)]
struct Lines {
    line: Vec<u8>,
    /// Whether the cursor was sent back to the line's begin: it is over, or written over.
    is_back: bool,
    kept: Vec<String>,
    length: usize,
}

impl Lines {
    fn take(&mut self, byte: u8, hear: &mut (impl FnMut(&str) + Send)) {
        match byte {
            b'\n' => self.end(true, hear),
            b'\r' => self.is_back = true,
            byte => {
                if self.is_back {
                    self.end(false, hear);
                }
                if self.line.len() < LINE {
                    self.line.push(byte);
                }
            }
        }
    }

    fn end(&mut self, is_kept: bool, hear: &mut (impl FnMut(&str) + Send)) {
        self.is_back = false;
        let text = String::from_utf8_lossy(&std::mem::take(&mut self.line)).trim_end().to_owned();
        if text.is_empty() {
            return;
        }
        hear(&text);
        if is_kept {
            self.length += text.len();
            self.kept.push(text);
        }
        while self.length > COMPLAINTS {
            self.length -= self.kept.remove(0).len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn shell(script: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    }

    #[tokio::test]
    async fn what_it_says_and_complains_of_is_heard() {
        let mut heard = Vec::new();
        let script = "cat; printf 'half\\rwhole\\r\\nlast' >&2; exit 3";
        let ended =
            finish(shell(script), b"input", 100, LONG, |line| heard.push(line.to_owned())).await.unwrap();
        assert_eq!((ended.out.as_slice(), ended.status.code()), (b"input".as_slice(), Some(3)));
        assert_eq!(ended.complaints, ["whole", "last"]);
        assert_eq!(heard, ["half", "whole", "last"]);
    }

    #[tokio::test]
    async fn neither_much_nor_long() {
        let much = finish(shell("yes"), b"", 1000, LONG, |_| ()).await;
        assert!(matches!(much, Err(Failure::Much { most: 1000 })), "{much:?}");
        let within = Duration::from_millis(50);
        let late = finish(shell("sleep 600 & wait"), b"", 1000, within, |_| ()).await;
        assert!(matches!(late, Err(Failure::Late { .. })), "{late:?}");
    }

    #[tokio::test]
    async fn all_that_it_started_ends_with_the_handle() {
        let mut group = Group::start(&mut shell("sleep 600 & echo $!; wait")).unwrap();
        let mut told = [0; 16];
        let read = group.child.stdout.as_mut().unwrap().read(&mut told).await.unwrap();
        assert!(read > 0, "it has started another");
        let mut rest = group.child.stdout.take().unwrap();
        drop(group);
        // Both hold the pipe, which ends when the last of them does.
        assert_eq!(rest.read(&mut told).await.unwrap(), 0);
    }
}
