//! The hook between fork and exec, which has no safe interface.
#![expect(
    unsafe_code,
    reason = "what happens between fork and exec has no safe interface, and watching a descriptor has none"
)]

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::process::Command;

use rustix::io::{FdFlags, fcntl_setfd};
use rustix::process::{Resource, Rlimit, setrlimit};
use tokio::io::unix::AsyncFd;

/// What a child does to itself before it becomes its program.
#[derive(Debug, Default)]
pub(crate) struct BeforeExec {
    /// The only descriptors beside the standard streams that the program inherits, under their own numbers.
    pub(crate) kept: Vec<OwnedFd>,
    /// Open `cgroup.procs` files of the groups that it joins.
    pub(crate) groups: Vec<File>,
    /// Limits it sets on itself.
    pub(crate) limits: Vec<(Resource, u64)>,
}

/// Arranges for `before` to happen in every child of `command`.
pub(crate) fn before_exec(command: &mut Command, before: BeforeExec) {
    use std::os::unix::process::CommandExt as _;
    // SAFETY: between fork and exec only async-signal-safe calls are allowed. The hook makes plain system calls on
    // descriptors that it owns and allocates nothing.
    unsafe { command.pre_exec(move || in_child(&before)) };
}

fn in_child(before: &BeforeExec) -> io::Result<()> {
    // A launcher may itself have inherited descriptors without close-on-exec.
    // SAFETY: close_range with CLOSE_RANGE_CLOEXEC only sets a flag on this process's own descriptors.
    let closed = unsafe { libc::syscall(libc::SYS_close_range, 3_u32, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    if closed != 0 {
        return Err(io::Error::last_os_error());
    }
    for descriptor in &before.kept {
        fcntl_setfd(descriptor, FdFlags::empty())?;
    }
    for group in &before.groups {
        rustix::io::write(group, b"0")?;
    }
    for (resource, limit) in &before.limits {
        setrlimit(*resource, Rlimit { current: Some(*limit), maximum: Some(*limit) })?;
    }
    Ok(())
}

/// A descriptor whose readiness the runtime tells. It must not block.
///
/// # Errors
/// It cannot be watched: it is a plain file, for instance.
pub(crate) fn watched(descriptor: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an owned descriptor stays open and the same until it is dropped, which the result does itself.
    unsafe { AsyncFd::register(descriptor) }.map_err(Into::into)
}

/// Gives the calling thread a mount namespace of its own, whose mounts are never seen outside.
///
/// # Errors
/// The process may not do so.
pub(crate) fn own_mount_namespace() -> io::Result<()> {
    // SAFETY: of what the flags can undo, only the file system attributes stop being shared with other threads, and
    // no code of this program depends on them: it uses absolute paths and never changes directory, root or umask.
    unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWNS)? };
    Ok(())
}
