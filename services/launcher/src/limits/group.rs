//! Control groups of one bottle, made and removed.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::GroupPlan;
use crate::shared_place::make_in;

/// How long the last processes of a killed group may take to be gone.
const EMPTY_WITHIN: Duration = Duration::from_secs(5);

/// A control group that exists.
#[derive(Debug)]
pub(crate) struct Group {
    path: PathBuf,
}

impl Group {
    /// Makes the group and sets its limits; the controllers are passed on from the group above, where that is needed.
    ///
    /// # Errors
    /// The directory or one of its settings cannot be written.
    pub(crate) fn make(plan: &GroupPlan) -> io::Result<Self> {
        make_in(|| directories(&plan.path))?;
        let group = Self { path: plan.path.clone() };
        for (file, value) in &plan.settings {
            let path = plan.path.join(file);
            fs::write(&path, value)
                .or_else(|error| if is_optional(file) { Ok(()) } else { Err(error) })
                .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
        }
        Ok(group)
    }

    /// Where a process writes `0` to join.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub(crate) fn entry(&self) -> io::Result<File> {
        File::options().write(true).open(self.path.join("cgroup.procs"))
    }

    /// A group that an earlier process may have left.
    pub(crate) fn left_at(path: PathBuf) -> Self {
        Self { path }
    }

    /// Kills what is in the group and removes it; a group that is not there is fine. Blocks until it is empty.
    ///
    /// # Errors
    /// It cannot be removed in time.
    pub(crate) fn remove(&self) -> io::Result<()> {
        let end = Instant::now() + EMPTY_WITHIN;
        loop {
            for process in members(&self.path) {
                // A process that has just ended is what was wanted.
                let _ = kill_process(process, Signal::KILL);
            }
            match fs::remove_dir(&self.path) {
                Ok(()) => break,
                Err(error) if error.kind() == io::ErrorKind::NotFound => break,
                Err(error) if Instant::now() >= end => return Err(error),
                Err(_) => std::thread::sleep(Duration::from_millis(2)),
            }
        }
        if let Some(parent) = self.path.parent() {
            // Refused as long as another bottle has its group there.
            drop(fs::remove_dir(parent));
        }
        Ok(())
    }
}

fn directories(path: &Path) -> io::Result<()> {
    let parent = path.parent().unwrap_or(path);
    fs::create_dir_all(parent)?;
    for above in [parent.parent(), Some(parent)].into_iter().flatten() {
        pass_on(above)?;
    }
    match fs::create_dir(path) {
        // A bottle's name is its own: an earlier program of the same box was here, for another order.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}

/// Kernels without swap accounting have no such file.
fn is_optional(file: &str) -> bool {
    file == "memory.swap.max"
}

fn pass_on(group: &Path) -> io::Result<()> {
    let (Ok(offered), Ok(passed)) = (
        fs::read_to_string(group.join("cgroup.controllers")),
        fs::read_to_string(group.join("cgroup.subtree_control")),
    ) else {
        return Ok(());
    };
    for controller in ["memory", "cpu", "pids"] {
        let has = |list: &str| list.split_whitespace().any(|c| c == controller);
        if has(&offered) && !has(&passed) {
            fs::write(group.join("cgroup.subtree_control"), format!("+{controller}"))?;
        }
    }
    Ok(())
}

fn members(group: &Path) -> Vec<Pid> {
    let text = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
    text.lines().filter_map(|line| line.parse().ok().and_then(Pid::from_raw)).collect()
}
