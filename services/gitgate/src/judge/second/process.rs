//! One run of gitleaks.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Resource};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::super::trouble::Trouble;
use super::feed::Text;
use crate::child;

/// The configuration, in the directory that it runs in.
pub(super) const CONFIG: &str = "gate.toml";
/// An ignore file without anything in it.
pub(super) const IGNORE: &str = "nothing-is-ignored";
/// What it ends with when it has found something, which it always has.
const FOUND: i32 = 7;
/// The largest report, in bytes.
const REPORT: u64 = 16 << 20;
/// How much of what it complains of is repeated, in bytes.
const COMPLAINT: u64 = 300;
/// The most memory that it may have for its data, in bytes.
const MEMORY: u64 = 2 << 30;
/// How long it may take for one batch of text, or for its report.
const PATIENCE: Duration = Duration::from_secs(60);

/// A process that waits for text. It is killed and reaped when it is dropped.
pub(super) struct Process(Child);

pub(super) fn doubt(why: impl Into<String>) -> Trouble {
    Trouble::SecondOpinion { why: why.into() }
}

impl Process {
    pub(super) fn start(program: &Path, home: &Path) -> Result<Self, Trouble> {
        let mut command = Command::new(program);
        command
            .arg("stdin")
            .args(["--config", CONFIG, "--gitleaks-ignore-path", IGNORE, "--ignore-gitleaks-allow"])
            .args(["--redact=100", "--report-format", "json", "--report-path", "-", "--exit-code"])
            .arg(FOUND.to_string())
            .args(["--no-banner", "--no-color", "--log-level", "error"])
            .current_dir(home)
            .env_clear()
            .env("HOME", home)
            .env("TMPDIR", home)
            // It collects garbage in time instead of meeting its limit.
            .env("GOMEMLIMIT", "512MiB")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let child = command.spawn().map_err(|error| doubt(format!("it cannot be started: {error}")))?;
        let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        child::bound(pid, Resource::Data, MEMORY)
            .map_err(|error| doubt(format!("its memory is not bounded: {error}")))?;
        Ok(Self(child))
    }

    pub(super) fn is_alive(&mut self) -> bool {
        matches!(self.0.try_wait(), Ok(None))
    }

    /// Gives it all texts, and gives back its report.
    pub(super) async fn run(mut self, texts: mpsc::Receiver<Text>) -> Result<Vec<u8>, Trouble> {
        let pipes = (self.0.stdin.take(), self.0.stdout.take(), self.0.stderr.take());
        let (Some(input), Some(output), Some(complaints)) = pipes else {
            return Err(doubt("it has no input or output"));
        };
        let (fed, report, complaint) =
            tokio::join!(feed(input, texts), read(output, REPORT), read(complaints, COMPLAINT));
        let code = match timeout(PATIENCE, self.0.wait()).await {
            Ok(Ok(status)) => status.code(),
            Ok(Err(error)) => return Err(doubt(format!("it cannot be waited for: {error}"))),
            Err(_) => return Err(doubt("it does not end")),
        };
        let complaint = complaint?;
        if !complaint.is_empty() {
            let said = base::inert(&String::from_utf8_lossy(&complaint), 300);
            return Err(doubt(format!("it complained: {said}")));
        }
        fed?;
        if code != Some(FOUND) {
            return Err(doubt(format!(
                "it ended with {}",
                code.map_or("a signal".to_owned(), |c| c.to_string())
            )));
        }
        report
    }
}

async fn feed(mut input: tokio::process::ChildStdin, mut texts: mpsc::Receiver<Text>) -> Result<(), Trouble> {
    loop {
        match texts.recv().await {
            Some(Text::Part(part)) => match timeout(PATIENCE, input.write_all(&part)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return Err(doubt(format!("it does not read what it is given: {error}"))),
                Err(_) => return Err(doubt("it does not read what it is given")),
            },
            // Closing its input is what makes it answer.
            Some(Text::End) => return Ok(()),
            None => return Err(doubt("the push was given up")),
        }
    }
}

/// Reads to the end, which must come before `most` bytes.
async fn read(mut from: impl AsyncRead + Unpin, most: u64) -> Result<Vec<u8>, Trouble> {
    let mut bytes = Vec::new();
    let read = (&mut from).take(most).read_to_end(&mut bytes).await;
    read.map_err(|error| doubt(format!("its answer cannot be read: {error}")))?;
    if bytes.len() as u64 == most && from.read(&mut [0]).await.map_or(true, |more| more > 0) {
        return Err(doubt("its answer is too long"));
    }
    Ok(bytes)
}
