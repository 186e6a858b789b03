//! Answering `bottle.terminal.<bottle>`, in the order in which it comes.

use std::sync::Arc;

use base::id::Slug;
use bus::message::record::BottleState;
use bus::message::terminal::{TerminalAct, TerminalOutcome, TerminalReply, TerminalRequest};
use bus::{Delivery, Subscription};
use tokio::sync::Semaphore;

use super::Shared;
use crate::terminal::refused;

/// How many at a time are told why they cannot attach. Who is not told asks again.
const LOOKUPS: usize = 8;

/// Answers until the stop.
pub(super) async fn answer(shared: Arc<Shared>, mut requests: Subscription<TerminalRequest>) {
    let lookups = Arc::new(Semaphore::new(LOOKUPS));
    loop {
        let delivery = tokio::select! {
            delivery = requests.next() => delivery,
            () = shared.life.stopping() => return,
        };
        let delivery = match delivery {
            Ok(delivery) => delivery,
            Err(error) => {
                tracing::error!(error = base::error::chain(&error), "terminals can no longer be heard");
                return;
            }
        };
        let Ok(request) = &delivery.message else { continue };
        if let Some(reply) = shared.world.terminals.serve(request) {
            tell(&delivery, &reply).await;
        } else if matches!(request.act, TerminalAct::Attach { .. })
            && let Ok(place) = lookups.clone().try_acquire_owned()
        {
            let (shared, bottle) = (shared.clone(), request.bottle.clone());
            // The registry may be slow, and nobody's keys wait for that.
            shared.life.clone().spawn(async move {
                if let Some(reply) = why_not(&shared, &bottle).await {
                    tell(&delivery, &reply).await;
                }
                drop(place);
            });
        }
    }
}

async fn tell(delivery: &Delivery<TerminalRequest>, reply: &TerminalReply) {
    if let Err(error) = delivery.answer(reply).await {
        tracing::warn!(
            subject = delivery.subject,
            error = base::error::chain(&error),
            "a terminal was not answered"
        );
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
