//! Ties a child's life to the thread that starts it.
#![expect(unsafe_code, reason = "a child can ask for its parent-death signal only between fork and exec")]

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use rustix::process::{Signal, getppid, set_parent_process_death_signal};

/// The child gets SIGKILL when the *thread* that spawns it ends, which it must therefore outlive, or when the whole
/// process ends, however that happens.
pub(super) fn die_with_spawning_thread(command: &mut Command) {
    let parent = rustix::process::getpid();
    let before_exec = move || {
        set_parent_process_death_signal(Some(Signal::KILL))?;
        // The parent may have died before the signal was asked for.
        if getppid() == Some(parent) { Ok(()) } else { Err(std::io::Error::other("the parent is gone")) }
    };
    // SAFETY: between fork and exec only async-signal-safe calls are allowed: this makes two plain system calls, and
    // allocates nothing unless the parent is gone, when the child is about to fail anyway.
    unsafe { command.pre_exec(before_exec) };
}
