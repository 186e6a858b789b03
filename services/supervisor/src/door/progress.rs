//! Progress of a call that waits, for a client that asked to hear of it.

use std::time::Duration;

use rmcp::model::{ProgressNotificationParam, ProgressToken};
use rmcp::service::{Peer, RequestContext, RoleServer};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, timeout};

/// How long a client may take to hear of it: one that does not read holds nothing up.
const PATIENCE: Duration = Duration::from_secs(1);

/// See the module.
pub(super) struct Progress {
    peer: Peer<RoleServer>,
    token: Option<ProgressToken>,
    since: Instant,
    ticks: Interval,
}

impl Progress {
    pub(super) fn of(context: &RequestContext<RoleServer>, every: Duration) -> Self {
        let since = Instant::now();
        let mut ticks = interval_at(since + every, every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { peer: context.peer.clone(), token: context.meta.get_progress_token(), since, ticks }
    }

    /// Completes when it is time to tell; never for a client that did not ask.
    pub(super) async fn due(&mut self) {
        match self.token {
            Some(_) => _ = self.ticks.tick().await,
            None => std::future::pending().await,
        }
    }

    /// Tells for how long the call has waited.
    pub(super) async fn tell(&self, message: &str, most: Duration) {
        let Some(token) = self.token.clone() else { return };
        let param = ProgressNotificationParam::new(token, self.since.elapsed().as_secs_f64())
            .with_total(most.as_secs_f64())
            .with_message(message);
        // A client that is gone is noticed elsewhere.
        let _ = timeout(PATIENCE, self.peer.notify_progress(param)).await;
    }
}
