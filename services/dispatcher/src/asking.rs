//! What bottles of pull requests are refused and ask for while they run: their comments say it (D7).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use base::id::Slug;
use bus::layout::{EVENTS, PROPOSALS};
use bus::message::egress::Blocked;
use bus::message::proposal::{Proposed, Resolved};
use bus::{Bus, BusError, Follow, Since};

use crate::shared::{Shared, lock};

/// How often a comment is changed at most: forges mail about some changes.
const PAUSE: Duration = Duration::from_secs(5);

/// What is listened to.
pub(crate) struct Asking {
    blocked: Follow<Blocked>,
    proposed: Follow<Proposed>,
    resolved: Follow<Resolved>,
}

impl Asking {
    pub(crate) async fn listen(bus: &Bus) -> Result<Self, BusError> {
        Ok(Self {
            blocked: bus.follow(EVENTS, "egress.blocked.*", Since::Now).await?,
            proposed: bus.follow(PROPOSALS, "proposal.new.*", Since::Now).await?,
            resolved: bus.follow(PROPOSALS, "proposal.resolved.*", Since::Now).await?,
        })
    }

    /// Has the comments changed until the lifecycle stops.
    pub(crate) async fn serve(mut self, shared: Arc<Shared>) {
        let mut keys = BTreeSet::new();
        let mut tick = tokio::time::interval(PAUSE);
        loop {
            let bottle = tokio::select! {
                bottle = self.next() => bottle,
                _ = tick.tick() => {
                    std::mem::take(&mut keys).iter().for_each(|key: &String| shared.posting.wake(&shared, key));
                    continue;
                }
                () = shared.life.stopping() => return,
            };
            match bottle {
                Ok(bottle) => keys.extend(bottle.and_then(|bottle| lock(&shared.runs).of_bottle(&bottle))),
                Err(error) => {
                    tracing::error!(error = base::error::chain(&error), "bottles cannot be followed");
                    return;
                }
            }
        }
    }

    async fn next(&mut self) -> Result<Option<Slug>, BusError> {
        tokio::select! {
            record = self.blocked.next() => Ok(record?.message.ok().map(|blocked| blocked.bottle)),
            record = self.proposed.next() => Ok(record?.message.ok().map(|proposed| proposed.bottle)),
            record = self.resolved.next() => Ok(record?.message.ok().map(|resolved| resolved.bottle)),
        }
    }
}
