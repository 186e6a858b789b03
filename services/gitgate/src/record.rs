//! What became of every push, on its way to the bus. A record is on disk before anything else happens with it, and leaves
//! the disk when the bus has it; a gate that is started again goes on where another stopped.

mod carry;
mod store;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base::clock::Clock;
use base::lifecycle::Lifecycle;
use bus::message::push::{Accepted, Parcel, Rejected};
use bus::{Bus, Link};
use jiff::{SignedDuration, Timestamp};
use std::sync::{Mutex, PoisonError};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

use carry::{Errand, carry};
use store::{Name, Store};

/// Records that wait for the bus's answer at once.
const WAITING: usize = 256;
/// How long a push waits for the bus to take its record; it is on disk by then.
const CONFIRM: Duration = Duration::from_secs(5);

/// A push that may have gone upstream, as far as the disk knows.
#[derive(Debug)]
pub(crate) struct Intent {
    name: Name,
    pub(crate) accepted: Accepted,
}

/// See the module.
pub(crate) struct Recorder {
    bus: watch::Receiver<Option<Bus>>,
    store: Arc<Store>,
    errands: mpsc::Sender<Errand>,
    clock: Clock,
    last: Mutex<Timestamp>,
}

/// Records cannot be kept: the disk is full or gone.
#[derive(Debug, thiserror::Error)]
#[error("a record of the push cannot be written")]
pub(crate) struct NotKept(#[from] std::io::Error);

impl Recorder {
    /// Opens the directory, with what an earlier process left there, and carries its records to the bus.
    pub(crate) fn open(
        directory: &Path,
        bus: watch::Receiver<Option<Bus>>,
        clock: Clock,
        life: &Lifecycle,
    ) -> anyhow::Result<Self> {
        let store = Arc::new(Store::open(directory)?);
        let (errands, asked) = mpsc::channel(WAITING);
        life.spawn_essential(carry(Arc::clone(&store), bus.clone(), asked, life.clone()));
        Ok(Self { bus, store, errands, clock, last: Mutex::new(Timestamp::UNIX_EPOCH) })
    }

    /// Whether the bus is there, so that what is done now can be recorded now.
    pub(crate) fn is_up(&self) -> bool {
        self.bus.borrow().as_ref().is_some_and(|bus| *bus.link().borrow() == Link::Up)
    }

    /// Whether so much waits for the bus that no more pushes may come to be.
    pub(crate) fn is_full(&self) -> bool {
        self.store.is_full()
    }

    /// A moment that no other push of this bottle has: it tells its record from others.
    pub(crate) fn moment(&self) -> Timestamp {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let next = last.checked_add(SignedDuration::from_millis(1)).unwrap_or(*last);
        *last = self.clock.now().max(next);
        *last
    }

    /// Notes a push before upstream is asked to take it.
    pub(crate) async fn intend(&self, accepted: Accepted) -> Result<Intent, NotKept> {
        let name = self.store.intend(&accepted).await?;
        Ok(Intent { name, accepted })
    }

    /// Pushes that an earlier process did not hear the end of.
    pub(crate) fn intents(&self) -> Vec<Intent> {
        self.store.intents().into_iter().map(|(name, accepted)| Intent { name, accepted }).collect()
    }

    /// Upstream took it.
    pub(crate) async fn accepted(&self, intent: Intent) {
        let Intent { name, accepted } = intent;
        match self.store.confirm(name).await {
            Ok(name) => self.deliver(name, Parcel::Accepted(accepted)).await,
            // It stays noted as it was, and is settled by the next process.
            Err(error) => tracing::error!(%error, "cannot note that upstream took a push"),
        }
    }

    /// Upstream did not take it.
    pub(crate) async fn withdrawn(&self, intent: Intent, rejected: Rejected) {
        self.rejected(rejected).await;
        if let Err(error) = self.store.forget(intent.name).await {
            tracing::error!(%error, "cannot remove the note of a push that upstream refused");
        }
    }

    /// A push was refused.
    pub(crate) async fn rejected(&self, rejected: Rejected) {
        let parcel = Parcel::Rejected(rejected);
        match self.store.keep(&parcel).await {
            Ok(name) => self.deliver(name, parcel).await,
            Err(error) => tracing::error!(%error, "cannot keep the record of a refused push"),
        }
    }

    /// Waits until the bus has it, but not for ever: it is on disk.
    async fn deliver(&self, name: Name, parcel: Parcel) {
        let (done, is_done) = oneshot::channel();
        let delivered = async {
            if self.errands.send(Errand { name, parcel, done }).await.is_ok() {
                let _ = is_done.await;
            }
        };
        if timeout(CONFIRM, delivered).await.is_err() {
            tracing::warn!("the record of a push waits on disk for the bus");
        }
    }
}
