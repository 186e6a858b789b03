//! One delivered start request, from claim to acknowledgement.

use std::sync::Arc;
use std::time::Duration;

use base::id::{RequestId, Slug};
use bus::message::Version;
use bus::message::record::{BottleRecord, BottleState, ClaimState, End, RequestClaim};
use bus::message::run::{Failed, FailureKind};
use bus::message::start::StartRequest;
use bus::{Bus, BusError, Job, Malformed};
use telemetry::{Kind, Open};
use tokio::sync::mpsc;

use super::claim::{Known, Verdict, decide};
use super::{Runs, Shared};
use crate::commit::Desk;
use crate::hold::Hold;
use crate::launch::{Launch, Settled, Stop};
use crate::reach::within_reach;
use crate::record::{add_note, amend};
use crate::step::LaunchError;

/// How many stop requests may wait for one run; it begins to end at the first.
const STOPS: usize = 4;

/// Works on a job to its end. What fails on the bus is left to a later delivery.
pub(super) async fn work(shared: &Arc<Shared>, job: Job<StartRequest>) {
    let interval = shared.world.config.ack_wait / 3;
    let sequence = job.sequence;
    if let Err(error) = job.keep(interval, Box::pin(handle(shared, &job))).await {
        tracing::warn!(sequence, error = base::error::chain(&error), "a start request comes back later");
    }
}

async fn handle(shared: &Arc<Shared>, job: &Job<StartRequest>) -> Result<(), BusError> {
    let bus = shared.world.bus.with_trace(job.trace);
    let request = match &job.message {
        Ok(request) => request,
        Err(malformed) => return park(shared, &bus, job, malformed).await,
    };
    let claims = bus.bucket(&bus::layout::REQUESTS);
    let found = claims.get(request.id.as_str()).await?;
    let claim = found.as_ref().map(|found| &found.value);
    let owner_lives = match claim {
        Some(claim) if claim.launcher != *shared.world.id() => lives(shared, &bus, claim).await?,
        _ => false,
    };
    let bottle_exited = match claim {
        Some(claim) => is_exited(&bus, &claim.bottle).await?,
        None => false,
    };
    let known = Known {
        claim,
        us: shared.world.id(),
        runs_here: shared.runs(&request.id),
        bottle_exited,
        owner_lives,
        attempts: shared.world.config.attempts,
    };
    let revision = found.as_ref().map(|found| found.revision);
    match decide(&known) {
        Verdict::Over => job.done().await,
        Verdict::TellAgain { end } => {
            tell_again(shared, &bus, end).await?;
            if let Some(found) = &found {
                let done = RequestClaim { state: ClaimState::Done, end: None, ..found.value.clone() };
                claims.update(request.id.as_str(), &done, found.revision).await?;
            }
            job.done().await
        }
        Verdict::InHand => job.later(shared.world.config.ack_wait / 2).await,
        Verdict::GiveUp { attempts } => {
            let reason = format!("its launcher died {attempts} times while it ran; it is not tried again");
            let bottle = claim.map(|claim| claim.bottle.clone());
            let failed = failed(shared, request.id.clone(), bottle, (FailureKind::Attempts, None), reason);
            bus.publish(&failed).await?;
            job.done().await
        }
        Verdict::Run { attempt } => {
            if let Some(dead) = claim.filter(|_| attempt > 1) {
                mark_lost(shared, &bus, &dead.bottle).await?;
            }
            Box::pin(run(shared, job, request, (attempt, revision))).await
        }
    }
}

/// A message that is no start request must not come back for ever.
async fn park(
    shared: &Shared,
    bus: &Bus,
    job: &Job<StartRequest>,
    malformed: &Malformed,
) -> Result<(), BusError> {
    // Such an id is always valid.
    let Ok(id) = format!("malformed-{}", job.sequence).parse() else { return Ok(()) };
    let reason = malformed.to_string();
    bus.publish(&failed(shared, id, None, (FailureKind::Malformed, None), reason.clone())).await?;
    job.park(&reason).await
}

async fn run(
    shared: &Arc<Shared>,
    job: &Job<StartRequest>,
    request: &StartRequest,
    (attempt, revision): (u64, Option<u64>),
) -> Result<(), BusError> {
    let mut span = shared.world.tracer.open("bottle.start", Kind::Consumer, job.trace);
    span.set("bot_bottle.request", request.id.as_str());
    span.set("bot_bottle.agent", request.agent.as_str());
    span.set("bot_bottle.attempt", attempt);
    let launch = Launch::new(&shared.world, span.context(), (request, attempt), &shared.life);
    let bus = &launch.bus.clone();
    let plan = match launch.resolve().await {
        Ok(plan) => plan,
        Err(error) => {
            bus.publish(&failure(shared, request, (None, &mut span), &error)).await?;
            return job.done().await;
        }
    };
    let bottle = plan.bottle.clone();
    span.set("bot_bottle.bottle", bottle.as_str());
    let claim = RequestClaim {
        v: Version,
        request: request.id.clone(),
        bottle: bottle.clone(),
        launcher: shared.world.id().clone(),
        attempt,
        state: ClaimState::Claimed,
        end: None,
    };
    let Some(hold) = Hold::take(bus, claim, revision).await? else {
        span.set("bot_bottle.outcome", "elsewhere");
        return job.later(shared.world.config.ack_wait / 2).await;
    };
    let (stop, stops) = mpsc::channel(STOPS);
    let (commits, orders) = Desk::open();
    let runs = Runs { request: request.id.clone(), stop: stop.clone(), commits: Arc::new(commits) };
    shared.running().insert(bottle.clone(), runs);
    let outcome = tokio::select! {
        outcome = Box::pin(launch.perform(plan, &hold, stops, orders)) => outcome,
        never = hand_back_at_stop(shared, stop) => match never {},
    };
    let outcome = match outcome {
        Ok(settled) => Ok(settled),
        Err(error) => {
            let failed = failure(shared, request, (Some(bottle.clone()), &mut span), &error);
            Err((note(shared, bus, &hold, &failed).await, failed))
        }
    };
    // Not before a failure is noted: a redelivery would run it again.
    shared.running().remove(&bottle);
    match outcome {
        Ok(Settled::HandedBack) => {
            span.set("bot_bottle.outcome", "handed-back");
            within_reach((bus, &shared.life), hold.give_back()).await?;
            return job.later(Duration::ZERO).await;
        }
        Ok(Settled::Untold) => {
            span.set("bot_bottle.outcome", "untold");
            return job.later(shared.world.config.ack_wait / 2).await;
        }
        Ok(Settled::Over) => span.set("bot_bottle.outcome", "over"),
        Err((noted, failed)) => {
            noted?;
            bus.publish(&failed).await?;
        }
    }
    within_reach((bus, &shared.life), hold.done()).await?;
    job.done().await
}

