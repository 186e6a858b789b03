//! What came into being only after its launcher's death, and so after this one had looked: an engine goes on with what a dead
//! launcher has asked it for (invariant 10).

use std::sync::Arc;
use std::time::Duration;

use base::id::Slug;

use super::Shared;
use crate::backend::docker;

/// Longer than any backend takes to make something that it was asked for.
const LATEST: Duration = Duration::from_secs(150);

/// Looks once more when nothing can be on its way any longer, or when this launcher stops before that.
pub(super) async fn look(shared: Arc<Shared>) {
    tokio::select! {
        () = shared.life.stopping() => {}
        () = tokio::time::sleep(LATEST) => {}
    }
    let backends = &shared.world.backends;
    let owned = match backends.list_owned().await {
        Ok(owned) => owned,
        Err(error) => {
            tracing::warn!(error = base::error::chain(&error), "what came late was not looked for");
            return;
        }
    };
    // Asked for after the look: one of ours that is among what was found is here, or is over and put away.
    // A trial may be under way; what is left of one is found by the next launcher.
    let is_ours = |bottle: &Slug| shared.running().contains_key(bottle) || docker::is_trial(bottle);
    let strangers: Vec<_> = owned.into_iter().filter(|bottle| !is_ours(bottle)).collect();
    for bottle in strangers {
        match backends.destroy(&bottle).await {
            Ok(()) => tracing::info!(%bottle, "what came late of an earlier launcher was removed"),
            Err(error) => tracing::warn!(%bottle, error = base::error::chain(&error), "something is left"),
        }
    }
    if let Err(error) = backends.sweep().await {
        tracing::warn!(error = base::error::chain(&error), "something is left of what was never done");
    }
}
