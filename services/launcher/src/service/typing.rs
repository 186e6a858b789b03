//! Answering `bottle.terminal.<bottle>`, in the order in which it comes.

use std::sync::Arc;

use base::id::Slug;
use bus::Subscription;
use bus::message::record::BottleState;
use bus::message::terminal::{TerminalAct, TerminalOutcome, TerminalReply, TerminalRequest};
use tokio::sync::Semaphore;

use super::{Shared, hearing};
use crate::terminal::refused;

/// How many at a time are told why they cannot attach. Who is not told asks again.
const LOOKUPS: usize = 8;

/// Answers until the stop.
pub(super) async fn answer(shared: Arc<Shared>, mut requests: Subscription<TerminalRequest>) {
    let lookups = Arc::new(Semaphore::new(LOOKUPS));
    while let Some(delivery) = hearing::next(&shared, &mut requests, "terminals").await {
        let Ok(request) = &delivery.message else { continue };
        if let Some(reply) = shared.world.terminals.serve(request) {
            hearing::answer(&delivery, &reply).await;
        } else if matches!(request.act, TerminalAct::Attach { .. })
            && let Ok(place) = lookups.clone().try_acquire_owned()
        {
            let (shared, bottle) = (shared.clone(), request.bottle.clone());
            // The registry may be slow, and nobody's keys wait for that.
            shared.life.clone().spawn(async move {
                if let Some(reply) = why_not(&shared, &bottle).await {
                    hearing::answer(&delivery, &reply).await;
                }
                drop(place);
            });
        }
    }
}

/// Nothing when the bottle is another launcher's: that one answers.
async fn why_not(shared: &Shared, bottle: &Slug) -> Option<TerminalReply> {
    let bottles = shared.world.bus.bucket(&bus::layout::BOTTLES);
    match bottles.get(bottle.as_str()).await {
        Ok(Some(found)) if found.value.launcher != *shared.world.id() => None,
        Ok(Some(found))
            if found.value.state == BottleState::Running && shared.running().contains_key(bottle) =>
        {
            Some(refused(TerminalOutcome::Headless, format!("{bottle} was started without a terminal")))
        }
        Ok(Some(_)) => Some(refused(TerminalOutcome::Over, format!("the bottle {bottle} does not run"))),
        Ok(None) => Some(refused(TerminalOutcome::Over, format!("there is no bottle {bottle}"))),
        Err(error) => {
            tracing::warn!(%bottle, error = base::error::chain(&error), "a bottle could not be looked up");
            None
        }
    }
}
