//! Starting one box: from arguments to a process.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use handover::Channel;
use tokio::io::AsyncReadExt as _;
use tokio::process::Child;

use super::Namespace;
use super::arguments::Arguments;
use super::owned::Owned;
use super::spawner::{Job, Spawner};
use crate::limits::{Enforcement, Group};
use crate::state::StateDir;
use crate::sys::BeforeExec;

/// One box to start.
pub(super) struct BoxSpec {
    pub(super) bubblewrap: PathBuf,
    pub(super) arguments: Arguments,
    /// The program inside, and its arguments.
    pub(super) program: Vec<String>,
    /// The host user, when it is not the launcher's own.
    pub(super) user: Option<u32>,
    pub(super) before: BeforeExec,
    pub(super) stderr: Stdio,
    pub(super) deadline: Duration,
}

/// Starts the box; returns its process, and our end of the channel that is its standard input.
///
/// # Errors
/// The system refused a descriptor or the process.
pub(super) async fn start(spawner: &Spawner, spec: BoxSpec) -> io::Result<(Child, Channel)> {
    let (ours, theirs) = Channel::pair(spec.deadline).map_err(io::Error::other)?;
    let (arguments, mut kept) = spec.arguments.into_descriptors()?;
    let mut command = Command::new(spec.bubblewrap);
    command.arg("--args").arg(arguments.as_raw_fd().to_string()).arg("--").args(spec.program);
    command.env_clear().current_dir("/").stdin(OwnedFd::from(theirs.into_socket()));
    command.stdout(Stdio::null()).stderr(spec.stderr);
    // A terminal's Ctrl-C is for the launcher, which then ends its boxes in order.
    command.process_group(0);
    if let Some(user) = spec.user {
        command.uid(user).gid(user);
    }
    kept.push(arguments);
    let mut before = spec.before;
    before.kept.append(&mut kept);
    let child = spawner.spawn(Job { command, before }).await?;
    Ok((child, ours))
}

/// Makes a box's control groups, after they are recorded; returns where its first process joins them.
pub(super) fn join_groups(
    backend: &Namespace,
    state: &StateDir,
    enforcement: &Enforcement,
) -> io::Result<Vec<File>> {
    Owned::amend(&backend.records, state.path(), |owned| {
        owned.groups.extend(enforcement.groups.iter().map(|group| group.path.clone()));
        Ok(())
    })?;
    let groups = enforcement.groups.iter().map(Group::make).collect::<io::Result<Vec<_>>>()?;
    groups.iter().map(Group::entry).collect()
}

/// What a box that ended early wrote to its standard error, made harmless to show.
pub(super) async fn last_words(child: &mut Child) -> String {
    const LIMIT: u64 = 4096;
    const WITHIN: Duration = Duration::from_secs(2);
    let mut words = Vec::new();
    if let Some(stderr) = child.stderr.take() {
        // A box that neither writes nor ends has nothing to say.
        drop(tokio::time::timeout(WITHIN, stderr.take(LIMIT).read_to_end(&mut words)).await);
    }
    match base::inert(String::from_utf8_lossy(&words).trim(), 500) {
        words if words.is_empty() => "it ended without a word".to_owned(),
        words => words,
    }
}
