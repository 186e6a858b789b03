//! The agent's program: started once, then init is only its parent.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::process::Child;

use boundary::order;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{RecvFlags, recv};
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, kill_process_group, wait};

use crate::{command, sys};

/// Starts the program in a session of its own, with these descriptors as stdin, stdout and stderr.
///
/// # Errors
/// It cannot be started; the text names it and says why.
pub(crate) fn start(command: &order::Command, streams: [OwnedFd; 3]) -> Result<Child, String> {
    let [stdin, stdout, stderr] = streams;
    let mut process = command::prepare(command)?;
    process.stdin(stdin).stdout(stdout).stderr(stderr);
    sys::block_signals();
    sys::in_own_session(&mut process).spawn().map_err(|error| command::explain(command, &error))
}

/// Reaps every process of the bottle, passes signals on to the agent's process group, and returns when the agent has
/// ended: with its code, or 128 + N if signal N ended it. Whatever else still runs in the bottle dies with init.
///
/// # Errors
/// The launcher has closed the channel: it is gone, and no bottle outlives its launcher.
pub(crate) fn reap_until_end(agent: &Child, channel: BorrowedFd<'_>) -> io::Result<u8> {
    let agent = Pid::from_child(agent);
    sys::signal_of_hang_up(channel)?;
    loop {
        if let Some(code) = reap(agent) {
            return Ok(code);
        }
        if is_hung_up(channel)? {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        match sys::next_signal() {
            Some(Signal::CHILD | Signal::IO) | None => {}
            // The group may be gone already; its end is then the next thing to be reaped.
            Some(signal) => {
                let _ = kill_process_group(agent, signal);
            }
        }
    }
}

fn is_hung_up(channel: BorrowedFd<'_>) -> io::Result<bool> {
    let mut asked = [PollFd::from_borrowed_fd(channel, PollFlags::IN)];
    retry_on_intr(|| poll(&mut asked, Some(&Timespec::default())))?;
    let seen = asked[0].revents();
    if seen.contains(PollFlags::HUP) || !seen.contains(PollFlags::IN) {
        return Ok(seen.contains(PollFlags::HUP));
    }
    // gVisor tells of an end only as of something to read.
    match recv(channel, &mut [0; 1], RecvFlags::PEEK | RecvFlags::DONTWAIT) {
        Ok((_, read)) => Ok(read == 0),
        Err(Errno::AGAIN | Errno::INTR) => Ok(false),
        Err(_) => Ok(true),
    }
}

fn reap(agent: Pid) -> Option<u8> {
    while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
        if pid == agent {
            return Some(code(status));
        }
    }
    None
}

fn code(status: WaitStatus) -> u8 {
    let code = status.exit_status().or(status.terminating_signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)
}
