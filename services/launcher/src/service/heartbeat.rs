//! Saying that this launcher lives.

use std::sync::Arc;

use bus::message::Version;
use bus::message::record::LauncherRecord;

use super::Shared;

/// Writes the heartbeat until the stop, then takes it away.
pub(super) async fn beat(shared: Arc<Shared>) {
    let beats = shared.world.bus.bucket(&bus::layout::LAUNCHER_BEATS);
    loop {
        if let Err(error) = beats.put(shared.world.id().as_str(), &record(&shared).await).await {
            tracing::warn!(error = base::error::chain(&error), "the heartbeat was not written");
        }
        tokio::select! {
            () = tokio::time::sleep(shared.world.config.heartbeat) => {}
            () = shared.life.stopping() => break,
        }
    }
    if let Err(error) = beats.delete(shared.world.id().as_str()).await {
        tracing::warn!(error = base::error::chain(&error), "the heartbeat was not taken away");
    }
}

async fn record(shared: &Shared) -> LauncherRecord {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    LauncherRecord {
        v: Version,
        launcher: shared.world.id().clone(),
        incarnation: shared.incarnation.clone(),
        host,
        backends: shared.world.backends.working().await,
        bottles: shared.running().len() as u64,
        at: shared.world.clock.now(),
    }
}
