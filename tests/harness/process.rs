//! Processes of this machine.

use std::path::{Path, PathBuf};

use cli::host::Process;

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
    let Ok(entries) = Path::new("/proc").read_dir() else { return Vec::new() };
    let is_marked = |pid: &u32| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.windows(marker.len()).any(|window| window == marker.as_bytes())
    };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(is_marked).collect()
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
