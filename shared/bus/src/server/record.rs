//! Where the running server is, for other commands; and the lock that says whose it is.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use base::lock::Locked;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

use super::ServerError;
use crate::files;
use crate::keys::bus_dir;

/// A server that runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// Where it listens.
    pub url: String,
    /// Its process.
    pub pid: u32,
    /// The process that owns it.
    pub owner: u32,
}

const RECORD: &str = "server.json";
const LOCK: &str = "server.lock";
/// The configuration's file name; with its directory it tells our server's process from any other.
pub(super) const CONFIG: &str = "nats.conf";

/// The server that runs under a home, if one does. What a killed owner left in the file is not believed: the process
/// must be there, and must be this home's server.
///
/// # Errors
/// [`ServerError::File`] when the record cannot be read.
pub fn find(home: &Path) -> Result<Option<Running>, ServerError> {
    let path = bus_dir(home).join(RECORD);
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(ServerError::File { doing: "read", path, source }),
    };
    // Half a record cannot be there: it is written whole or not at all.
    let running: Option<Running> = serde_json::from_slice(&text).ok();
    Ok(running.filter(|running| is_ours(home, running.pid)))
}

pub(super) fn write(home: &Path, running: &Running) -> Result<(), ServerError> {
    let path = bus_dir(home).join(RECORD);
    let text = serde_json::to_vec(running).unwrap_or_default();
    files::write_private(&path, &text).map_err(|source| ServerError::File { doing: "write", path, source })
}

pub(super) fn remove(home: &Path) {
    let path = bus_dir(home).join(RECORD);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(path = %path.display(), %error, "cannot remove");
        }
        _ => {}
    }
}

/// Takes the home's server for this process, or says whose it is.
pub(super) fn lock(home: &Path) -> Result<Locked, ServerError> {
    let path = bus_dir(home).join(LOCK);
    let failed = |doing, source| ServerError::File { doing, path: path.clone(), source };
    let file = File::options().create(true).append(true).open(&path).map_err(|e| failed("open", e))?;
    let locked = Locked::alone(file).map_err(|error| failed("lock", error))?;
    locked.ok_or_else(|| ServerError::InUse { home: home.to_owned() })
}

/// Ends a server whose owner was killed just now: two must never share one store. Only for the holder of the lock.
pub(super) fn end_leftover(home: &Path) -> Result<(), ServerError> {
    let Some(running) = find(home)? else { return Ok(()) };
    let path = PathBuf::from(format!("/proc/{}", running.pid));
    let gone = || !is_ours(home, running.pid);
    let pid = i32::try_from(running.pid).ok().and_then(Pid::from_raw);
    let Some(Ok(handle)) = pid.map(|pid| pidfd_open(pid, PidfdFlags::empty())) else { return Ok(()) };
    // The handle is to the process that is looked at now, whoever gets its number later.
    if !gone() {
        let _ = pidfd_send_signal(&handle, Signal::KILL);
    }
    let end = Instant::now() + Duration::from_secs(5);
    while !gone() {
        if Instant::now() > end {
            let source = io::Error::new(io::ErrorKind::TimedOut, "it does not end");
            return Err(ServerError::File { doing: "end the former server", path, source });
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// Whether a process is the server of this home: it was started with this home's configuration.
fn is_ours(home: &Path, pid: u32) -> bool {
    let config = bus_dir(home).join(CONFIG);
    let config = config.as_os_str().as_encoded_bytes();
    std::fs::read(format!("/proc/{pid}/cmdline"))
        .is_ok_and(|line| line.split(|byte| *byte == 0).any(|argument| argument == config))
}
