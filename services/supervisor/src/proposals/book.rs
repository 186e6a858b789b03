//! The bucket `proposals`, and what of it is in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use base::id::{ProposalId, Slug};
use bus::layout::PROPOSED;
use bus::message::proposal::{ProposalRecord, ProposalState};
use bus::{Bus, BusError, KeyValue, Value};

use super::life;

/// How long an ended proposal can be looked up.
const REMEMBERED: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Ended proposals that are in memory as well, for their aliases and to know what was asked before.
const MOST_ENDED: usize = 4096;

/// Every entry that is not finished, and the latest of the finished ones.
pub(crate) struct Book {
    bucket: KeyValue<ProposalRecord>,
    entries: BTreeMap<ProposalId, Value<ProposalRecord>>,
    /// Entries of which it is not known whether the last write was stored.
    doubtful: BTreeSet<ProposalId>,
}

impl Book {
    pub(crate) async fn load(bus: &Bus) -> Result<Self, BusError> {
        let bucket = bus.bucket(&PROPOSED);
        let mut watch = bucket.watch().await?;
        let mut entries = BTreeMap::new();
        while let Some(change) = watch.stored().await? {
            let Ok(id) = change.key.parse::<ProposalId>() else { continue };
            match change.value {
                Some(Ok(value)) => drop(entries.insert(id, value)),
                Some(Err(malformed)) => tracing::error!(%malformed, "a stored proposal is passed over"),
                None => drop(entries.remove(&id)),
            }
        }
        let mut book = Self { bucket, entries, doubtful: BTreeSet::new() };
        book.forget();
        Ok(book)
    }

    /// What is in memory of a bottle.
    pub(crate) fn of<'a>(&'a self, bottle: &'a Slug) -> impl Iterator<Item = &'a ProposalRecord> {
        self.records().filter(move |record| record.bottle == *bottle)
    }

    pub(crate) fn records(&self) -> impl Iterator<Item = &ProposalRecord> {
        self.entries.values().map(|entry| &entry.value)
    }

    /// What still waits, is being applied, has not been told or has to be taken back.
    pub(crate) fn unfinished(&self) -> impl Iterator<Item = &ProposalRecord> {
        self.records().filter(|record| !is_finished(record))
    }

    /// The place in the stream up to which something has been counted.
    pub(crate) fn sequence(&self) -> Option<u64> {
        self.records().map(|record| record.sequence).max()
    }

    /// An entry, by its own id or another under which it was proposed.
    pub(crate) async fn get(&mut self, id: &ProposalId) -> Result<Option<ProposalRecord>, BusError> {
        self.settle().await?;
        if let Some(entry) = self.entries.get(id) {
            return Ok(Some(entry.value.clone()));
        }
        if let Some(record) = self.records().find(|record| record.answers_to(id)) {
            return Ok(Some(record.clone()));
        }
        Ok(self.bucket.get(id.as_str()).await?.map(|entry| entry.value))
    }

    /// Stores an entry.
    ///
    /// # Errors
    /// It may be stored or not; the next look at the book finds out.
    pub(crate) async fn write(&mut self, record: ProposalRecord) -> Result<(), BusError> {
        self.settle().await?;
        let id = record.proposal.clone();
        let key = id.as_str();
        let written = match self.entries.get(&id).map(|entry| entry.revision) {
            None => self.bucket.create(key, &record).await,
            Some(revision) if is_finished(&record) => {
                self.bucket.update_for(key, &record, revision, REMEMBERED).await
            }
            Some(revision) => self.bucket.update(key, &record, revision).await,
        };
        match written {
            Ok(revision) => {
                let (at, expires) = (record.last, is_finished(&record));
                self.entries.insert(id, Value { value: record, revision, at, expires });
                self.forget();
                Ok(())
            }
            Err(error) => {
                self.doubtful.insert(id);
                Err(error)
            }
        }
    }

    /// Stores an end, publishes it, and notes that it was published.
    pub(crate) async fn finish(&mut self, bus: &Bus, record: ProposalRecord) -> Result<(), BusError> {
        let id = record.proposal.clone();
        self.write(record).await?;
        self.tell(bus, &id).await
    }

    /// Publishes an end that was not published yet.
    pub(crate) async fn tell(&mut self, bus: &Bus, id: &ProposalId) -> Result<(), BusError> {
        let Some(record) = self.get(id).await? else { return Ok(()) };
        let ProposalState::Resolved { resolved, told: false, .. } = &record.state else { return Ok(()) };
        bus.publish(&**resolved).await?;
        match life::told(&record) {
            Some(told) => self.write(told).await,
            None => Ok(()),
        }
    }

    /// Reads again what may be stored or not.
    async fn settle(&mut self) -> Result<(), BusError> {
        while let Some(id) = self.doubtful.first().cloned() {
            match self.bucket.get(id.as_str()).await? {
                Some(entry) => drop(self.entries.insert(id.clone(), entry)),
                None => drop(self.entries.remove(&id)),
            }
            self.doubtful.remove(&id);
        }
        Ok(())
    }

    /// Forgets the oldest of what is finished.
    fn forget(&mut self) {
        let finished = self.entries.values().filter(|entry| is_finished(&entry.value));
        let Some(many) = finished.clone().count().checked_sub(MOST_ENDED).filter(|many| *many > 0) else {
            return;
        };
        let mut oldest: Vec<_> =
            finished.map(|entry| (entry.value.last, entry.value.proposal.clone())).collect();
        oldest.sort();
        for (_, id) in oldest.into_iter().take(many) {
            self.entries.remove(&id);
        }
    }
}

/// Whether nothing more follows from it.
fn is_finished(record: &ProposalRecord) -> bool {
    matches!(record.state, ProposalState::Resolved { told: true, lease: None, .. })
}
