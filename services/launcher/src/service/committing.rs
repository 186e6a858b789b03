//! Answering `bottle.commit.<bottle>`.

use std::sync::Arc;
use std::time::Duration;

use bus::message::commit::{CommitReply, CommitRequest};
use bus::{Delivery, Subscription};
use tokio::sync::Semaphore;

use super::{Shared, hearing};
use crate::commit;

/// How long who asks waits for one answer; then they hear how far it is, and ask again.
const PATIENCE: Duration = Duration::from_secs(2);
/// How many wait at a time. Who is not answered asks again.
const WAITING: usize = 64;

/// Answers until the stop.
pub(super) async fn answer(shared: Arc<Shared>, mut requests: Subscription<CommitRequest>) {
    let places = Arc::new(Semaphore::new(WAITING));
    while let Some(delivery) = hearing::next(&shared, &mut requests, "commits").await {
        let Ok(place) = places.clone().try_acquire_owned() else { continue };
        let shared = shared.clone();
        shared.life.clone().spawn(async move {
            reply(&shared, &delivery).await;
            drop(place);
        });
    }
}

async fn reply(shared: &Shared, delivery: &Delivery<CommitRequest>) {
    let Ok(request) = &delivery.message else { return };
    let Some(reply) = commit(shared, request).await else { return };
    hearing::answer(delivery, &reply).await;
}

/// Nothing when the bottle is another launcher's: that one answers.
async fn commit(shared: &Shared, request: &CommitRequest) -> Option<CommitReply> {
    let desk = shared.running().get(&request.bottle).map(|runs| runs.commits.clone());
    let Some(desk) = desk else { return of_the_past(shared, request).await };
    let mut job = match desk.ask(request) {
        Ok(job) => job,
        Err(reason) => return Some(CommitReply::Refused { reason }),
    };
    Some(match tokio::time::timeout(PATIENCE, job.over()).await {
        Ok(Ok(commit)) => CommitReply::Committed { commit },
        Ok(Err(reason)) => CommitReply::Refused { reason },
        Err(_) => CommitReply::Working { packed: job.packed() },
    })
}

/// Of a bottle that does not run: it may have ended just after it was committed.
async fn of_the_past(shared: &Shared, request: &CommitRequest) -> Option<CommitReply> {
    let bottles = shared.world.bus.bucket(&bus::layout::BOTTLES);
    let archive = commit::archive_name(&request.bottle, &request.id);
    let reason = match bottles.get(request.bottle.as_str()).await {
        Ok(Some(found)) if found.value.launcher != *shared.world.id() => return None,
        Ok(Some(found)) => match found.value.commit.filter(|commit| commit.archive == archive) {
            Some(commit) => return Some(CommitReply::Committed { commit }),
            None => format!("the bottle {} does not run", request.bottle),
        },
        Ok(None) => format!("there is no bottle {}", request.bottle),
        Err(error) => base::error::chain(&error),
    };
    Some(CommitReply::Refused { reason })
}
