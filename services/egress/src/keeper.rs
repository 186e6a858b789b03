//! Carries records to the bus: refusals at once, allowed requests by the second, and by way of the disk while the bus
//! is away.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use base::id::Slug;
use base::lifecycle::Lifecycle;
use bus::message::Version;
use bus::message::egress::{Allowed, Log};
use bus::{Bus, BusError, Link};
use futures::future::join_all;
use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use crate::record::{Queue, Record};
use crate::spool::{Parcel, Spool};

/// Lines in one batch at most, so that it stays well below a bus message's size.
const BATCH: usize = 200;
/// Messages on their way at once.
const WINDOW: usize = 64;
/// How often the last requests are looked after.
const LAST_LOOK: Duration = Duration::from_millis(5);
/// How long the bus may take to confirm a message before it goes to the disk.
const CONFIRM: Duration = Duration::from_secs(2);

/// Where records go.
pub enum Destination {
    /// To the bus, as soon as it is there.
    Bus(watch::Receiver<Option<Bus>>),
    /// To whoever started the proxy in their own process.
    Channel(mpsc::Sender<Parcel>),
}

impl Destination {
    /// Whether trying to send is worth it at this moment.
    fn is_there(&self) -> bool {
        match self {
            Self::Bus(bus) => bus.borrow().as_ref().is_some_and(|bus| *bus.link().borrow() == Link::Up),
            Self::Channel(_) => true,
        }
    }
}

/// The one owner of the spool.
pub(crate) struct Keeper {
    bottle: Slug,
    destination: Destination,
    spool: Spool,
    /// Set while no further record can be kept.
    full: Arc<AtomicBool>,
    batch: u64,
    lines: Vec<Allowed>,
    /// In order; neither delivered nor spooled yet.
    waiting: VecDeque<Parcel>,
}

impl Keeper {
    pub(crate) fn new(bottle: Slug, destination: Destination, spool: Spool, full: Arc<AtomicBool>) -> Self {
        full.store(spool.is_full(), Ordering::Relaxed);
        let batch = spool.last_batch();
        Self { bottle, destination, spool, full, batch, lines: Vec::new(), waiting: VecDeque::new() }
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
            self.take(queue.take());
            if is_second {
                self.close_batch();
            }
            if is_second || !self.waiting.is_empty() {
                self.deliver().await;
            }
        }
        queue.close();
        while !queue.is_empty() {
            self.take(queue.take());
            self.deliver().await;
            sleep(LAST_LOOK).await;
        }
        self.close_batch();
        self.deliver().await;
    }

    fn take(&mut self, records: impl Iterator<Item = Record>) {
        for record in records {
            match record {
                Record::Blocked(blocked) => self.waiting.push_back(Parcel::Blocked(*blocked)),
                Record::Allowed(line) => {
                    self.lines.push(*line);
                    if self.lines.len() >= BATCH {
                        self.close_batch();
                    }
                }
            }
        }
    }

    fn close_batch(&mut self) {
        if self.lines.is_empty() {
            return;
        }
        self.batch += 1;
        if let Err(error) = self.spool.note_batch(self.batch) {
            tracing::warn!(%error, "cannot note the number of the last batch");
        }
        let lines = std::mem::take(&mut self.lines);
        let log = Log { v: Version, bottle: self.bottle.clone(), batch: self.batch, lines };
        self.waiting.push_back(Parcel::Log(log));
    }

    async fn deliver(&mut self) {
        self.replay().await;
        while self.spool.is_empty() && !self.waiting.is_empty() {
            let count = self.waiting.len().min(WINDOW);
            let sent =
                send(&self.destination, self.waiting.make_contiguous().get(..count).unwrap_or_default())
                    .await;
            self.waiting.drain(..sent);
            if sent < count {
                break;
            }
        }
        self.put_away();
    }

    /// Sends what is on disk, as long as the bus takes it.
    async fn replay(&mut self) {
        while !self.spool.is_empty() && self.destination.is_there() {
            let (parcels, place) = match self.spool.next(WINDOW) {
                Ok(next) => next,
                Err(error) => {
                    tracing::error!(%error, "cannot read the spooled records");
                    return;
                }
            };
            // Parcels that the bus got twice are one to it, by their keys.
            if send(&self.destination, &parcels).await < parcels.len() {
                return;
            }
            if let Err(error) = self.spool.delivered(place) {
                tracing::error!(%error, "cannot note which spooled records were delivered");
                return;
            }
        }
    }

    /// Spools what could not be sent, and says whether more may come.
    fn put_away(&mut self) {
        let mut is_full = false;
        if !self.waiting.is_empty() {
            match self.spool.append(self.waiting.make_contiguous()) {
                Ok(()) => self.waiting.clear(),
                Err(error) => {
                    tracing::error!(%error, "cannot spool records; requests are refused until it works again");
                    is_full = true;
                }
            }
        }
        is_full |= self.spool.is_full();
        if self.full.swap(is_full, Ordering::Relaxed) != is_full {
            tracing::warn!(is_full, "the spool of records changed its state");
        }
    }
}

/// Sends messages; how many of them, from the first on, have surely arrived.
async fn send(destination: &Destination, parcels: &[Parcel]) -> usize {
    if !destination.is_there() {
        return 0;
    }
    match destination {
        Destination::Channel(channel) => {
            for (index, parcel) in parcels.iter().enumerate() {
                if channel.send(parcel.clone()).await.is_err() {
                    return index;
                }
            }
            parcels.len()
        }
        Destination::Bus(bus) => {
            let Some(bus) = bus.borrow().clone() else { return 0 };
            let sent = join_all(parcels.iter().map(|parcel| publish(&bus, parcel))).await;
            sent.iter().take_while(|arrived| **arrived).count()
        }
    }
}

async fn publish(bus: &Bus, parcel: &Parcel) -> bool {
    let publication = async {
        match parcel {
            Parcel::Blocked(blocked) => bus.publish_within(blocked, CONFIRM).await,
            Parcel::Log(log) => bus.publish_within(log, CONFIRM).await,
        }
    };
    match timeout(CONFIRM * 2, publication).await {
        Ok(Ok(_)) => true,
        // Expected while the bus is away; the spool has it.
        Ok(Err(BusError::Deadline { .. })) | Err(_) => false,
        Ok(Err(error)) => {
            tracing::warn!(error = base::error::chain(&error), "the bus does not take a record");
            false
        }
    }
}
