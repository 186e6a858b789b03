//! `down`: stop what `up` started.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use rustix::event::{self, PollFd, PollFlags, Timespec};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::host::Lock;
use crate::output;

/// Longer than the services give themselves.
const DEADLINE: Duration = Duration::from_secs(60);
const PROGRESS: Timespec = Timespec { tv_sec: 2, tv_nsec: 0 };

/// Asks the services to stop, and waits until they have.
///
/// # Errors
/// They do not stop in time.
pub fn run(context: &Context) -> Result<Exit, Failure> {
    let Some(holder) = Lock::holder(&context.home)? else {
        output::line(&format!("nothing runs for {}", context.home.display()));
        return Ok(Exit::Ok);
    };
    let pid = holder.pid.and_then(Pid::from_raw).context("they are just being started; try again")?;
    let handle =
        pidfd_open(pid, PidfdFlags::empty()).context("cannot find the process that runs the services")?;
    // Looked at again, since the number could have become another process's in between.
    if Lock::holder(&context.home)? != Some(holder) {
        output::line("it has just stopped");
        return Ok(Exit::Ok);
    }
    pidfd_send_signal(&handle, Signal::TERM).context("cannot stop the services")?;
    wait(&handle).map_err(|error| Failure::new(Exit::TryAgain, error))?;
    output::line("stopped");
    Ok(Exit::Ok)
}

/// Waits for the end of a process, saying so when it takes long.
fn wait(process: &OwnedFd) -> anyhow::Result<()> {
    let end = Instant::now() + DEADLINE;
    while Instant::now() < end {
        let ended = event::poll(&mut [PollFd::new(process, PollFlags::IN)], Some(&PROGRESS));
        if ended.context("cannot wait for the services")? > 0 {
            return Ok(());
        }
        output::note("waiting for bottles to end");
    }
    Err(anyhow!("the services have not stopped within {DEADLINE:?}"))
}
