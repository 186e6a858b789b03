//! What is recorded of a request, and the promise that nothing goes out unrecorded: a request gets its place in the
//! queue of records before it is forwarded, and waits or is refused while there is none.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use base::clock::Clock;
use base::id::Slug;
use bus::message::Version;
use bus::message::egress::{Allowed, Blocked};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

use crate::body::Progress;
use crate::refusal::{Asked, Refusal};

/// Requests in hand and records on their way, together.
pub(crate) const QUEUE: usize = 4096;
/// How long a request waits for its place.
const PATIENCE: Duration = Duration::from_secs(5);

/// One decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Record {
    /// Let through.
    Allowed(Box<Allowed>),
    /// Refused.
    Blocked(Blocked),
}

/// Where decisions are noted. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Recorder {
    queue: mpsc::Sender<Record>,
    full: Arc<AtomicBool>,
    bottle: Slug,
    clock: Clock,
}

/// A request that was let through. Its record is written when this is dropped.
pub(crate) struct Exchange {
    /// Until it is recorded.
    pending: Option<(mpsc::OwnedPermit<Record>, Box<Allowed>)>,
    recorder: Recorder,
    begun: Instant,
    sent: Option<Arc<Progress>>,
}

impl Recorder {
    /// A recorder and the queue's other end. While `full` is set, nothing may happen.
    pub(crate) fn new(bottle: Slug, clock: Clock, full: Arc<AtomicBool>) -> (Self, mpsc::Receiver<Record>) {
        let (queue, records) = mpsc::channel(QUEUE);
        (Self { queue, full, bottle, clock }, records)
    }

    /// Gives a request its place.
    ///
    /// # Errors
    /// [`Refusal::RecordsFull`], [`Refusal::Busy`], [`Refusal::Stopping`].
    pub(crate) async fn admit(&self, asked: &Asked, port: u16, revision: u64) -> Result<Exchange, Refusal> {
        let place = self.place().await?;
        let line = Box::new(Allowed {
            id: asked.id.clone(),
            at: self.clock.now(),
            method: asked.method.clone(),
            scheme: asked.scheme.to_owned(),
            host: asked.host.clone(),
            port,
            path: asked.path.clone(),
            status: 0,
            sent: 0,
            received: 0,
            duration_ms: 0,
            revision,
        });
        Ok(Exchange {
            pending: Some((place, line)),
            recorder: self.clone(),
            begun: Instant::now(),
            sent: None,
        })
    }

    /// Records a request that was refused before it had a place.
    ///
    /// # Errors
    /// As [`Recorder::admit`].
    pub(crate) async fn refuse(
        &self,
        refusal: &Refusal,
        asked: &Asked,
        status: u16,
        revision: u64,
    ) -> Result<(), Refusal> {
        let place = self.place().await?;
        place.send(Record::Blocked(self.blocked(refusal, asked, status, revision)));
        Ok(())
    }

    async fn place(&self) -> Result<mpsc::OwnedPermit<Record>, Refusal> {
        if self.full.load(Ordering::Relaxed) {
            return Err(Refusal::RecordsFull);
        }
        match timeout(PATIENCE, self.queue.clone().reserve_owned()).await {
            Ok(Ok(place)) => Ok(place),
            Ok(Err(_)) => Err(Refusal::Stopping),
            Err(_) => Err(Refusal::Busy),
        }
    }

    fn blocked(&self, refusal: &Refusal, asked: &Asked, status: u16, revision: u64) -> Blocked {
        Blocked {
            v: Version,
            bottle: self.bottle.clone(),
            id: asked.id.clone(),
            at: self.clock.now(),
            method: asked.method.clone(),
            scheme: asked.scheme.to_owned(),
            host: asked.host.clone(),
            port: asked.port,
            path: asked.path.clone(),
            rule: refusal.rule().to_owned(),
            reason: refusal.to_string(),
            status,
            revision,
        }
    }
}

impl Exchange {
    /// Follows the request's body.
    pub(crate) fn follow(&mut self, sent: Arc<Progress>) {
        self.sent = Some(sent);
    }

    /// Notes the origin's status.
    pub(crate) fn answered(&mut self, status: u16) {
        self.edit(|line| line.status = status);
    }

    /// Counts bytes of the answer's body; what has come in total.
    pub(crate) fn count_received(&mut self, bytes: u64) -> u64 {
        let Some((_, line)) = &mut self.pending else { return 0 };
        line.received = line.received.saturating_add(bytes);
        line.received
    }

    /// Notes what went through a connection that became something else.
    pub(crate) fn relayed(&mut self, sent: u64, received: u64) {
        self.sent = None;
        self.edit(|line| (line.sent, line.received) = (sent, received));
    }

    /// The request was refused after all.
    pub(crate) fn refuse(mut self, refusal: &Refusal, asked: &Asked) {
        if let Some((place, line)) = self.pending.take() {
            let status = refusal.status().as_u16();
            place.send(Record::Blocked(self.recorder.blocked(refusal, asked, status, line.revision)));
        }
    }

    fn edit(&mut self, change: impl FnOnce(&mut Allowed)) {
        if let Some((_, line)) = &mut self.pending {
            change(line);
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let Some((place, mut line)) = self.pending.take() else { return };
        if let Some(sent) = &self.sent {
            line.sent = sent.bytes();
        }
        line.duration_ms = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        place.send(Record::Allowed(line));
    }
}
