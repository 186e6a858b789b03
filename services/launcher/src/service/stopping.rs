//! Answering `bottle.stop.<bottle>`.

use std::sync::Arc;
use std::time::Duration;

use bus::message::Version;
use bus::message::start::{StopReply, StopRequest};
use bus::{Delivery, Subscription};

use tokio::sync::mpsc::error::TrySendError;

use super::{Shared, hearing};
use crate::launch::Stop;

/// Answers until the stop.
pub(super) async fn answer(shared: Arc<Shared>, mut requests: Subscription<StopRequest>) {
    while let Some(delivery) = hearing::next(&shared, &mut requests, "stop requests").await {
        reply(&shared, &delivery).await;
    }
}

async fn reply(shared: &Shared, delivery: &Delivery<StopRequest>) {
    let Ok(request) = &delivery.message else { return };
    let Some(reply) = stop(shared, request).await else { return };
    hearing::answer(delivery, &reply).await;
}

/// Nothing when the bottle is another launcher's: that one answers.
async fn stop(shared: &Shared, request: &StopRequest) -> Option<StopReply> {
    let running = shared.running().get(&request.bottle).map(|runs| runs.stop.clone());
    let grace = request.grace_ms.map_or(shared.world.config.grace, Duration::from_millis);
    let sent = running.map(|running| running.try_send(Stop { grace, hand_back: false }));
    // A run whose queue is full is ending already; one whose queue is closed has ended.
    if let Some(Ok(()) | Err(TrySendError::Full(_))) = sent {
        return Some(StopReply { v: Version, stopping: true, reason: None });
    }
    let bottles = shared.world.bus.bucket(&bus::layout::BOTTLES);
    let reason = match bottles.get(request.bottle.as_str()).await {
        Ok(Some(found)) if found.value.launcher != *shared.world.id() => return None,
        Ok(Some(_)) => format!("the bottle {} does not run any more", request.bottle),
        Ok(None) => format!("there is no bottle {}", request.bottle),
        Err(error) => base::error::chain(&error),
    };
    Some(StopReply { v: Version, stopping: false, reason: Some(reason) })
}
