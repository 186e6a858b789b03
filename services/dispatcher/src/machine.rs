//! The conversation about a pull request as a state machine (D5, D6, D8): pure, so that whatever is delivered twice, out
//! of order or after a crash leads to the same.
//!
//! ```text
//!            event of somebody who may                    bottle.exited, bottle.failed
//!  open ───────────────────────────────▶ open, a run ───────────────────────────────▶ open
//!    │                                     │   ▲ further events wait, and are one run together
//!    │ closed                              │ closed: the bottle is stopped
//!    ▼                                     ▼
//!  closed ◀──────── its end ──────── closed, a run
//! ```

mod input;
mod turn;

use base::id::{RequestId, Slug};
use bus::Trace;
use bus::message::Version;
use bus::message::pr::{Noted, PrAction, PrEvent, PrPlan, PrQueued, PrSession, PrState, PrTurn, Verdict};
use bus::message::start::StartRequest;
use jiff::Timestamp;

pub use input::{Context, Ended, Input};

use crate::decide::Decision;
use crate::event;

/// Deliveries whose repetition is noticed; those of a pull request that were signed long ago are refused anyway.
const SEEN: usize = 200;
/// Hex digits of a digest that are remembered.
const DIGITS: usize = 24;
/// Deliveries of which it is remembered what became of them.
const NOTED: usize = 20;
/// Events that may wait, and their bytes.
const QUEUED: usize = 16;
const QUEUED_BYTES: usize = 192 << 10;
/// Runs whose answers may wait to be posted.
const ANSWERS: usize = 2;

/// What is to be done once the next state is stored. Each may be done again.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Publish the request, as a part of this step.
    Start(Box<StartRequest>, Option<Trace>),
    /// Ask the bottle to end.
    Stop(Slug),
    /// Tell the forge.
    Post,
}

impl Action {
    fn start(run: &PrTurn) -> Self {
        Self::Start(Box::new(run.start.clone()), run.trace)
    }
}

/// The next state.
#[derive(Clone, Debug, PartialEq)]
pub struct Next {
    /// The conversation.
    pub session: PrSession,
    /// What follows.
    pub actions: Vec<Action>,
    /// What became of the event, if it was one.
    pub verdict: Option<Verdict>,
}

/// As much waits as may: the event is to be brought again later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// A conversation that has not begun.
#[must_use]
pub fn new(event: &PrEvent) -> PrSession {
    PrSession {
        v: Version,
        webhook: event.webhook.clone(),
        repo: event.repo.clone(),
        number: event.number,
        state: PrState::Open,
        pull: None,
        agent: None,
        bottles: Vec::new(),
        bottle: None,
        session: None,
        turns: 0,
        runs: 0,
        carried: None,
        run: None,
        queued: Vec::new(),
        answers: Vec::new(),
        seen: Vec::new(),
        noted: Vec::new(),
        updated_at: event.at,
    }
}

/// Whether nothing of a conversation is left but that it is over.
#[must_use]
pub fn is_over(session: &PrSession) -> bool {
    session.run.is_none()
        && session.answers.is_empty()
        && session.session.is_none()
        && session.queued.is_empty()
}

/// Decides.
///
/// # Errors
/// [`Full`]: nothing is changed.
pub fn next(mut session: PrSession, input: Input<'_>, context: &Context<'_>) -> Result<Next, Full> {
    session.updated_at = context.now;
    let mut actions = Vec::new();
    let verdict = match input {
        Input::Event { event, trace, decide } => {
            let told = Delivered { event, trace, decide };
            Some(happened(&mut session, &told, context, &mut actions)?)
        }
        Input::Started { request, bottle } => {
            started(&mut session, request, bottle, &mut actions);
            None
        }
        Input::Ended { request, ended } => {
            over(&mut session, request, ended, context, &mut actions);
            None
        }
        Input::Answered { request } => {
            session.answers.retain(|turn| turn.start.id != *request);
            go_on(&mut session, context, &mut actions);
            None
        }
    };
    Ok(Next { session, actions, verdict })
}

