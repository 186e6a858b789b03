//! The transcript of a bottle whose launcher died: it is stored before anything of the bottle is removed (L7).

use base::clock::Clock;
use base::id::Slug;
use bus::message::record::BottleRecord;
use bus::{Bus, BusError};

use crate::record::{Owner, add_note, amend};
use crate::session::{self, SessionNote};
use crate::state::StateDir;

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
