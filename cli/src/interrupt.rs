//! The signals by which a person or a system asks a command to end.

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// SIGINT, SIGTERM and SIGHUP, which all mean the same to a command.
#[derive(Debug)]
pub struct Interrupts([Signal; 3]);

impl Interrupts {
    /// Listens from now on; the signals no longer end the process by themselves.
    ///
    /// # Errors
    /// The process cannot register signal handlers.
    pub fn listen() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("cannot listen for interrupts");
        Ok(Self([
            listen(SignalKind::interrupt())?,
            listen(SignalKind::terminate())?,
            listen(SignalKind::hangup())?,
        ]))
    }

    /// Waits for an order to end. An interrupt from the keyboard is none: it goes to whoever has the terminal, an editor for
    /// instance. Dropping the wait loses nothing.
    pub async fn order(&mut self) {
        let [_, terminate, hangup] = &mut self.0;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }

    /// Waits for the next one. Dropping the wait loses nothing.
    pub async fn next(&mut self) {
        self.which().await;
    }

    /// Waits for the next one, and says which it was. Dropping the wait loses nothing.
    pub async fn which(&mut self) -> SignalKind {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => SignalKind::interrupt(),
            _ = terminate.recv() => SignalKind::terminate(),
            _ = hangup.recv() => SignalKind::hangup(),
        }
    }
}
