//! The one task that sends spans.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use base::error::chain;
use base::lifecycle::Lifecycle;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::endpoint::Endpoint;
use crate::otlp;
use crate::post::{PostError, post};
use crate::span::Span;

/// Spans in one batch at most.
const BATCH: usize = 512;
/// How long the first of a batch waits for others.
const GATHER: Duration = Duration::from_secs(1);
/// How long the collector may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The same once the service stops.
const LAST: Duration = Duration::from_secs(2);
/// Between two tries of a batch that was not taken.
const PAUSE: Duration = Duration::from_secs(5);
/// How long nothing more is said of spans that are lost to a collector that takes what it gets.
const SILENCE: Duration = Duration::from_secs(60);

pub(crate) struct Exporter {
    endpoint: Endpoint,
    service: &'static str,
    spans: mpsc::Receiver<Span>,
    /// Also counts those for which there was no room.
    lost: Arc<AtomicU64>,
    life: Lifecycle,
    is_failing: bool,
    told_of_loss: Option<Instant>,
}

impl Exporter {
    pub(crate) fn new(
        endpoint: Endpoint,
        service: &'static str,
        spans: mpsc::Receiver<Span>,
        lost: Arc<AtomicU64>,
        life: Lifecycle,
    ) -> Self {
        Self { endpoint, service, spans, lost, life, is_failing: false, told_of_loss: None }
    }

    /// Sends spans until nobody can make any more, and none waits. A collector that fails while the service stops is
    /// not tried again.
    pub(crate) async fn run(mut self) {
        let mut batch = Vec::new();
        while self.gather(&mut batch).await {
            let sent = self.send(&batch).await;
            let again = sent.as_ref().is_err_and(PostError::is_passing);
            self.note(&sent, batch.len());
            if again && self.life.is_stopping() {
                return;
            }
            if again {
                tokio::select! {
                    () = sleep(PAUSE) => {}
                    () = self.life.stopping() => {}
                }
            } else {
                batch.clear();
            }
        }
    }

    /// Adds what waits to a batch that was not taken, or waits for a new one. False if there is none to come.
    async fn gather(&mut self, batch: &mut Vec<Span>) -> bool {
        if batch.is_empty() && self.spans.recv_many(batch, BATCH).await == 0 {
            return false;
        }
        let full = Instant::now() + GATHER;
        while batch.len() < BATCH {
            let room = BATCH - batch.len();
            match timeout_at(full, self.spans.recv_many(batch, room)).await {
                Ok(0) | Err(_) => break,
                Ok(_) => {}
            }
        }
        true
    }

    async fn send(&self, batch: &[Span]) -> Result<(), PostError> {
        let ending = async {
            self.life.stopping().await;
            sleep(LAST).await;
        };
        let posted = timeout(PATIENCE, post(&self.endpoint, otlp::request(self.service, batch)));
        tokio::select! {
            posted = posted => posted.unwrap_or(Err(PostError::Late)),
            () = ending => Err(PostError::Late),
        }
    }

    /// Logs what has changed, once.
    fn note(&mut self, sent: &Result<(), PostError>, spans: usize) {
        let collector = &self.endpoint;
        if sent.as_ref().is_err_and(|error| !error.is_passing()) {
            self.lost.fetch_add(spans as u64, Ordering::Relaxed);
        }
        match sent {
            Err(error) if !self.is_failing => {
                self.is_failing = true;
                tracing::warn!(%collector, error = chain(error), "the collector does not take spans");
            }
            Err(_) => {}
            Ok(()) if self.is_failing => {
                self.is_failing = false;
                let lost = self.lost.swap(0, Ordering::Relaxed);
                tracing::info!(%collector, lost, "the collector takes spans again");
            }
            Ok(()) => self.note_loss(),
        }
    }

    fn note_loss(&mut self) {
        let is_silent = self.told_of_loss.is_some_and(|at| at.elapsed() < SILENCE);
        if is_silent || self.lost.load(Ordering::Relaxed) == 0 {
            return;
        }
        self.told_of_loss = Some(Instant::now());
        let lost = self.lost.swap(0, Ordering::Relaxed);
        tracing::warn!(lost, "spans were lost: more were made than the collector takes");
    }
}