/// Notes a failure in the claim, however long the bus is away, unless the launcher is to stop.
async fn note(shared: &Shared, bus: &Bus, hold: &Hold, failed: &Failed) -> Result<(), BusError> {
    loop {
        let end = End::Failed(Box::new(failed.clone()));
        match within_reach((bus, &shared.life), hold.ends(end)).await {
            // The next try waits as long as this one did.
            Err(BusError::Deadline { .. }) if !shared.life.is_stopping() => {}
            noted => return noted,
        }
    }
}

/// Passes the launcher's own stop on to a run; never completes.
async fn hand_back_at_stop(shared: &Shared, stop: mpsc::Sender<Stop>) -> std::convert::Infallible {
    shared.life.stopping().await;
    // A run whose queue is full is ending already.
    let _ = stop.try_send(Stop { grace: shared.world.config.grace, hand_back: true });
    std::future::pending().await
}

fn failure(
    shared: &Shared,
    request: &StartRequest,
    (bottle, span): (Option<Slug>, &mut Open),
    error: &LaunchError,
) -> Failed {
    span.set("bot_bottle.outcome", "failed");
    span.fail(&error.reason);
    tracing::warn!(request = %request.id, step = %error.step, error = %error, "a launch failed");
    let kind = (error.kind, Some(error.step.to_string()));
    failed(shared, request.id.clone(), bottle, kind, error.reason.clone())
}

fn failed(
    shared: &Shared,
    request: RequestId,
    bottle: Option<Slug>,
    (kind, step): (FailureKind, Option<String>),
    reason: String,
) -> Failed {
    Failed { v: Version, request, bottle, kind, step, reason, at: shared.world.clock.now() }
}

/// Whether the launcher of a claim has said lately that it lives.
async fn lives(shared: &Shared, bus: &Bus, claim: &RequestClaim) -> Result<bool, BusError> {
    let beats = bus.bucket(&bus::layout::LAUNCHER_BEATS);
    let found = beats.get(claim.launcher.as_str()).await?;
    let age = |at: jiff::Timestamp| shared.world.clock.now().duration_since(at);
    let within =
        jiff::SignedDuration::try_from(shared.world.config.ack_wait).unwrap_or(jiff::SignedDuration::MAX);
    Ok(found.is_some_and(|found| age(found.value.at) < within))
}

async fn is_exited(bus: &Bus, bottle: &Slug) -> Result<bool, BusError> {
    let found = bus.bucket(&bus::layout::BOTTLES).get(bottle.as_str()).await?;
    Ok(found.is_some_and(|found| found.value.state == BottleState::Exited))
}

/// Tells an end whose launcher died before everybody had been told. Who was told already finds nothing new in it.
async fn tell_again(shared: &Shared, bus: &Bus, end: &End) -> Result<(), BusError> {
    let (bottle, state, code, note) = match end {
        End::Exited(exited) => {
            (Some(&exited.bottle), BottleState::Exited, Some(exited.code), exited.note.as_deref())
        }
        End::Failed(failed) => (failed.bottle.as_ref(), BottleState::Failed, None, None),
    };
    if let Some(bottle) = bottle {
        let end = |record: &mut BottleRecord| {
            if record.state != state {
                (record.state, record.code) = (state, code);
                note.into_iter().for_each(|note| add_note(record, note));
                add_note(record, "it had ended by then, and that was told by the next launcher");
            }
        };
        amend((bus, &shared.world.clock), bottle, end).await?;
    }
    match end {
        End::Exited(exited) => bus.publish(&**exited).await?,
        End::Failed(failed) => bus.publish(&**failed).await?,
    };
    Ok(())
}

/// A bottle whose launcher is dead; its own host removes what is left when a launcher starts there again.
async fn mark_lost(shared: &Shared, bus: &Bus, bottle: &Slug) -> Result<(), BusError> {
    let bottles = bus.bucket(&bus::layout::BOTTLES);
    let Some(mut found) = bottles.get(bottle.as_str()).await? else { return Ok(()) };
    if found.value.state.is_live() {
        found.value.state = BottleState::Lost;
        found.value.updated_at = shared.world.clock.now();
        add_note(&mut found.value, "its launcher died; the request is run again");
        let remembered = bus::layout::REMEMBERED;
        bottles.update_for(bottle.as_str(), &found.value, found.revision, remembered).await?;
    }
    Ok(())
}
