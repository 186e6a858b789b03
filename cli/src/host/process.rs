//! A process that is not this one's child.

use anyhow::Context as _;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{Errno, retry_on_intr};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::sync::watch;

/// Told apart from whatever gets its number later.
#[derive(Debug)]
pub struct Process(watch::Receiver<()>);

impl Process {
    /// Nothing if there is no such process.
    ///
    /// # Errors
    /// It cannot be watched.
    pub fn find(pid: i32) -> anyhow::Result<Option<Self>> {
        let Some(pid) = Pid::from_raw(pid) else { return Ok(None) };
        let handle = match pidfd_open(pid, PidfdFlags::empty()) {
            Err(Errno::SRCH) => return Ok(None),
            handle => handle.context("cannot watch the services")?,
        };
        let (alive, seen) = watch::channel(());
        // It ends with the other process or with this one, whichever is first.
        let watch = move || {
            let ended = retry_on_intr(|| poll(&mut [PollFd::new(&handle, PollFlags::IN)], None));
            drop((ended, alive));
        };
        std::thread::Builder::new()
            .name("watch".to_owned())
            .spawn(watch)
            .context("cannot watch the services")?;
        Ok(Some(Self(seen)))
    }

    /// Waits for its end.
    pub async fn ended(&self) {
        let mut seen = self.0.clone();
        while seen.changed().await.is_ok() {}
    }
}
