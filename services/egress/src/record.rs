//! What is recorded of a request, and the promise that nothing goes out unrecorded: a request gets its place in the
//! queue of records before it is forwarded, and waits or is refused while there is none.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base::clock::Clock;
use base::id::Slug;
use bus::message::Version;
use bus::message::egress::{Allowed, Blocked, Found};
use http::HeaderMap;
use jiff::Timestamp;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

use crate::body::Progress;
use crate::contents::{Excerpt, Seen, head};
use crate::inspect::Notes;
use crate::journal::Level;
use crate::refusal::{Asked, Refusal};
use crate::running::Under;

/// Requests in hand and records on their way, together.
const PLACES: usize = 4096;
/// Records that are worth waking the keeper for.
const MANY: usize = 200;
/// How long a request waits for its place.
const PATIENCE: Duration = Duration::from_secs(5);

/// One decision, and what may be logged of it.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) decision: Decision,
    pub(crate) log: Level,
    pub(crate) seen: Option<Box<Seen>>,
}

#[derive(Debug)]
pub(crate) enum Decision {
    /// Let through.
    Allowed(Passed),
    /// Refused.
    Blocked(Box<Blocked>),
}

/// What is known of a request that was let through. Its line of the log is written where it delays nobody.
#[derive(Debug)]
pub(crate) struct Passed {
    asked: Arc<Asked>,
    at: Timestamp,
    port: u16,
    status: u16,
    sent: u64,
    received: u64,
    duration: Duration,
    under: Under,
    is_unscanned: bool,
    found: Vec<Found>,
}

impl From<Passed> for Allowed {
    fn from(passed: Passed) -> Self {
        let Asked { id, method, scheme, host, path, .. } = Arc::unwrap_or_clone(passed.asked);
        Self {
            id,
            at: passed.at,
            method,
            scheme: scheme.to_owned(),
            host,
            port: passed.port,
            path,
            status: passed.status,
            sent: passed.sent,
            received: passed.received,
            duration_ms: u64::try_from(passed.duration.as_millis()).unwrap_or(u64::MAX),
            revision: passed.under.revision,
            is_unscanned: passed.is_unscanned,
            found: passed.found,
        }
    }
}

/// Where decisions are noted.
pub(crate) struct Recorder {
    queue: Arc<Queue>,
    full: Arc<AtomicBool>,
    bottle: Slug,
    clock: Clock,
}

/// Records on their way to the keeper. It is woken for a refusal, and for many allowed requests together: waking it
/// for each of them would cost more than the request's own record.
pub(crate) struct Queue {
    places: Arc<Semaphore>,
    waiting: Mutex<Vec<(Record, OwnedSemaphorePermit)>>,
    ready: Notify,
}

/// A request that was let through. Its record is written when this is dropped.
pub(crate) struct Exchange {
    /// Until it is recorded.
    pending: Option<(OwnedSemaphorePermit, Passed)>,
    seen: Option<Box<Seen>>,
    recorder: Arc<Recorder>,
    begun: Instant,
    sent: Option<Arc<Progress>>,
    notes: Option<Arc<Notes>>,
}

impl Queue {
    fn push(&self, record: Record, place: OwnedSemaphorePermit) {
        let is_urgent = matches!(record.decision, Decision::Blocked(_));
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.push((record, place));
        if is_urgent || waiting.len() >= MANY {
            self.ready.notify_one();
        }
    }

    /// Completes when something waits that should not wait for long.
    pub(crate) async fn ready(&self) {
        self.ready.notified().await;
    }

    /// All that waits, in order; their places are free again.
    pub(crate) fn take(&self) -> impl Iterator<Item = Record> + use<> {
        let next = Vec::with_capacity(MANY);
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *waiting, next).into_iter().map(|(record, _)| record)
    }

    /// Gives no more places.
    pub(crate) fn close(&self) {
        self.places.close();
    }

    /// Records that wait.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Whether no request is in hand and no record waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.places.available_permits() == PLACES
    }
}

impl Recorder {
    /// A recorder and its queue. While `full` is set, nothing may happen.
    pub(crate) fn new(bottle: Slug, clock: Clock, full: Arc<AtomicBool>) -> (Arc<Self>, Arc<Queue>) {
        let places = Arc::new(Semaphore::new(PLACES));
        let queue = Arc::new(Queue { places, waiting: Mutex::default(), ready: Notify::new() });
        (Arc::new(Self { queue: Arc::clone(&queue), full, bottle, clock }), queue)
    }