/// What has to be done again after a crash: all of it is harmless twice.
#[must_use]
pub fn again(session: &PrSession) -> Vec<Action> {
    let mut actions = Vec::new();
    if let Some(run) = &session.run {
        actions.push(Action::start(run));
        if let Some(bottle) = run.bottle.as_ref().filter(|_| session.state == PrState::Closed) {
            actions.push(Action::Stop(bottle.clone()));
        }
    }
    if session.run.is_some() || !session.answers.is_empty() {
        actions.push(Action::Post);
    }
    actions
}

/// A delivery that was taken off the queue.
struct Delivered<'a> {
    event: &'a PrEvent,
    trace: Trace,
    decide: &'a (dyn Fn(&PrSession) -> Decision + Sync),
}

fn happened(
    session: &mut PrSession,
    told: &Delivered<'_>,
    context: &Context<'_>,
    actions: &mut Vec<Action>,
) -> Result<Verdict, Full> {
    let event = told.event;
    let mark: String = event.digest.chars().take(DIGITS).collect();
    if session.seen.contains(&mark) {
        return Ok(Verdict::Repeated);
    }
    let verdict = judge(session, told, context, actions)?;
    remember(&mut session.seen, mark, SEEN);
    let note = Noted {
        delivery: base::inert(&event.delivery, 64),
        event: event::name(&event.what).to_owned(),
        actor: base::inert(&event.actor.login, 64),
        verdict,
        trace: Some(told.trace),
        at: context.now,
    };
    remember(&mut session.noted, note, NOTED);
    Ok(verdict)
}

fn judge(
    session: &mut PrSession,
    told: &Delivered<'_>,
    context: &Context<'_>,
    actions: &mut Vec<Action>,
) -> Result<Verdict, Full> {
    let event = told.event;
    let is_newer = is_newer(session, event);
    match event.what {
        PrAction::Closed if !is_newer => return Ok(Verdict::Outdated),
        PrAction::Closed => {
            learn(session, event);
            close(session, actions);
            return Ok(Verdict::Closes);
        }
        PrAction::Reopened if !is_newer => return Ok(Verdict::Outdated),
        PrAction::Reopened => session.state = PrState::Open,
        _ if session.state == PrState::Closed => return Ok(Verdict::IsClosed),
        // The delivery that tells it is still to come, or was lost.
        _ if event.pull.as_ref().is_some_and(|pull| pull.is_closed) => return Ok(Verdict::IsClosed),
        _ => {}
    }
    let decision = (told.decide)(session);
    let verdict = match decision {
        Decision::Run(plan) => wait(session, told, plan)?,
        Decision::Nothing(_) if event.what == PrAction::Reopened => Verdict::Reopens,
        Decision::Nothing(verdict) => verdict,
    };
    if is_newer {
        learn(session, event);
    }
    if verdict == Verdict::Waits && go_on(session, context, actions) {
        return Ok(Verdict::Runs);
    }
    Ok(verdict)
}

/// Whether a delivery tells something later than what is known. Forges count seconds, so what is equal is taken in the
/// order in which it came.
fn is_newer(session: &PrSession, event: &PrEvent) -> bool {
    match (&session.pull, &event.pull) {
        (Some(known), Some(told)) => told.updated_at >= known.updated_at,
        (_, told) => told.is_some(),
    }
}

fn learn(session: &mut PrSession, event: &PrEvent) {
    if let Some(pull) = &event.pull {
        session.pull = Some(pull.clone());
    }
}

fn wait(session: &mut PrSession, told: &Delivered<'_>, plan: PrPlan) -> Result<Verdict, Full> {
    let queued = PrQueued { event: told.event.clone(), plan, trace: Some(told.trace) };
    let size = |queued: &PrQueued| serde_json::to_vec(queued).map_or(0, |json| json.len());
    let whole: usize = session.queued.iter().map(size).sum::<usize>() + size(&queued);
    // One alone always has room: its parts are bounded.
    if session.queued.len() >= QUEUED || (whole > QUEUED_BYTES && !session.queued.is_empty()) {
        return Err(Full);
    }
    session.queued.push(queued);
    Ok(Verdict::Waits)
}

