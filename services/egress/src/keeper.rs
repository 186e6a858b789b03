//! Carries records to the bus: refusals at once, allowed requests by the second, and by way of the disk while the bus
//! is away.

mod destination;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base::id::Slug;
use base::lifecycle::Lifecycle;
use bus::message::Version;
use bus::message::egress::{Allowed, Log};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

use crate::journal::{Journal, Level, passed, refused};
use crate::metrics::Metrics;
use crate::record::{Decision, Queue, Record};
use crate::scrub::Scrubber;
use crate::span::Spans;
use crate::spool::{Parcel, Spool};

pub use destination::Destination;
use destination::{Fate, send};

/// Lines in one batch at most, so that it stays well below a bus message's size.
const BATCH: usize = 200;
/// Messages on their way at once.
const WINDOW: usize = 64;
/// How often the last requests are looked after.
const LAST_LOOK: Duration = Duration::from_millis(5);
/// How long the last records may take to reach the bus, and how long it may take none of them meanwhile. The launcher ends
/// a proxy only when the bus is there; the proxy may notice that a little later.
const LAST_WORDS: Duration = Duration::from_secs(15);
const LAST_SILENCE: Duration = Duration::from_secs(5);

/// The one user of the spool.
pub(crate) struct Keeper {
    bottle: Slug,
    destination: Destination,
    spool: Arc<Mutex<Spool>>,
    /// Set while no further record can be kept.
    full: Arc<AtomicBool>,
    /// The last one, and the last one of which the spool knows.
    batch: u64,
    noted: u64,
    lines: Vec<Allowed>,
    /// Every record goes through it, before it is kept or sent.
    scrubber: Scrubber,
    journal: Option<Journal>,
    metrics: Option<Arc<Metrics>>,
    spans: Option<Spans>,
    /// In order; neither delivered nor spooled yet.
    waiting: Vec<Parcel>,
}

impl Keeper {
    pub(crate) fn new(
        bottle: Slug,
        destination: Destination,
        spool: Spool,
        full: Arc<AtomicBool>,
        scrubber: Scrubber,
    ) -> Self {
        full.store(spool.is_full(), Ordering::Relaxed);
        let batch = spool.last_batch();
        let spool = Arc::new(Mutex::new(spool));
        Self {
            bottle,
            destination,
            spool,
            full,
            batch,
            noted: batch,
            lines: Vec::new(),
            scrubber,
            journal: None,
            metrics: None,
            spans: None,
            waiting: Vec::new(),
        }
    }

    /// Logs decisions as well, as far as the policy that they were made under has them logged.
    pub(crate) fn log_to(&mut self, journal: Journal) {
        self.journal = Some(journal);
    }

    /// Counts decisions as well.
    pub(crate) fn count(&mut self, metrics: Arc<Metrics>) {
        self.metrics = Some(metrics);
    }

    /// Tells of requests as spans as well.
    pub(crate) fn tell(&mut self, spans: Spans) {
        self.spans = Some(spans);
    }

