//! What a launch has made so far, to be undone in reverse.

use std::sync::Arc;
use std::time::Duration;

use base::id::Slug;
use bus::message::record::BottleState;
use bus::message::run::StateKept;

use crate::backend::{Backend, Boundary};
use crate::config::LauncherConfig;
use crate::gitgate;
use crate::plan::Plan;
use crate::record::{Registered, add_note};
use crate::records::Shelf;
use crate::sidecars::Sidecars;
use crate::state::StateDir;
use crate::step::LaunchError;
use crate::world::World;

/// What a record says of a bottle whose request is to run again.
pub(super) const HANDED_BACK: &str = "its launcher was stopped; the request went back to the queue";

/// How long a boundary may take to be gone.
const GRACE: Duration = Duration::from_secs(5);
/// The same of the sidecars: the proxy's last records are for the bus first.
const LAST_RECORDS: Duration = Duration::from_secs(22);

pub(super) struct Made {
    backend: Arc<dyn Backend>,
    config: LauncherConfig,
    bottle: Slug,
    state: StateDir,
    pub(super) has_state: bool,
    pub(super) registered: Option<Registered>,
    pub(super) sidecars: Option<Sidecars>,
    pub(super) boundary: Option<Box<dyn Boundary>>,
}

impl Made {
    pub(super) fn new(backend: Arc<dyn Backend>, world: &World, plan: &Plan) -> Self {
        Self {
            backend,
            config: world.config.clone(),
            bottle: plan.bottle.clone(),
            state: world.config.state().of(&plan.bottle),
            has_state: false,
            registered: None,
            sidecars: None,
            boundary: None,
        }
    }

    /// Everything, once the program runs.
    pub(super) fn give(&mut self) -> (Registered, Box<dyn Boundary>, Sidecars) {
        let all = (self.registered.take(), self.boundary.take(), self.sidecars.take());
        let (Some(registered), Some(boundary), Some(sidecars)) = all else {
            unreachable!("every step before the program's start has put its part here")
        };
        (registered, boundary, sidecars)
    }

    /// Nothing ran in it, so nothing of it is kept. The record of a bottle whose request is handed back says `lost`,
    /// since `failed` would end the request.
    pub(super) async fn undo(self, error: &LaunchError, hand_back: bool) {
        let ended = end((&*self.backend, &self.config), &self.bottle, self.boundary, self.sidecars).await;
        let state = match (self.has_state, ended) {
            (true, true) => remove(&self.state).await,
            (true, false) => StateKept::Kept,
            (false, _) => StateKept::Removed,
        };
        if let Some(mut registered) = self.registered {
            let recorded = registered
                .end(state, |record| {
                    record.state = if hand_back { BottleState::Lost } else { BottleState::Failed };
                    add_note(record, &error.reason);
                    if hand_back {
                        add_note(record, HANDED_BACK);
                    }
                })
                .await;
            if let Err(error) = recorded {
                tracing::warn!(bottle = %self.bottle, error = base::error::chain(&error), "the record is out of date");
            }
        }
    }
}

async fn remove(state: &StateDir) -> StateKept {
    match state.remove().await {
        Ok(()) => StateKept::Removed,
        Err(error) => {
            tracing::warn!(state = %state.path().display(), error = base::error::chain(&error), "state was not removed");
            StateKept::Kept
        }
    }
}

/// Ends a bottle's parts in reverse: the boundary, its sidecars, and what the backend made for them. Returns whether
/// all of it is gone: otherwise the state, which records it, must stay as it is.
pub(super) async fn end(
    (backend, config): (&dyn Backend, &LauncherConfig),
    bottle: &Slug,
    boundary: Option<Box<dyn Boundary>>,
    sidecars: Option<Sidecars>,
) -> bool {
    if let Some(mut boundary) = boundary {
        boundary.kill();
        // What does not end is killed once more below, by what is recorded of it.
        drop(tokio::time::timeout(GRACE, boundary.wait()).await);
    }
    if let Some(sidecars) = sidecars {
        sidecars.stop(LAST_RECORDS).await;
    }
    let revoked = gitgate::revoke(backend, config, bottle).await;
    if let Err(reason) = &revoked {
        tracing::error!(%bottle, reason, "a deploy key is left at its forge; it is taken back at the next start or cleanup");
    }
    let destroyed = backend.destroy(bottle).await;
    if let Err(error) = &destroyed {
        tracing::warn!(%bottle, error = base::error::chain(error), "something of a bottle is left; cleanup removes it");
    }
    if revoked.is_err() || destroyed.is_err() {
        return false;
    }
    let shelved = Shelf::below(&config.home).put(bottle, &config.state().of(bottle)).await;
    if let Err(error) = &shelved {
        tracing::error!(%bottle, %error, "its records cannot be put aside; its state is kept");
    }
    shelved.is_ok()
}
