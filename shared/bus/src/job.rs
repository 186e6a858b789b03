//! One piece of work in hand.

use std::future::Future;
use std::time::Duration;

use async_nats::jetstream::AckKind;
use bytes::Bytes;
use tokio::time::Instant;

use crate::connection::Bus;
use crate::envelope::Malformed;
use crate::error::BusError;
use crate::trace::Trace;

/// A message taken from a [`crate::WorkQueue`]. It comes back to the queue when it is neither ended ([`Job::done`],
/// [`Job::park`], [`Job::later`]) nor kept ([`Job::progress`], [`Job::keep`]) for the queue's `ack_wait`.
pub struct Job<M> {
    /// The message, or what is wrong with it.
    pub message: Result<M, Malformed>,
    /// Its place in the stream, from 1.
    pub sequence: u64,
    /// How often it has been given out, from 1, as far as the server remembers: one that was killed may have
    /// forgotten the last time.
    pub delivery: u64,
    /// The trace it belongs to.
    pub trace: Trace,
    pub(crate) bus: Bus,
    pub(crate) ack: String,
}

impl<M> Job<M> {
    /// Says that it is still being worked on.
    ///
    /// # Errors
    /// The connection is closed. While the bus is away this waits.
    pub async fn progress(&self) -> Result<(), BusError> {
        let doing = self.doing("keeping");
        let sent = self.bus.client.publish(self.ack.clone(), AckKind::Progress.into()).await;
        sent.map_err(|error| BusError::Client { doing, source: Box::new(error) })
    }

    /// Runs `work` while saying every `interval` that the job is still being worked on. A good interval is a third
    /// of the queue's `ack_wait`.
    pub async fn keep<F: Future>(&self, interval: Duration, work: F) -> F::Output {
        let beats = async {
            loop {
                if let Err(error) = self.progress().await {
                    tracing::warn!(
                        sequence = self.sequence,
                        error = base::error::chain(&error),
                        "job not kept"
                    );
                }
                tokio::time::sleep(interval).await;
            }
        };
        tokio::select! {
            output = work => output,
            () = beats => unreachable!("the beats never end"),
        }
    }

    /// Ends it: the work is done. Returns when the bus has confirmed that it will not come back.
    ///
    /// # Errors
    /// [`BusError::Deadline`] when the bus did not confirm; the job may come back.
    pub async fn done(&self) -> Result<(), BusError> {
        self.end("ending", AckKind::Ack.into()).await
    }

    /// Puts it back, to be given out again after `delay`.
    ///
    /// # Errors
    /// [`BusError::Deadline`] when the bus did not confirm; it comes back anyway, after `ack_wait`.
    pub async fn later(&self, delay: Duration) -> Result<(), BusError> {
        self.end("putting back", AckKind::Nak(Some(delay)).into()).await
    }

    /// Ends it for good, without its work being done: a message that cannot be worked on must not come back for
    /// ever. The reason goes to the server's advisory; whoever parks says it in an event of their own.
    ///
    /// # Errors
    /// [`BusError::Deadline`] when the bus did not confirm; the job may come back.
    pub async fn park(&self, reason: &str) -> Result<(), BusError> {
        self.end("parking", Bytes::from(format!("+TERM {}", base::inert(reason, 200)))).await
    }

    async fn end(&self, what: &str, word: Bytes) -> Result<(), BusError> {
        let doing = self.doing(what);
        let (within, end) = (self.bus.deadline, Instant::now() + self.bus.deadline);
        loop {
            self.bus.up(end).await;
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(BusError::Deadline { doing, deadline: within });
            }
            let ask = async_nats::Request::new().payload(word.clone());
            match self.bus.ask(&doing, self.ack.clone(), ask, left.min(ONE_TRY)).await {
                Ok(_) => return Ok(()),
                Err(BusError::Deadline { .. }) => {}
                Err(BusError::NoResponders { .. }) => {
                    tokio::time::sleep_until((Instant::now() + PAUSE).min(end)).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn doing(&self, what: &str) -> String {
        format!("{what} job {}", self.sequence)
    }
}

const ONE_TRY: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(50);
