//! Looking a session up, and taking the next turn of it.

use base::clock::Clock;
use base::id::Slug;
use bus::layout::{BOTTLES, COMMITS, REMEMBERED, TRANSCRIPTS};
use bus::message::record::{BottleRecord, CommitImage};
use bus::message::run::FailureKind;
use bus::message::start::{Resume, StartRequest};
use bus::{Bus, BusError, Value};

use super::ResumePlan;
use super::verdict::{Asked, Refusal, judge};
use crate::step::{LaunchError, Step};

/// How often a record may change between its reading and its writing.
const TRIES: usize = 5;

/// Looks up what a request wants to go on with.
///
/// # Errors
/// [`FailureKind::Session`], or the bus.
pub(crate) async fn find(
    bus: &Bus,
    request: &StartRequest,
    resume: &Resume,
) -> Result<ResumePlan, LaunchError> {
    let failed = |error: BusError| {
        LaunchError::caused(Step::Resolve, FailureKind::Internal, "looking the session up", &error)
    };
    let refused =
        |refusal: Refusal| LaunchError::new(Step::Resolve, FailureKind::Session, refusal.to_string());
    let (last, next) = records(bus, &resume.bottle).await.map_err(failed)?;
    let last = last.map(|last| last.value);
    let plan = judge(&asked(request, resume), last.as_ref(), next.as_ref()).map_err(refused)?;
    if let Some(session) = &plan.session
        && bus.objects(TRANSCRIPTS).info(&session.transcript).await.map_err(failed)?.is_none()
    {
        return Err(refused(Refusal::NoTranscript(resume.bottle.clone())));
    }
    if let Some(commit) = &plan.commit
        && bus.objects(COMMITS).info(&commit.archive).await.map_err(failed)?.is_none()
    {
        let archive = base::inert(&commit.archive, 120);
        return Err(refused(Refusal::NoArchive { bottle: resume.bottle.clone(), archive }));
    }
    Ok(plan)
}

/// Why a plan cannot be carried out on an engine that does not have the image of its commit.
pub(crate) fn without_image(bottle: &Slug, image: &CommitImage) -> LaunchError {
    let (name, id) = (base::inert(&image.name, 120), base::inert(&image.id, 80));
    let refusal = Refusal::NoImage { bottle: bottle.clone(), name, id };
    LaunchError::new(Step::Resolve, FailureKind::Session, refusal.to_string())
}

/// Takes the next turn for a bottle that is recorded: the record of the last one names it from now on. Of two who try,
/// one succeeds.
///
/// # Errors
/// [`FailureKind::Session`] when somebody else has the turn, or the bus.
pub(crate) async fn claim(
    bus: &Bus,
    clock: &Clock,
    (request, resume): (&StartRequest, &Resume),
    next_bottle: &Slug,
) -> Result<(), LaunchError> {
    let failed = |error: BusError| {
        LaunchError::caused(Step::Record, FailureKind::Internal, "taking the session's next turn", &error)
    };
    let refused =
        |refusal: Refusal| LaunchError::new(Step::Record, FailureKind::Session, refusal.to_string());
    for _ in 0..TRIES {
        let (last, next) = records(bus, &resume.bottle).await.map_err(failed)?;
        let of_last = last.as_ref().map(|last| &last.value);
        judge(&asked(request, resume), of_last, next.as_ref()).map_err(refused)?;
        let Some(mut last) = last else { return Err(refused(Refusal::Unknown(resume.bottle.clone()))) };
        if let Some(session) = &mut last.value.session {
            session.resumed_as = Some(next_bottle.clone());
        }
        last.value.updated_at = clock.now();
        match write(bus, &last).await {
            Err(BusError::Conflict { .. }) => {}
            written => return written.map_err(failed),
        }
    }
    let reason = format!("the record of {} changes all the time; try again", resume.bottle);
    Err(LaunchError::new(Step::Record, FailureKind::Session, reason))
}

async fn write(bus: &Bus, last: &Value<BottleRecord>) -> Result<(), BusError> {
    let (bucket, key) = (bus.bucket(&BOTTLES), last.value.bottle.as_str());
    let written = match last.expires {
        true => bucket.update_for(key, &last.value, last.revision, REMEMBERED).await,
        false => bucket.update(key, &last.value, last.revision).await,
    };
    written.map(drop)
}

fn asked<'a>(request: &'a StartRequest, resume: &'a Resume) -> Asked<'a> {
    Asked { resume, request: &request.id, agent: &request.agent, bottles: &request.bottles }
}

/// The record of a bottle, and of the one that goes on with its session.
async fn records(
    bus: &Bus,
    bottle: &Slug,
) -> Result<(Option<Value<BottleRecord>>, Option<BottleRecord>), BusError> {
    let bucket = bus.bucket(&BOTTLES);
    let last = bucket.get(bottle.as_str()).await?;
    let named = last.as_ref().and_then(|last| last.value.session.as_ref()?.resumed_as.clone());
    let next = match named {
        Some(next) => bucket.get(next.as_str()).await?.map(|next| next.value),
        None => None,
    };
    Ok((last, next))
}
