//! What the bottle's proxy has refused lately: who asks for a request by its id need not spell it out.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use base::error::chain;
use base::id::{ExchangeId, Slug};
use base::lifecycle::Lifecycle;
use bus::message::egress::Blocked;
use bus::{Bus, BusError};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::link::Shared;

/// Refusals that are remembered.
const MOST: usize = 512;
const PAUSE: Duration = Duration::from_secs(1);
/// Between two tries that the bus itself refused.
const LONG_PAUSE: Duration = Duration::from_secs(60);

/// The last ones, the newest at the end.
#[derive(Clone, Default)]
pub(super) struct Refusals(Arc<watch::Sender<VecDeque<Blocked>>>);

impl Refusals {
    /// Remembers one.
    pub(super) fn remember(&self, blocked: Blocked) {
        self.0.send_modify(|all| {
            if all.len() == MOST {
                all.pop_front();
            }
            all.push_back(blocked);
        });
    }

    /// The one with that id. The agent may have heard of it before the door, so it is waited for.
    pub(super) async fn find(&self, id: &ExchangeId, within: Duration) -> Option<Blocked> {
        let of = |all: &VecDeque<Blocked>| all.iter().rfind(|blocked| blocked.id == *id).cloned();
        let mut all = self.0.subscribe();
        let found = async { all.wait_for(|all| of(all).is_some()).await.ok().and_then(|all| of(&all)) };
        timeout(within, found).await.ok().flatten()
    }
}

/// Hears of refusals until the lifecycle stops. What is missed is only a convenience lost.
pub(super) async fn follow(mut shared: Shared, bottle: Slug, refusals: Refusals, life: Lifecycle) {
    let following = async {
        let Ok(Some(bus)) = shared.wait_for(Option::is_some).await.map(|bus| bus.clone()) else { return };
        loop {
            let Err(error) = listen(&bus, &bottle, &refusals).await;
            tracing::warn!(error = chain(&error), "refusals are not heard of");
            sleep(if matches!(error, BusError::Denied(_)) { LONG_PAUSE } else { PAUSE }).await;
        }
    };
    tokio::select! {
        () = following => {}
        () = life.stopping() => {}
    }
}

async fn listen(bus: &Bus, bottle: &Slug, refusals: &Refusals) -> Result<std::convert::Infallible, BusError> {
    let mut blocked = bus.subscribe::<Blocked>(&format!("egress.blocked.{bottle}")).await?;
    loop {
        if let Ok(blocked) = blocked.next().await?.message {
            refusals.remember(blocked);
        }
    }
}
