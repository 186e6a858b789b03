//! What the backend made for a bottle, on disk, so that another process can remove it (invariant 10).
//!
//! The kernel ends every box when its launcher dies; this is for what the kernel does not do (control groups), and
//! to make sure of the rest.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

/// The file's name in the bottle's state directory.
const FILE: &str = "namespace.json";

/// The file's content.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Owned {
    /// Tells this boot of the host from others: process ids and groups mean nothing after the next.
    pub(super) boot: String,
    /// The boxes' processes.
    pub(super) processes: Vec<Process>,
    /// Control groups.
    pub(super) groups: Vec<PathBuf>,
}

/// A process that cannot be mistaken for a later one with the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Process {
    /// Its id on the host.
    pub(super) pid: i32,
    /// When it started, in clock ticks since boot.
    pub(super) started: u64,
}

impl Owned {
    /// Nothing yet, on this boot.
    fn new() -> io::Result<Self> {
        Ok(Self { boot: boot()?, ..Self::default() })
    }

    /// Reads what a bottle's directory records; nothing when the backend has nothing there.
    ///
    /// # Errors
    /// The record exists and cannot be read.
    pub(super) fn load(state: &Path) -> io::Result<Option<Self>> {
        match fs::read(state.join(FILE)) {
            Ok(text) => Ok(Some(serde_json::from_slice(&text)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Adds to the record; a launch does several things at the same time, and `one_at_a_time` keeps them apart.
    ///
    /// # Errors
    /// The record cannot be read or written.
    pub(super) fn amend(
        one_at_a_time: &Mutex<()>,
        state: &Path,
        change: impl FnOnce(&mut Self) -> io::Result<()>,
    ) -> io::Result<()> {
        // A panic elsewhere leaves the file as it was or as it should be, never in between.
        let _turn = one_at_a_time.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut owned = Self::load(state)?.map_or_else(Self::new, Ok)?;
        change(&mut owned)?;
        owned.store(state)
    }

    /// Replaces the record in one step.
    ///
    /// # Errors
    /// The directory cannot be written.
    fn store(&self, state: &Path) -> io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(state)?;
        serde_json::to_writer(&mut file, self)?;
        file.persist(state.join(FILE)).map(drop).map_err(|error| error.error)
    }

    /// Removes the record: nothing of the bottle is left.
    ///
    /// # Errors
    /// The directory cannot be written.
    pub(super) fn forget(state: &Path) -> io::Result<()> {
        match fs::remove_file(state.join(FILE)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Whether the record is of this boot.
    pub(super) fn is_current(&self) -> bool {
        boot().is_ok_and(|boot| boot == self.boot)
    }
}

impl Process {
    /// The process with this id, now.
    ///
    /// # Errors
    /// There is none.
    pub(super) fn of(pid: i32) -> io::Result<Self> {
        Ok(Self { pid, started: started(pid)? })
    }

    /// Kills it, unless it is gone or its number is another's by now.
    pub(super) fn kill(self) {
        let Some(pid) = Pid::from_raw(self.pid) else { return };
        // The descriptor is taken first: the start time then belongs to the process that is killed.
        let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else { return };
        if started(self.pid).is_ok_and(|started| started == self.started) {
            // It may have ended by itself meanwhile, which is what was wanted.
            let _ = pidfd_send_signal(process, Signal::KILL);
        }
    }
}

fn boot() -> io::Result<String> {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").map(|id| id.trim().to_owned())
}

/// Field 22 of `/proc/<pid>/stat`; the second field may hold anything, but ends at the last parenthesis.
fn started(pid: i32) -> io::Result<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    fields
        .split_whitespace()
        .nth(19)
        .and_then(|field| field.parse().ok())
        .ok_or(io::ErrorKind::InvalidData.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_round_trips_and_is_forgotten() {
        let state = tempfile::tempdir().unwrap();
        assert_eq!(Owned::load(state.path()).unwrap(), None);
        let mut owned = Owned::new().unwrap();
        owned.processes.push(Process::of(1).unwrap());
        owned.store(state.path()).unwrap();
        assert_eq!(Owned::load(state.path()).unwrap(), Some(owned.clone()));
        assert!(owned.is_current());
        Owned::forget(state.path()).unwrap();
        assert_eq!(Owned::load(state.path()).unwrap(), None);
    }

    #[test]
    fn kills_only_the_process_that_was_meant() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let process = Process::of(child.id().cast_signed()).unwrap();
        Process { started: process.started + 1, ..process }.kill();
        assert!(child.try_wait().unwrap().is_none());
        process.kill();
        assert!(!child.wait().unwrap().success());
    }
}
