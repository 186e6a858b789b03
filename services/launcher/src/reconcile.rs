//! Removing what dead launchers left (invariant 10).

mod rescue;

use base::clock::Clock;
use base::id::Slug;
use bus::layout::{BOTTLES, REMEMBERED};
use bus::message::record::BottleState;
use bus::{Bus, BusError, Value};

use self::rescue::{Rescued, rescue};
use crate::backends::Backends;
use crate::commit;
use crate::config::LauncherConfig;
use crate::gitgate;
use crate::identity::OwnHome;
use crate::record::add_note;
use crate::records::Shelf;
use crate::state::StateRoot;

/// Why something could not be reconciled.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// The host's side.
    #[error("cannot find out what is left on this host")]
    Backend(#[from] crate::backend::BackendError),
    /// The host's side.
    #[error("cannot look through the state directory")]
    State(#[source] std::io::Error),
    /// The registry's side.
    #[error("cannot bring the registry up to date")]
    Bus(#[from] BusError),
}

/// What was done.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Reconciled {
    /// Bottles whose remains on this host were removed.
    pub removed: Vec<Slug>,
    /// Bottles whose transcripts were stored before that.
    pub transcripts: Vec<Slug>,
    /// Bottles whose sidecars left records that the next launcher with a bus delivers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub records: Vec<Slug>,
    /// Bottles whose record was live and is now `lost`.
    pub lost: Vec<Slug>,
    /// Images that were built for bottles and were removed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<String>,
    /// What could not be removed and why, one sentence each; it is tried again the next time.
    pub remains: Vec<String>,
}

/// Ends and removes every bottle that a launcher of this home left, and marks it in the registry, if there is one to
/// ask. No launcher runs meanwhile: the caller has the home for itself. What of one bottle cannot be removed is told
/// and stands in nobody's way.
///
/// # Errors
/// [`ReconcileError`]; what was not reached is reached the next time.
pub async fn reconcile(
    home: &OwnHome,
    config: &LauncherConfig,
    backends: &Backends,
    bus: Option<(&Bus, &Clock)>,
) -> Result<Reconciled, ReconcileError> {
    let state = &config.state();
    let mut done = Reconciled::default();
    let mut left = backends.list_owned().await?;
    for bottle in state.bottles().map_err(ReconcileError::State)? {
        if state.of(&bottle).owner().exists() && !left.contains(&bottle) {
            left.push(bottle);
        }
    }
    for bottle in left {
        match remove(config, backends, bus, &bottle).await {
            Ok(Removed { transcript, has_records }) => {
                done.records.extend(has_records.then(|| bottle.clone()));
                done.transcripts.extend((transcript == Rescued::Stored).then(|| bottle.clone()));
                done.removed.extend((transcript != Rescued::Never).then_some(bottle));
            }
            Err(reason) => done.remains.push(reason),
        }
    }
    if let Err(error) = backends.sweep().await {
        done.remains.push(base::error::chain(&error));
    }
    if let Err(error) = state.empty_trash().await {
        done.remains.push(format!("cannot empty the trash in the state directory: {error}"));
    }
    if let Err(error) = Shelf::below(&config.home).empty_trash().await {
        done.remains.push(format!("cannot empty the trash beside the records: {error}"));
    }
    for reason in &done.remains {
        tracing::warn!(reason, "something of an earlier launcher is left");
    }
    if let Some(bus) = bus {
        done.lost = update_registry(home, state, bus).await?;
    }
    Ok(done)
}

/// What was done with one bottle.
struct Removed {
    transcript: Rescued,
    has_records: bool,
}

async fn remove(
    config: &LauncherConfig,
    backends: &Backends,
    bus: Option<(&Bus, &Clock)>,
    bottle: &Slug,
) -> Result<Removed, String> {
    // Whatever the forge says, no process of the bottle stays.
    let revoking = backends.of_bottle(None, false).map_err(|error| error.to_string())?;
    let revoked = gitgate::revoke(&**revoking, config, bottle).await;
    // The state holds the record of what was made: it goes last.
    backends.destroy(bottle).await.map_err(|error| base::error::chain(&error))?;
    let state = config.state().of(bottle);
    let shelved = Shelf::below(&config.home).put(bottle, &state).await;
    let has_records =
        shelved.map_err(|error| format!("cannot put the records of {bottle} aside: {error}"))?;
    let transcript = rescue(bus, bottle, &state).await?;
    commit::abandon((bus.map(|(bus, _)| bus), backends), bottle, &state).await?;
    revoked?;
    if transcript != Rescued::Never {
        state.remove().await.map_err(|error| format!("cannot remove the state of {bottle}: {error}"))?;
    }
    Ok(Removed { transcript, has_records })
}

/// Brings the registry up to date with what this home still has of its bottles: one that was live is `lost`, and one that
/// is over and of which nothing is left will be forgotten. No launcher runs meanwhile. Returns the lost ones.
///
/// # Errors
/// The bus; what was not reached is reached the next time.
pub async fn update_registry(
    home: &OwnHome,
    state: &StateRoot,
    (bus, clock): (&Bus, &Clock),
) -> Result<Vec<Slug>, ReconcileError> {
    let bucket = bus.bucket(&BOTTLES);
    let mut lost = Vec::new();
    for key in bucket.keys().await? {
        let found = match bucket.get(&key).await {
            // Whose it is cannot be known.
            Err(BusError::Malformed { .. }) => None,
            found => found?,
        };
        let Some(Value { mut value, revision, expires, .. }) = found else { continue };
        let has_state = state.of(&value.bottle).path().exists();
        if &value.launcher != home.id() || !value.state.is_live() && (has_state || expires) {
            continue;
        }
        if value.state.is_live() {
            value.state = BottleState::Lost;
            value.updated_at = clock.now();
            add_note(&mut value, "its launcher died");
            lost.push(value.bottle.clone());
        }
        let written = match has_state {
            true => bucket.update(&key, &value, revision).await,
            false => bucket.update_for(&key, &value, revision, REMEMBERED).await,
        };
        // Somebody just took the next turn of its session, or noted its launcher's death.
        if !matches!(written, Err(BusError::Conflict { .. })) {
            written?;
        }
    }
    Ok(lost)
}
