//! Carries records to the bus, and tries again as long as it must.

use std::sync::Arc;
use std::time::Duration;

use base::error::chain;
use base::lifecycle::Lifecycle;
use bus::message::push::Parcel;
use bus::{Bus, Link};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{sleep, timeout};

use super::store::{Name, Store};

/// How long the bus may take to confirm one.
const CONFIRM: Duration = Duration::from_secs(2);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(500);
/// How long the last records may take to reach the bus. The launcher ends a gate only when the bus is there; the gate may
/// notice that a little later.
const LAST_WORDS: Duration = Duration::from_secs(15);

/// A record that is on disk.
pub(super) struct Errand {
    pub(super) name: Name,
    pub(super) parcel: Parcel,
    pub(super) done: oneshot::Sender<()>,
}

/// Runs until everybody who records has ended, and at least until the lifecycle stops. What the bus has not taken by then
/// stays on disk.
pub(super) async fn carry(
    store: Arc<Store>,
    bus: watch::Receiver<Option<Bus>>,
    mut asked: mpsc::Receiver<Errand>,
    life: Lifecycle,
) {
    let mut waiting: Waiting =
        store.records().into_iter().map(|(name, parcel)| (name, parcel, None)).collect();
    loop {
        let pause = if waiting.is_empty() { Duration::MAX } else { PAUSE };
        let errand = tokio::select! {
            errand = asked.recv() => errand,
            () = sleep(pause) => None,
        };
        match errand {
            Some(Errand { name, parcel, done }) => waiting.push((name, parcel, Some(done))),
            None if asked.is_closed() => break,
            None => {}
        }
        waiting = deliver(&store, &bus, waiting).await;
    }
    let drained = async {
        while !waiting.is_empty() {
            waiting = deliver(&store, &bus, std::mem::take(&mut waiting)).await;
            sleep(PAUSE / 10).await;
        }
    };
    // The disk goes with the bottle.
    if timeout(LAST_WORDS, drained).await.is_err() {
        tracing::error!("the bus has not taken the last records of pushes; they stay in the spool");
    }
    life.stopping().await;
}

/// Records that wait, with whoever waits for them.
type Waiting = Vec<(Name, Parcel, Option<oneshot::Sender<()>>)>;

/// Delivers records in order; returns those that have to wait.
async fn deliver(store: &Store, bus: &watch::Receiver<Option<Bus>>, waiting: Waiting) -> Waiting {
    let mut left = Vec::new();
    let mut is_away = false;
    for (name, parcel, done) in waiting {
        if !is_away && is_over(store, bus, &name, &parcel).await {
            // Who waited for it may have given up.
            done.into_iter().for_each(|done| _ = done.send(()));
        } else {
            is_away = true;
            left.push((name, parcel, done));
        }
    }
    left
}

/// Whether a record needs nothing more.
async fn is_over(store: &Store, bus: &watch::Receiver<Option<Bus>>, name: &Name, parcel: &Parcel) -> bool {
    let Some(bus) = bus.borrow().clone().filter(|bus| *bus.link().borrow() == Link::Up) else {
        return false;
    };
    let published = match parcel {
        Parcel::Accepted(accepted) => bus.publish_within(accepted, CONFIRM).await,
        Parcel::Rejected(rejected) => bus.publish_within(rejected, CONFIRM).await,
    };
    let put_away = match published {
        Ok(_) => store.delivered(name.clone()).await,
        Err(error) if error.is_for_good() => {
            tracing::error!(
                error = chain(&error),
                "the bus refuses a record for good; it is kept beside the others"
            );
            store.park(name.clone()).await.map(drop)
        }
        Err(error) => {
            tracing::warn!(error = chain(&error), "the bus does not take a record");
            return false;
        }
    };
    if let Err(error) = put_away {
        // The bus knows it by its key when it comes again.
        tracing::error!(%error, "a delivered record cannot be put away");
    }
    true
}
