//! Step 2: who owns what, on the bus and on disk (invariant 10).

use std::io;
use std::time::Duration;

use base::clock::Clock;
use base::id::{LauncherId, RequestId, Slug};
use bus::layout::{BOTTLES, REMEMBERED};
use bus::message::Version;
use bus::message::record::{BottleRecord, BottleState, CommitRecord};
use bus::message::run::StateKept;
use bus::message::start::StartRequest;
use bus::{Bus, BusError, KeyValue, Value};
use manifest::settings::RuntimeName;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::backend::docker;
use crate::image::text_of;
use crate::plan::Plan;
use crate::state::StateDir;

/// The ownership label of a state directory; it is there before anything else of the bottle is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Owner {
    /// The launcher.
    pub(crate) launcher: LauncherId,
    /// The request.
    pub(crate) request: RequestId,
}

impl Owner {
    pub(crate) fn store(&self, state: &StateDir) -> io::Result<()> {
        std::fs::write(state.owner(), serde_json::to_vec(self)?)
    }

    /// Nothing of the bottle is left but what is kept on purpose.
    pub(crate) fn forget(state: &StateDir) -> io::Result<()> {
        match std::fs::remove_file(state.owner()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

/// How often a record may change between its reading and its writing.
const TRIES: usize = 5;

/// A bottle's entry in the registry. One task owns it; each change is bound to the one before.
pub(crate) struct Registered {
    bus: Bus,
    clock: Clock,
    record: BottleRecord,
    revision: u64,
}

impl Registered {
    /// Creates the entry, in state `starting`.
    pub(crate) async fn create(
        bus: &Bus,
        clock: &Clock,
        launcher: &LauncherId,
        (request, attempt): (&StartRequest, u64),
        plan: &Plan,
        (backend, runtime): (&str, Option<RuntimeName>),
    ) -> Result<Self, BusError> {
        let now = clock.now();
        let record = BottleRecord {
            v: Version,
            bottle: plan.bottle.clone(),
            request: request.id.clone(),
            attempt,
            agent: request.agent.clone(),
            bottles: plan.resolved.bottles.clone(),
            launcher: launcher.clone(),
            backend: backend.to_owned(),
            runtime: runtime.map(|runtime| runtime.as_str().to_owned()),
            state: BottleState::Starting,
            label: plan.label.clone(),
            color: plan.color.clone(),
            created_at: now,
            updated_at: now,
            code: None,
            note: (!plan.notes.is_empty()).then(|| plan.notes.join("; ")),
            session: plan.session.as_ref().map(|session| session.record(plan.resume.as_ref())),
            commit: plan.commit().cloned(),
            dockerfile: (backend == docker::NAME).then(|| dockerfile(plan)).flatten(),
        };
        let revision = bus.bucket(&BOTTLES).create(plan.bottle.as_str(), &record).await?;
        Ok(Self { bus: bus.clone(), clock: clock.clone(), record, revision })
    }

    /// Moves it on.
    pub(crate) async fn change(&mut self, change: impl FnOnce(&mut BottleRecord)) -> Result<(), BusError> {
        self.store(change, None).await
    }

    /// Ends it. The registry remembers a bottle for as long as its state is there, and once that is gone for as long as
    /// its events are kept.
    pub(crate) async fn end(
        &mut self,
        state: StateKept,
        change: impl FnOnce(&mut BottleRecord),
    ) -> Result<(), BusError> {
        self.store(change, (state == StateKept::Removed).then_some(REMEMBERED)).await
    }

    async fn store(
        &mut self,
        change: impl FnOnce(&mut BottleRecord),
        lasts: Option<Duration>,
    ) -> Result<(), BusError> {
        change(&mut self.record);
        self.record.updated_at = self.clock.now();
        let (bucket, bottle) = (self.bus.bucket(&BOTTLES), self.record.bottle.clone());
        let place = (&bucket, bottle.as_str(), lasts);
        self.revision = update_own(place, &mut self.record, self.revision, adopt).await?;
        Ok(())
    }

    /// The environment that a resume would begin with now.
    pub(crate) fn commit(&self) -> Option<&CommitRecord> {
        self.record.commit.as_ref()
    }

    /// Prepares a change that the next [`Registered::change`] stores.
    pub(crate) fn amend(&mut self, change: impl FnOnce(&mut BottleRecord)) {
        change(&mut self.record);
    }
}

/// The Dockerfile that a container is made of. One that cannot be read is for the step that builds it to tell.
fn dockerfile(plan: &Plan) -> Option<String> {
    match plan.commit().and_then(|commit| commit.image.as_ref()) {
        Some(image) if image.dockerfile.is_some() => image.dockerfile.clone(),
        _ => text_of(plan.dockerfile()?).ok(),
    }
}

/// Adds a sentence to a record's note.
pub(crate) fn add_note(record: &mut BottleRecord, note: &str) {
    match &mut record.note {
        Some(notes) => {
            notes.push_str("; ");
            notes.push_str(note);
        }
        none => *none = Some(note.to_owned()),
    }
}

/// Whether a record that was found is still this launcher's own. Whoever delivers what its sidecars recorded adds to its note.
fn adopt(found: &BottleRecord, record: &mut BottleRecord) -> bool {
    let is_own = found.state.is_live() && found.launcher == record.launcher;
    for note in found.note.iter().filter(|_| is_own).flat_map(|notes| notes.split("; ")) {
        if !record.note.as_ref().is_some_and(|known| known.contains(note)) {
            add_note(record, note);
        }
    }
    is_own
}

/// Updates a value that its owner holds. An earlier write of it may have been stored although that was not confirmed, and
/// others may have added to it: what is found then is written over where `adopt` says that it is still the owner's own,
/// having taken over what is to stay of it. Returns the new revision.
///
/// # Errors
/// The bus; [`BusError::Conflict`] if it is somebody else's by now.
pub(crate) async fn update_own<T: Serialize + DeserializeOwned>(
    (bucket, key, lasts): (&KeyValue<T>, &str, Option<Duration>),
    value: &mut T,
    revision: u64,
    adopt: impl Fn(&T, &mut T) -> bool,
) -> Result<u64, BusError> {
    let conflict = match write((bucket, key, lasts), value, revision).await {
        Err(error @ BusError::Conflict { .. }) => error,
        written => return written,
    };
    match bucket.get(key).await? {
        Some(found) if adopt(&found.value, value) => write((bucket, key, lasts), value, found.revision).await,
        _ => Err(conflict),
    }
}

async fn write<T: Serialize + DeserializeOwned>(
    (bucket, key, lasts): (&KeyValue<T>, &str, Option<Duration>),
    value: &T,
    revision: u64,
) -> Result<u64, BusError> {
    match lasts {
        Some(lasts) => bucket.update_for(key, value, revision, lasts).await,
        None => bucket.update(key, value, revision).await,
    }
}

/// Changes a bottle's record, if there still is one.
///
/// # Errors
/// The bus; or the record changes faster than it can be written.
pub(crate) async fn amend(
    (bus, clock): (&Bus, &Clock),
    bottle: &Slug,
    change: impl Fn(&mut BottleRecord),
) -> Result<(), BusError> {
    let (bucket, key) = (bus.bucket(&BOTTLES), bottle.as_str());
    let mut left = TRIES;
    loop {
        left -= 1;
        let Some(Value { mut value, revision, expires, .. }) = bucket.get(key).await? else { return Ok(()) };
        change(&mut value);
        value.updated_at = clock.now();
        let written = match expires {
            true => bucket.update_for(key, &value, revision, REMEMBERED).await,
            false => bucket.update(key, &value, revision).await,
        };
        match written {
            Err(BusError::Conflict { .. }) if left > 0 => {}
            written => return written.map(drop),
        }
    }
}
