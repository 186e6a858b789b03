//! The few system calls without a safe wrapper.
#![expect(unsafe_code, reason = "signal masks and the hook between fork and exec have no safe interface")]

use std::mem::MaybeUninit;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use rustix::process::{Signal, ioctl_tiocsctty, setsid};

/// Makes the process that `command` starts the leader of a new session and process group, with no signal blocked.
pub(crate) fn in_own_session(command: &mut Command) -> &mut Command {
    // SAFETY: between fork and exec only async-signal-safe calls are allowed; these are, and nothing allocates.
    unsafe {
        command.pre_exec(|| {
            setsid()?;
            set_mask(libc::SIG_UNBLOCK);
            Ok(())
        })
    }
}

/// The same, and its standard input becomes the session's controlling terminal.
pub(crate) fn at_own_terminal(command: &mut Command) -> &mut Command {
    // SAFETY: as above; the standard streams are in place when the hook is called.
    unsafe {
        in_own_session(command).pre_exec(|| {
            ioctl_tiocsctty(rustix::stdio::stdin())?;
            Ok(())
        })
    }
}

/// Blocks every signal in this (single-threaded) process, so that none is lost before [`next_signal`] asks for it.
pub(crate) fn block_signals() {
    set_mask(libc::SIG_BLOCK);
}

fn set_mask(how: libc::c_int) {
    let set = all_signals();
    // SAFETY: `set` is initialised and outlives the call; a null old set is allowed.
    unsafe { libc::pthread_sigmask(how, &raw const set, std::ptr::null_mut()) };
}

/// Waits for the next signal. Nothing for one that has no portable name, or when the wait was interrupted.
pub(crate) fn next_signal() -> Option<Signal> {
    let set = all_signals();
    // SAFETY: `set` is initialised and outlives the call; a null info pointer is allowed.
    let number = unsafe { libc::sigwaitinfo(&raw const set, std::ptr::null_mut()) };
    Signal::from_named_raw(number)
}

fn all_signals() -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: sigfillset initialises the set that it is given.
    unsafe {
        libc::sigfillset(set.as_mut_ptr());
        set.assume_init()
    }
}