    /// Runs until the lifecycle stops and every request in hand has brought its record; what the bus has not taken by
    /// then is on disk.
    pub(crate) async fn run(mut self, queue: Arc<Queue>, life: Lifecycle) {
        let mut second = interval(Duration::from_secs(1));
        second.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let is_second = tokio::select! {
                () = queue.ready() => false,
                _ = second.tick() => true,
                () = life.stopping() => break,
            };
            self.take(queue.take()).await;
            if is_second {
                self.close_batch();
            }
            if is_second || !self.waiting.is_empty() {
                self.deliver().await;
            }
            if is_second {
                self.sync().await;
            }
        }
        queue.close();
        while !queue.is_empty() {
            self.take(queue.take()).await;
            self.deliver().await;
            sleep(LAST_LOOK).await;
        }
        self.close_batch();
        self.deliver().await;
        // The disk goes with the bottle.
        if timeout(LAST_WORDS, self.drain()).await.is_err() || !self.is_all_delivered() {
            tracing::error!("the bus has not taken the last records; they stay in the spool");
        }
        self.sync().await;
    }

    /// Delivers what is on disk, as long as that comes to something.
    async fn drain(&mut self) {
        let (mut left, mut since) = (u64::MAX, Instant::now());
        while !self.is_all_delivered() && self.destination.may_come_back() && since.elapsed() < LAST_SILENCE {
            self.deliver().await;
            let waiting = self.spool.lock().unwrap_or_else(PoisonError::into_inner).waiting();
            if waiting < left {
                (left, since) = (waiting, Instant::now());
            }
            sleep(LAST_LOOK).await;
        }
    }

    async fn take(&mut self, records: impl Iterator<Item = Record>) {
        for Record { decision, log, seen } in records {
            let seen = seen.as_deref();
            let journal = self.journal.as_mut().filter(|_| log != Level::Off);
            match decision {
                Decision::Blocked(mut blocked) => {
                    self.scrubber.blocked(&mut blocked);
                    if let Some(metrics) = &self.metrics {
                        metrics.blocked(&blocked, refused(&blocked));
                    }
                    if let Some(spans) = &self.spans {
                        spans.blocked(&blocked);
                    }
                    if let Some(journal) = journal {
                        journal.blocked(&blocked, seen, &self.scrubber);
                    }
                    self.waiting.push(Parcel::Blocked(blocked));
                }
                Decision::Allowed(line) => {
                    let mut line = line.into();
                    self.scrubber.allowed(&mut line);
                    if let Some(metrics) = &self.metrics {
                        metrics.allowed(&line, passed(&line));
                    }
                    if let Some(spans) = &self.spans {
                        spans.allowed(&line);
                    }
                    if let Some(journal) = journal {
                        journal.allowed(&line, seen, &self.scrubber);
                    }
                    self.lines.push(line);
                    if self.lines.len() >= BATCH {
                        self.close_batch();
                    }
                }
            }
        }
        if let Some(journal) = &mut self.journal {
            journal.flush().await;
        }
    }

    fn close_batch(&mut self) {
        if self.lines.is_empty() {
            return;
        }
        self.batch += 1;
        let lines = std::mem::replace(&mut self.lines, Vec::with_capacity(BATCH));
        let log = Log { v: Version, bottle: self.bottle.clone(), batch: self.batch, lines };
        self.waiting.push(Parcel::Log(log));
    }

    async fn deliver(&mut self) {
        self.note_batch().await;
        self.replay().await;
        while !self.waiting.is_empty() && self.is_all_delivered() {
            let mut window = std::mem::take(&mut self.waiting);
            let rest = window.split_off(window.len().min(WINDOW));
            let (mut window, settled) = self.settle(window).await;
            let is_all = settled == window.len();
            self.waiting = window.split_off(settled);
            self.waiting.extend(rest);
            if !is_all {
                break;
            }
        }
        self.put_away().await;
    }

    /// Before a batch is sent, so that its number is never used twice.
    async fn note_batch(&mut self) {
        let batch = self.batch;
        if batch == self.noted {
            return;
        }
        match self.on_disk(move |spool| spool.note_batch(batch)).await {
            Ok(()) => self.noted = batch,
            Err(error) => tracing::warn!(%error, "cannot note the number of the last batch"),
        }
    }

    /// Whether nothing is on disk. Nobody else uses the spool, so this waits for nothing.
    fn is_all_delivered(&self) -> bool {
        self.spool.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Sends what is on disk, as long as the bus takes it.
    async fn replay(&mut self) {
        while !self.is_all_delivered() && self.destination.is_there() {
            let (parcels, place) = match self.on_disk(|spool| spool.next(WINDOW)).await {
                Ok(next) => next,
                Err(error) => {
                    tracing::error!(%error, "cannot read the spooled records");
                    return;
                }
            };
            // Parcels that the bus got twice are one to it, by their keys.
            let (parcels, settled) = self.settle(parcels).await;
            if settled < parcels.len() {
                return;
            }
            if let Err(error) = self.on_disk(move |spool| spool.delivered(place)).await {
                tracing::error!(%error, "cannot note which spooled records were delivered");
                return;
            }
        }
    }

    /// Sends messages, and parks what the bus refuses for good. How many of them, from the first on, need nothing more.
    async fn settle(&mut self, parcels: Vec<Parcel>) -> (Vec<Parcel>, usize) {
        let fates = send(&self.destination, &parcels).await;
        if fates.iter().all(|fate| *fate == Fate::Arrived) {
            let settled = fates.len();
            return (parcels, settled);
        }
        self.on_disk(move |spool| {
            for (index, (parcel, fate)) in parcels.iter().zip(&fates).enumerate() {
                let Fate::Refused(reason) = fate else { continue };
                tracing::error!(
                    reason,
                    "the bus refuses a record for good; it is kept in the spool's file `refused`"
                );
                if let Err(error) = spool.park(parcel, reason) {
                    tracing::error!(%error, "cannot keep it there; it is tried again");
                    return (parcels, index);
                }
            }
            (parcels, fates.len())
        })
        .await
    }

    /// Spools what could not be sent, and says whether more may come.
    async fn put_away(&mut self) {
        let waiting = std::mem::take(&mut self.waiting);
        let (waiting, is_full, spooled) = self
            .on_disk(|spool| {
                if waiting.is_empty() {
                    return (waiting, spool.is_full(), spool.waiting());
                }
                match spool.append(&waiting) {
                    Ok(()) => (Vec::new(), spool.is_full(), spool.waiting()),
                    Err(error) => {
                        tracing::error!(%error, "cannot spool records; requests are refused until it works again");
                        (waiting, true, spool.waiting())
                    }
                }
            })
            .await;
        self.waiting = waiting;
        if let Some(metrics) = &self.metrics {
            metrics.spooled.set(spooled);
        }
        if self.full.swap(is_full, Ordering::Relaxed) != is_full {
            tracing::warn!(is_full, "the spool of records changed its state");
        }
    }

    async fn sync(&self) {
        if let Err(error) = self.on_disk(Spool::sync).await {
            tracing::error!(%error, "cannot bring the spooled records to the disk");
        }
    }

    /// Does something with the spool, where waiting for the disk delays no request.
    ///
    /// # Panics
    /// When `work` does: without its records the proxy must not go on.
    async fn on_disk<T: Send + 'static>(&self, work: impl FnOnce(&mut Spool) -> T + Send + 'static) -> T {
        let spool = Arc::clone(&self.spool);
        let done = spawn_blocking(move || work(&mut spool.lock().unwrap_or_else(PoisonError::into_inner)));
        match done.await {
            Ok(done) => done,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            // The runtime has ended; so does this, at its next await.
            Err(_) => std::future::pending().await,
        }
    }
}
