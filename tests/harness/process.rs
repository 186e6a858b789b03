//! Processes of this machine.

use std::path::{Path, PathBuf};
use std::time::Duration;

use cli::host::Process;
use rustix::process::{Pid, Signal, kill_process};

use crate::soon;

/// One of the project's programs, as `make programs` built it.
///
/// # Panics
/// When it has not been built.
#[must_use]
pub fn program(name: &str) -> PathBuf {
    // A test runs in target/<profile>/deps.
    let own = std::env::current_exe().unwrap_or_default();
    let built = own.parent().and_then(Path::parent).unwrap_or(Path::new("")).join(name);
    assert!(built.exists(), "{} is not built: run `make programs` first", built.display());
    built
}

/// The processes that have this text in their environment.
#[must_use]
pub fn marked(marker: &str) -> Vec<u32> {
    let is_marked = |pid: &u32| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.windows(marker.len()).any(|window| window == marker.as_bytes())
    };
    all().filter(is_marked).collect()
}

/// The processes whose command line has this text in it.
#[must_use]
pub fn mentioning(text: &str) -> Vec<u32> {
    let mentions = |pid: &u32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.windows(text.len()).any(|window| window == text.as_bytes())
    };
    all().filter(mentions).collect()
}

/// The processes of this name that another one has started, at whatever remove.
#[must_use]
pub fn below(ancestor: u32, name: &str) -> Vec<u32> {
    // The kernel keeps this much of a name.
    let name = &name[..name.len().min(15)];
    let is_meant = |pid: &u32| {
        stat(*pid).is_some_and(|(found, _)| found == name)
            && std::iter::successors(Some(*pid), |pid| stat(*pid).map(|(_, parent)| parent))
                .take_while(|pid| *pid > 1)
                .any(|pid| pid == ancestor)
    };
    all().filter(is_meant).collect()
}

fn all() -> impl Iterator<Item = u32> {
    let entries = Path::new("/proc").read_dir().into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// A process's name and its parent.
fn stat(pid: u32) -> Option<(String, u32)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (before, after) = stat.rsplit_once(") ")?;
    let parent = after.split_whitespace().nth(1)?.parse().ok()?;
    Some((before.split_once('(')?.1.to_owned(), parent))
}

/// Stops a process until [`thaw`]. A signal alone only asks for that: what runs while it is on its way goes on, and
/// may answer once more.
///
/// # Panics
/// When it is not this user's, or has not stopped in time.
pub async fn freeze(pid: u32) {
    signal(pid, Signal::STOP);
    let stopped = async {
        while !states(pid).iter().all(|state| state == "T") {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    soon("a process to stop", stopped).await;
}

/// Lets a process go on that [`freeze`] has stopped.
///
/// # Panics
/// When it is not this user's.
pub fn thaw(pid: u32) {
    signal(pid, Signal::CONT);
}

fn signal(pid: u32, signal: Signal) {
    let it = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let sent = it.map(|it| kill_process(it, signal));
    assert!(matches!(sent, Some(Ok(()))), "cannot send {signal:?} to the process {pid}: {sent:?}");
}

/// The states of a process's threads, a letter each.
fn states(pid: u32) -> Vec<String> {
    let threads = Path::new("/proc").join(pid.to_string()).join("task").read_dir().into_iter().flatten();
    let state = |stat: String| stat.rsplit_once(") ").map(|(_, after)| after[..1].to_owned());
    threads
        .flatten()
        .filter_map(|thread| state(std::fs::read_to_string(thread.path().join("stat")).ok()?))
        .collect()
}

/// Waits until no process has this text in its environment any more.
///
/// # Panics
/// When one is left after [`crate::LIMIT`].
pub async fn all_ended(marker: &str) {
    let ended = async {
        loop {
            let left = marked(marker);
            if left.is_empty() {
                return;
            }
            for pid in left.into_iter().filter_map(|pid| i32::try_from(pid).ok()) {
                if let Ok(Some(process)) = Process::find(pid) {
                    process.ended().await;
                }
            }
        }
    };
    soon("the end of every process", ended).await;
}
