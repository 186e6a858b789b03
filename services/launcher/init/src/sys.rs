//! The few system calls without a safe wrapper.
#![expect(unsafe_code, reason = "signal masks and the hook between fork and exec have no safe interface")]

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd as _, BorrowedFd};
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use rustix::process::{Signal, ioctl_tiocsctty};

/// Makes the process that `command` starts the leader of a new session and process group, with no signal blocked.
pub(crate) fn in_own_session(command: &mut Command) -> &mut Command {
    // SAFETY: between fork and exec only async-signal-safe calls are allowed; these are, and nothing allocates.
    unsafe {
        command.pre_exec(|| {
            new_session()?;
            set_mask(libc::SIG_UNBLOCK);
            Ok(())
        })
    }
}

/// Begins a session. gVisor answers success with 0, which is no process that a wrapper could return.
fn new_session() -> io::Result<()> {
    // SAFETY: it takes nothing, and is async-signal-safe.
    if unsafe { libc::setsid() } == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
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

/// Ignores no signal any more, but the one for broken pipes, of which the standard library takes care: what was ignored where
/// the services were started, as `nohup` and a shell's `&` do it, would be ignored by every program in the bottle.
pub(crate) fn ignore_no_signal() {
    for number in (1..=libc::SIGRTMAX()).filter(|number| *number != libc::SIGPIPE) {
        // SAFETY: no handler is installed. Numbers that cannot be changed are refused.
        unsafe { libc::signal(number, libc::SIG_DFL) };
    }
}

/// Blocks every signal in this (single-threaded) process, so that none is lost before [`next_signal`] asks for it.
pub(crate) fn block_signals() {
    set_mask(libc::SIG_BLOCK);
}

/// Does something while no signal comes, so that a thread that it starts never takes one.
pub(crate) fn without_signals<T>(work: impl FnOnce() -> T) -> T {
    let all = all_signals();
    let mut before = MaybeUninit::uninit();
    // SAFETY: `all` is initialised and both outlive the call, which initialises the second.
    let before = unsafe {
        libc::pthread_sigmask(libc::SIG_BLOCK, &raw const all, before.as_mut_ptr());
        before.assume_init()
    };
    let done = work();
    // SAFETY: `before` is initialised and outlives the call; a null old set is allowed.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const before, std::ptr::null_mut()) };
    done
}

fn set_mask(how: libc::c_int) {
    let set = all_signals();
    // SAFETY: `set` is initialised and outlives the call; a null old set is allowed.
    unsafe { libc::pthread_sigmask(how, &raw const set, std::ptr::null_mut()) };
}

/// Loads a seccomp filter, for this process and all that it starts from now on. Privileges cannot be gained any more: see
/// [`crate::rights`].
///
/// # Errors
/// It is no program, or the kernel refuses it.
pub(crate) fn load_filter(program: &[u8]) -> io::Result<()> {
    let (instructions, rest) = program.as_chunks::<8>();
    let mut filter: Vec<libc::sock_filter> = instructions.iter().map(instruction).collect();
    let length =
        u16::try_from(filter.len()).ok().filter(|_| rest.is_empty()).ok_or(io::ErrorKind::InvalidInput)?;
    let program = libc::sock_fprog { len: length, filter: filter.as_mut_ptr() };
    // SAFETY: the program is as long as it says, and outlives the call, which copies it.
    match unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn instruction(&[c0, c1, jt, jf, k @ ..]: &[u8; 8]) -> libc::sock_filter {
    libc::sock_filter { code: u16::from_ne_bytes([c0, c1]), jt, jf, k: u32::from_ne_bytes(k) }
}

/// From now on `SIGIO` comes when the other side of a socket closes it, or says something.
///
/// # Errors
/// It is no socket.
pub(crate) fn signal_of_hang_up(socket: BorrowedFd<'_>) -> io::Result<()> {
    let own = rustix::process::getpid().as_raw_pid();
    // SAFETY: the descriptor is open, and the argument is a process id, as F_SETOWN takes it.
    if unsafe { libc::fcntl(socket.as_raw_fd(), libc::F_SETOWN, own) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let flags = rustix::fs::fcntl_getfl(socket)?;
    // SAFETY: as above with flags, of which rustix passes on only those that it knows.
    if unsafe { libc::fcntl(socket.as_raw_fd(), libc::F_SETFL, flags.bits().cast_signed() | libc::O_ASYNC) }
        != 0
    {
        return Err(io::Error::last_os_error());
    }
    Ok(())
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
