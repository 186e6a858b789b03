//! A request that this launcher runs: its claim on the bus, which also tells how the request ended (invariant 10).

use bus::layout::REQUESTS;
use bus::message::record::{ClaimState, End, RequestClaim};
use bus::{Bus, BusError};
use tokio::sync::Mutex;

use crate::record::update_own;

/// The claim of a request, held by the task that runs it.
pub(crate) struct Hold {
    bus: Bus,
    stored: Mutex<Stored>,
}

struct Stored {
    claim: RequestClaim,
    revision: u64,
}

impl Hold {
    /// Takes a request, instead of whoever had it at this revision. Nothing if another launcher was faster.
    ///
    /// # Errors
    /// The bus.
    pub(crate) async fn take(
        bus: &Bus,
        claim: RequestClaim,
        former: Option<u64>,
    ) -> Result<Option<Self>, BusError> {
        let (bucket, key) = (bus.bucket(&REQUESTS), claim.request.as_str());
        let taken = match former {
            Some(revision) => bucket.update(key, &claim, revision).await,
            None => bucket.create(key, &claim).await,
        };
        match taken {
            Ok(revision) => {
                Ok(Some(Self { bus: bus.clone(), stored: Mutex::new(Stored { claim, revision }) }))
            }
            Err(BusError::Conflict { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Notes how it ended, before anybody is told: a launcher that dies while it tells is followed by one that tells
    /// the same.
    ///
    /// # Errors
    /// The bus.
    pub(crate) async fn ends(&self, end: End) -> Result<(), BusError> {
        self.change(|claim| claim.end = Some(end)).await
    }

    /// It is over, and everybody was told.
    ///
    /// # Errors
    /// The bus.
    pub(crate) async fn done(&self) -> Result<(), BusError> {
        self.change(|claim| (claim.state, claim.end) = (ClaimState::Done, None)).await
    }

    /// Gives it back as if this try had not been: it was ended on purpose.
    ///
    /// # Errors
    /// The bus.
    pub(crate) async fn give_back(self) -> Result<(), BusError> {
        let mut stored = self.stored.into_inner();
        // Refused if somebody else has it by now, who keeps it.
        stored.change(&self.bus, |claim| claim.attempt -= 1).await?;
        if stored.claim.attempt > 0 {
            return Ok(());
        }
        self.bus.bucket(&REQUESTS).delete(stored.claim.request.as_str()).await
    }

    async fn change(&self, change: impl FnOnce(&mut RequestClaim)) -> Result<(), BusError> {
        self.stored.lock().await.change(&self.bus, change).await
    }
}

impl Stored {
    async fn change(&mut self, bus: &Bus, change: impl FnOnce(&mut RequestClaim)) -> Result<(), BusError> {
        let Self { claim, revision } = self;
        let (launcher, attempt) = (claim.launcher.clone(), claim.attempt);
        let is_own = |found: &RequestClaim, _: &mut _| found.launcher == launcher && found.attempt == attempt;
        change(claim);
        let (bucket, request) = (bus.bucket(&REQUESTS), claim.request.clone());
        *revision = update_own((&bucket, request.as_str(), None), claim, *revision, is_own).await?;
        Ok(())
    }
}
