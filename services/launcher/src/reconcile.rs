//! Removing what dead launchers left (invariant 10).

use base::clock::Clock;
use base::id::{LauncherId, Slug};
use bus::Bus;
use bus::message::record::BottleState;

use crate::backend::Backend;
use crate::identity::OwnHome;
use crate::record::add_note;
use crate::state::StateRoot;

/// Why something could not be reconciled.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// The host's side.
    #[error("cannot remove what is left on this host")]
    Backend(#[from] crate::backend::BackendError),
    /// The host's side.
    #[error("cannot look through the state directory")]
    State(#[source] std::io::Error),
    /// The registry's side.
    #[error("cannot bring the registry up to date")]
    Bus(#[from] bus::BusError),
}

/// What was done.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Reconciled {
    /// Bottles whose remains on this host were removed.
    pub removed: Vec<Slug>,
    /// Bottles whose record was live and is now `lost`.
    pub lost: Vec<Slug>,
}

/// Ends and removes every bottle that a launcher of this home left, and marks it in the registry, if there is one to
/// ask. No launcher runs meanwhile: the caller has the home for itself.
///
/// # Errors
/// [`ReconcileError`]; what was not reached is reached the next time.
pub async fn reconcile(
    home: &OwnHome,
    state: &StateRoot,
    backend: &dyn Backend,
    bus: Option<(&Bus, &Clock)>,
) -> Result<Reconciled, ReconcileError> {
    let mut done = Reconciled::default();
    let mut left = backend.list_owned()?;
    for bottle in state.bottles().map_err(ReconcileError::State)? {
        if state.of(&bottle).owner().exists() && !left.contains(&bottle) {
            left.push(bottle);
        }
    }
    for bottle in left {
        backend.destroy(&bottle).await?;
        state.of(&bottle).remove().map_err(ReconcileError::State)?;
        done.removed.push(bottle);
    }
    if let Some((bus, clock)) = bus {
        done.lost = mark_lost(bus, clock, home.id()).await?;
    }
    Ok(done)
}

async fn mark_lost(bus: &Bus, clock: &Clock, launcher: &LauncherId) -> Result<Vec<Slug>, bus::BusError> {
    let bucket = bus.bucket(&bus::layout::BOTTLES);
    let mut lost = Vec::new();
    for key in bucket.keys().await? {
        let Some(mut found) = bucket.get(&key).await? else { continue };
        if &found.value.launcher == launcher && found.value.state.is_live() {
            found.value.state = BottleState::Lost;
            found.value.updated_at = clock.now();
            add_note(&mut found.value, "its launcher died");
            bucket.update(&key, &found.value, found.revision).await?;
            lost.push(found.value.bottle);
        }
    }
    Ok(lost)
}
