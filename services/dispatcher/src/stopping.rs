//! Ending the bottle of a pull request that was closed.

use std::sync::Arc;
use std::time::Duration;

use base::id::Slug;
use bus::Bus;
use bus::message::Version;
use bus::message::start::StopRequest;

use crate::shared::Shared;

/// How long one request waits for the launcher, how often it is made, and what lies between.
const DEADLINE: Duration = Duration::from_secs(10);
const TRIES: u32 = 6;
const PAUSE: Duration = Duration::from_secs(1);

/// Asks the bottle's launcher until it answers. If none does, its request ends with its launcher, or is run again, and
/// then its next bottle is stopped.
pub(crate) fn stop(shared: &Arc<Shared>, bus: Bus, bottle: Slug) {
    let shared = shared.clone();
    shared.life.clone().spawn(async move {
        for attempt in 0..TRIES {
            let request = StopRequest { v: Version, bottle: bottle.clone(), grace_ms: None };
            match bus.request(&request, DEADLINE).await {
                Ok(_) => return,
                Err(error) => {
                    let error = base::error::chain(&error);
                    tracing::warn!(bottle = bottle.as_str(), error, "a bottle cannot be stopped yet");
                }
            }
            tokio::select! {
                () = tokio::time::sleep(PAUSE * 2_u32.pow(attempt)) => {}
                () = shared.life.stopping() => return,
            }
        }
    });
}
