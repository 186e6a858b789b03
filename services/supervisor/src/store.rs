//! The revisions in their bucket, and on their way to a sidecar.

use base::id::Slug;
use bus::layout::POLICY;
use bus::message::revision::{PolicyChange, PolicyRevision};
use bus::{Bus, BusError, KeyValue, Value};

use crate::revision::{Next, Restored, next_revision, restored};

/// The bucket, through one connection.
pub(crate) struct Store {
    bus: Bus,
    policies: KeyValue<PolicyRevision>,
}

impl Store {
    pub(crate) fn new(bus: &Bus) -> Self {
        Self { bus: bus.clone(), policies: bus.bucket(&POLICY) }
    }

    pub(crate) async fn current(&self, bottle: &Slug) -> Result<Option<PolicyRevision>, BusError> {
        Ok(self.stored(bottle).await?.map(|stored| stored.value))
    }

    pub(crate) async fn stored(&self, bottle: &Slug) -> Result<Option<Value<PolicyRevision>>, BusError> {
        self.policies.get(bottle.as_str()).await
    }

    /// The revisions that are still known, oldest first, the current one last.
    pub(crate) async fn history(&self, bottle: &Slug) -> Result<Vec<PolicyRevision>, BusError> {
        let stored = self.policies.history(bottle.as_str()).await?;
        Ok(stored.into_iter().map(|stored| stored.value).collect())
    }

    /// Removes a bottle's revisions, if there are any.
    pub(crate) async fn remove(&self, bottle: &Slug) -> Result<(), BusError> {
        match self.policies.get(bottle.as_str()).await {
            Ok(None) => Ok(()),
            Ok(Some(_)) | Err(BusError::Malformed { .. }) => self.policies.delete(bottle.as_str()).await,
            Err(error) => Err(error),
        }
    }

    pub(crate) async fn bottles(&self) -> Result<Vec<String>, BusError> {
        self.policies.keys().await
    }

    /// Stores what a change makes of the current revision. Whoever is faster wins; the other gets a conflict.
    pub(crate) async fn change(&self, asked: &PolicyChange) -> Result<Next, BusError> {
        let key = asked.bottle.as_str();
        let stored = self.policies.get(key).await?;
        let next = next_revision(stored.as_ref().map(|stored| &stored.value), asked);
        let Next::Revision(revision) = &next else { return Ok(next) };
        let written = match &stored {
            Some(stored) => self.policies.update(key, revision, stored.revision).await,
            None => self.policies.create(key, revision).await,
        };
        match written {
            Ok(_) => Ok(next),
            Err(BusError::Conflict { .. }) => {
                let current = self.current(&asked.bottle).await?.map_or(0, |current| current.revision);
                Ok(Next::Conflict { current })
            }
            Err(error) => Err(error),
        }
    }

    /// Stores what follows when a sidecar refuses a revision.
    pub(crate) async fn restore(
        &self,
        bottle: &Slug,
        refused: u64,
        running: u64,
    ) -> Result<Restored, BusError> {
        let stored = self.policies.history(bottle.as_str()).await?;
        let last = stored.last().map_or(0, |last| last.revision);
        let history: Vec<_> = stored.into_iter().map(|stored| stored.value).collect();
        let outcome = restored(&history, refused, running);
        if let Restored::Revision(revision) = &outcome {
            match self.policies.update(bottle.as_str(), revision, last).await {
                Ok(_) => {}
                Err(BusError::Conflict { .. }) => return Ok(Restored::Superseded),
                Err(error) => return Err(error),
            }
        }
        Ok(outcome)
    }

    /// Hands a revision to the bottle's sidecar, if one listens.
    pub(crate) async fn push(&self, revision: &PolicyRevision) -> Result<(), BusError> {
        self.bus.announce(revision).await
    }
}