/// Everything that could still begin is dropped, and what runs is ended.
fn close(session: &mut PrSession, actions: &mut Vec<Action>) {
    session.state = PrState::Closed;
    session.queued.clear();
    forget(session);
    if let Some(bottle) = session.run.as_ref().and_then(|run| run.bottle.clone()) {
        actions.push(Action::Stop(bottle));
    }
}

fn forget(session: &mut PrSession) {
    session.agent = None;
    session.bottles = Vec::new();
    session.bottle = None;
    session.session = None;
    session.turns = 0;
    session.carried = None;
}

fn started(session: &mut PrSession, request: &RequestId, bottle: &Slug, actions: &mut Vec<Action>) {
    let Some(run) = session.run.as_mut().filter(|run| run.start.id == *request) else { return };
    run.bottle = Some(bottle.clone());
    actions.push(if session.state == PrState::Closed { Action::Stop(bottle.clone()) } else { Action::Post });
}

fn over(
    session: &mut PrSession,
    request: &RequestId,
    ended: Ended,
    context: &Context<'_>,
    actions: &mut Vec<Action>,
) {
    let Some(mut run) = session.run.take_if(|run| run.start.id == *request) else { return };
    if ended.bottle.is_some() {
        run.bottle.clone_from(&ended.bottle);
    }
    if session.state == PrState::Open {
        if ended.cannot_resume && run.start.resume.is_some() {
            // The events are still to be answered, by a session that begins anew; losing one is said aloud.
            let why = ended.end.failure.unwrap_or_default();
            session.session = None;
            session.queued.splice(0..0, run.events);
            let note = format!("The session before this one could not go on: {why}");
            actions.extend(turn::begin(session, context, Some(note)));
            if let Some(next) = &mut session.run {
                // The comment that was begun goes on as the next run's.
                (next.comment, next.shown) = (run.comment, run.shown);
            }
            actions.push(Action::Post);
            return;
        }
        keep(session, &run, &ended);
    } else {
        forget(session);
    }
    // Only the answer is still to be posted, which says whose events it is for.
    run.events.iter_mut().for_each(strip);
    run.start.task = None;
    run.end = Some(ended.end);
    session.answers.push(run);
    actions.push(Action::Post);
    go_on(session, context, actions);
}

/// Leaves out what people wrote.
fn strip(queued: &mut PrQueued) {
    queued.plan.prompt = String::new();
    queued.event.pull = None;
    if let PrAction::Comment { text } | PrAction::Review { text, .. } = &mut queued.event.what {
        text.clear();
    }
}

/// What the next turn goes on from.
fn keep(session: &mut PrSession, run: &PrTurn, ended: &Ended) {
    session.agent = Some(run.start.agent.clone());
    session.turns = run.turn;
    if let Some(result) = &ended.end.result {
        session.carried = Some(crate::text::bounded(result, 4 << 10));
    }
    match (&ended.bottle, &ended.session) {
        (Some(bottle), Some(id)) => {
            session.bottle = Some(bottle.clone());
            session.session = Some(id.clone());
        }
        // It never ran: the session is where it was.
        (None, _) => {}
        (Some(_), None) => {
            session.bottle = None;
            session.session = None;
        }
    }
}

/// Begins the next run if one waits and may; whether it did.
fn go_on(session: &mut PrSession, context: &Context<'_>, actions: &mut Vec<Action>) -> bool {
    let may = session.state == PrState::Open && session.run.is_none() && session.answers.len() < ANSWERS;
    if !may {
        return false;
    }
    let Some(start) = turn::begin(session, context, None) else { return false };
    actions.push(start);
    actions.push(Action::Post);
    true
}

fn remember<T>(list: &mut Vec<T>, item: T, most: usize) {
    list.push(item);
    let excess = list.len().saturating_sub(most);
    list.drain(..excess);
}

/// When a conversation was last heard of.
#[must_use]
pub fn since(session: &PrSession) -> Option<Timestamp> {
    session.run.as_ref().map(|run| run.since)
}

#[cfg(test)]
mod tests;