    /// Gives a request its place.
    ///
    /// # Errors
    /// [`Refusal::RecordsFull`], [`Refusal::Busy`], [`Refusal::Stopping`].
    pub(crate) async fn admit(
        self: &Arc<Self>,
        asked: &Arc<Asked>,
        port: u16,
        under: Under,
        seen: Option<Box<Seen>>,
    ) -> Result<Exchange, Refusal> {
        let place = self.place().await?;
        let passed = Passed {
            asked: Arc::clone(asked),
            at: self.clock.now(),
            port,
            status: 0,
            sent: 0,
            received: 0,
            duration: Duration::ZERO,
            under,
            is_unscanned: false,
            found: Vec::new(),
        };
        Ok(Exchange {
            pending: Some((place, passed)),
            seen,
            recorder: Arc::clone(self),
            begun: Instant::now(),
            sent: None,
            notes: None,
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
        under: Under,
        seen: Option<Box<Seen>>,
    ) -> Result<(), Refusal> {
        let place = self.place().await?;
        self.queue.push(self.blocked(refusal, asked, status, under, seen), place);
        Ok(())
    }

    /// Whether nothing more can be kept.
    pub(crate) fn is_full(&self) -> bool {
        self.full.load(Ordering::Relaxed)
    }

    async fn place(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        if self.is_full() {
            return Err(Refusal::RecordsFull);
        }
        if let Ok(place) = Arc::clone(&self.queue.places).try_acquire_owned() {
            return Ok(place);
        }
        match Box::pin(timeout(PATIENCE, Arc::clone(&self.queue.places).acquire_owned())).await {
            Ok(Ok(place)) => Ok(place),
            Ok(Err(_)) => Err(Refusal::Stopping),
            Err(_) => Err(Refusal::Busy),
        }
    }

    fn blocked(
        &self,
        refusal: &Refusal,
        asked: &Asked,
        status: u16,
        under: Under,
        seen: Option<Box<Seen>>,
    ) -> Record {
        let blocked = Box::new(Blocked {
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
            revision: under.revision,
            found: refusal.found().cloned(),
        });
        Record { decision: Decision::Blocked(blocked), log: under.log, seen }
    }
}

impl Exchange {
    /// Follows the request's body.
    pub(crate) fn follow(&mut self, sent: Arc<Progress>) {
        self.sent = Some(sent);
    }

    /// Follows what is found in it.
    pub(crate) fn watch(&mut self, notes: Arc<Notes>) {
        self.notes = Some(notes);
    }

    /// What is followed.
    pub(crate) fn notes(&self) -> Option<Arc<Notes>> {
        self.notes.clone()
    }

    /// Where the beginning of the request's body is kept, if any of it may be logged.
    pub(crate) fn sent(&self) -> Option<Excerpt> {
        self.seen.as_ref().map(|seen| seen.sent.clone())
    }

    /// The same of the answer's.
    pub(crate) fn received(&self) -> Option<&Excerpt> {
        self.seen.as_ref().map(|seen| &seen.received)
    }

    /// Keeps the answer's head, if it may be logged.
    pub(crate) fn show_answer(&mut self, headers: &HeaderMap) {
        if let Some(seen) = &mut self.seen {
            seen.answered = head(headers);
        }
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

    /// Notes that it passes unseen.
    pub(crate) fn pass_unscanned(&mut self) {
        self.edit(|line| line.is_unscanned = true);
    }

    /// Notes what went through a connection that became something else.
    pub(crate) fn relayed(&mut self, sent: u64, received: u64) {
        self.sent = None;
        self.edit(|line| (line.sent, line.received) = (sent, received));
    }

    /// Notes what was found in its answer.
    pub(crate) fn note(&mut self, found: Found) {
        self.edit(|line| note(&mut line.found, found));
    }

    /// The request was refused after all.
    pub(crate) fn refuse(mut self, refusal: &Refusal) {
        self.block(refusal, refusal.status().as_u16());
    }

    /// Its answer was refused when the agent had the head already.
    pub(crate) fn cut(&mut self, refusal: &Refusal) {
        let status = self.pending.as_ref().map_or(0, |(_, line)| line.status);
        self.block(refusal, status);
    }

    fn block(&mut self, refusal: &Refusal, status: u16) {
        if let Some((place, passed)) = self.pending.take() {
            let Passed { asked, under, .. } = passed;
            let record = self.recorder.blocked(refusal, &asked, status, under, self.seen.take());
            self.recorder.queue.push(record, place);
        }
    }

    fn edit(&mut self, change: impl FnOnce(&mut Passed)) {
        if let Some((_, line)) = &mut self.pending {
            change(line);
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        // A body that was refused when its answer had begun: only the two ends of both streams told of it so far.
        if let Some(refusal) = self.sent.as_ref().and_then(|sent| sent.take_refusal()) {
            self.cut(&refusal);
        }
        let Some((place, mut passed)) = self.pending.take() else { return };
        if let Some(sent) = &self.sent {
            passed.sent = sent.bytes();
            if let Some(seen) = self.seen.as_ref().filter(|_| sent.has_ended()) {
                seen.sent.end();
            }
        }
        if let Some(notes) = &self.notes {
            let answer = std::mem::take(&mut passed.found);
            passed.found = std::mem::take(&mut *notes.lock().unwrap_or_else(PoisonError::into_inner));
            answer.into_iter().for_each(|found| note(&mut passed.found, found));
        }
        passed.duration = self.begun.elapsed();
        let (log, seen) = (passed.under.log, self.seen.take());
        self.recorder.queue.push(Record { decision: Decision::Allowed(passed), log, seen }, place);
    }
}

/// Findings that are noted of one request.
const MOST_NOTES: usize = 16;

/// Adds a finding, unless it is there already or there are too many.
pub(crate) fn note(notes: &mut Vec<Found>, found: Found) {
    if notes.len() < MOST_NOTES && !notes.contains(&found) {
        notes.push(found);
    }
}
