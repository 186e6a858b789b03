//! `down`: stop what `up` started.

use std::time::Duration;

use anyhow::{Context as _, anyhow};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::host::Lock;
use crate::output;

/// Longer than the services give themselves.
const DEADLINE: Duration = Duration::from_secs(60);
const PROGRESS: Duration = Duration::from_secs(2);

/// Asks the services to stop, and waits until they have.
///
/// # Errors
/// They do not stop in time.
pub async fn run(context: &Context) -> Result<Exit, Failure> {
    let Some(holder) = Lock::holder(&context.home)? else {
        output::line(&format!("nothing runs for {}", context.home.display()));
        return Ok(Exit::Ok);
    };
    let pid = Pid::from_raw(holder.pid).context("the lock file holds no process id")?;
    let handle = pidfd_open(pid, PidfdFlags::NONBLOCK).context("cannot find the process that runs the services")?;
    // Looked at again, since the number could have become another process's in between.
    if Lock::holder(&context.home)? != Some(holder) {
        output::line("it has just stopped");
        return Ok(Exit::Ok);
    }
    pidfd_send_signal(&handle, Signal::TERM).context("cannot stop the services")?;
    let ended = AsyncFd::register_with_interest(handle, Interest::READABLE).context("cannot wait for the services")?;
    let wait = async {
        loop {
            match tokio::time::timeout(PROGRESS, ended.readable()).await {
                Ok(ended) => return ended.map(drop),
                Err(_) => output::note("waiting for bottles to end"),
            }
        }
    };
    match tokio::time::timeout(DEADLINE, wait).await {
        Ok(ended) => ended.context("cannot wait for the services")?,
        Err(_) => {
            let error = anyhow!("process {} has not stopped within {DEADLINE:?}", holder.pid);
            return Err(Failure::new(Exit::TryAgain, error));
        }
    }
    output::line("stopped");
    Ok(Exit::Ok)
}
