//! The transcript of a bottle whose launcher died: it is stored before anything of the bottle is removed (L7).

use base::clock::Clock;
use base::id::Slug;
use bus::layout::{BOTTLES, REMEMBERED};
use bus::message::record::BottleRecord;
use bus::{Bus, BusError, Value};

use crate::record::{Owner, add_note};
use crate::session::{self, SessionNote};
use crate::state::StateDir;

/// How often a record may change between its reading and its writing.
const TRIES: usize = 5;

/// What became of a transcript.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rescued {
    /// There is none to store.
    Nothing,
    /// It is stored.
    Stored,
    /// It can never be: the state stays until somebody removes it.
    Never,
}

/// Stores what a bottle's state says that there is to store.
///
/// # Errors
/// It is not stored yet; everything is to stay as it is.
pub(super) async fn rescue(
    bus: Option<(&Bus, &Clock)>,
    bottle: &Slug,
    state: &StateDir,
) -> Result<Rescued, String> {
    let unreadable = |error| format!("cannot read what the session of {bottle} is: {error}");
    let Some(note) = SessionNote::load(state).map_err(unreadable)? else { return Ok(Rescued::Nothing) };
    let (bus, clock) = bus
        .ok_or_else(|| format!("the transcript of {bottle} is not stored yet, and only a bus can take it"))?;
    let failed = |error: BusError| {
        format!("the record of {bottle} cannot say where its transcript is: {}", base::error::chain(&error))
    };
    match session::store(bus, bottle, state, &note).await {
        Ok(name) => {
            let stored = |record: &mut BottleRecord| {
                if let Some(session) = &mut record.session {
                    session.transcript = Some(name.clone());
                    session.id = session.id.take().or_else(|| note.session.id.clone());
                }
            };
            amend((bus, clock), bottle, stored).await.map_err(failed)?;
            SessionNote::forget(state).map_err(unreadable)?;
            Ok(Rescued::Stored)
        }
        Err(lost) if lost.is_for_now() => Err(format!("{bottle}: {}", base::error::chain(&lost))),
        Err(lost) => {
            let words = base::error::chain(&lost);
            tracing::error!(%bottle, reason = words, "a transcript is lost unless somebody takes it from the state");
            amend((bus, clock), bottle, |record| add_note(record, &words)).await.map_err(failed)?;
            let done = SessionNote::forget(state).and_then(|()| Owner::forget(state));
            done.map_err(unreadable).map(|()| Rescued::Never)
        }
    }
}

/// Changes a bottle's record, if there still is one.
async fn amend(
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
