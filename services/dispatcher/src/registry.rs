//! Conversations on the bus: read, decided on, and written by compare-and-set, so that each has one owner at a time (D5).

use std::sync::Arc;
use std::time::Duration;

use base::id::RequestId;
use bus::layout::{PR_SESSIONS, REMEMBERED};
use bus::message::pr::{PrEvent, PrSession, PrState, PrTurn, Verdict};
use bus::{Bus, BusError, Value};

use crate::machine::{self, Action, Context, Full, Input};
use crate::prompt;
use crate::runs::Run;
use crate::shared::{Shared, lock};

/// How often a conversation may change between its reading and its writing.
const TRIES: usize = 20;
/// Before what follows is tried again, which doubles, up to the longest.
const PAUSE: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(30);

/// Why a conversation did not take something in.
#[derive(Debug)]
pub(crate) enum Untaken {
    /// As much waits as may.
    Full,
    /// The bus.
    Bus(BusError),
}

impl From<BusError> for Untaken {
    fn from(error: BusError) -> Self {
        Self::Bus(error)
    }
}

/// Brings something to a conversation, and does what follows once its next state is stored. A conversation that is not
/// known begins with an event, and with nothing else.
pub(crate) async fn bring(
    shared: &Arc<Shared>,
    key: &str,
    input: Input<'_>,
    begins: Option<&PrEvent>,
) -> Result<Option<Verdict>, Untaken> {
    let bus = match &input {
        Input::Event { trace, .. } => shared.bus.with_trace(*trace),
        _ => shared.bus.clone(),
    };
    let mut seen = Vec::new();
    for _ in 0..TRIES {
        let found = bus.bucket(&PR_SESSIONS).get(key).await?;
        seen.extend(found.as_ref().and_then(|found| Run::of(&found.value)));
        let Some(session) =
            found.as_ref().map(|found| found.value.clone()).or_else(|| begins.map(machine::new))
        else {
            return Ok(None);
        };
        let border = prompt::border();
        let context = Context { now: shared.clock.now(), turns: shared.file.turns(), border: &border };
        let next = machine::next(session, input.clone(), &context).map_err(|Full| Untaken::Full)?;
        if next.verdict == Some(Verdict::Repeated) {
            return Ok(next.verdict);
        }
        let run = Run::of(&next.session);
        run.iter().for_each(|run| lock(&shared.runs).expect(key, run));
        match write(&bus, key, &next.session, found.as_ref()).await {
            Err(BusError::Conflict { .. }) => {
                seen.extend(run);
                continue;
            }
            Err(error) => {
                // It may be stored nevertheless, and then nothing follows when it is brought again.
                later(shared, key);
                return Err(error.into());
            }
            Ok(()) => {}
        }
        lock(&shared.runs).settle(&seen, run.as_ref());
        follow(shared, &bus, key, &next.actions).await;
        return Ok(next.verdict);
    }
    let doing = format!("changing the conversation {key}");
    Err(Untaken::Bus(BusError::Conflict { doing, expected: 0 }))
}

/// Changes how far the answer of one run is; nothing if it is no longer there, or was replaced by one that has begun anew.
pub(crate) async fn posted(
    shared: &Shared,
    key: &str,
    request: &RequestId,
    change: impl Fn(&mut PrTurn),
) -> Result<(), BusError> {
    amend(shared, key, |session| match turn_of(session, request) {
        Some(turn) => {
            change(turn);
            true
        }
        None => false,
    })
    .await
}

/// Notes the comment of a run and what it shows. If the run was replaced meanwhile by one that begins anew, its comment
/// goes on as that one's.
pub(crate) async fn commented(
    shared: &Shared,
    key: &str,
    run: &PrTurn,
    (comment, shown): (u64, &str),
) -> Result<(), BusError> {
    amend(shared, key, |session| {
        if let Some(turn) = turn_of(session, &run.start.id) {
            (turn.comment, turn.shown) = (Some(comment), Some(shown.to_owned()));
            return true;
        }
        let successor = |next: &&mut PrTurn| {
            next.number == run.number + 1 && next.start.resume.is_none() && next.comment.is_none()
        };
        match session.answers.iter_mut().chain(session.run.as_mut()).find(successor) {
            Some(next) => {
                next.comment = Some(comment);
                true
            }
            None => false,
        }
    })
    .await
}

fn turn_of<'a>(session: &'a mut PrSession, request: &RequestId) -> Option<&'a mut PrTurn> {
    session.answers.iter_mut().chain(session.run.as_mut()).find(|turn| turn.start.id == *request)
}

/// Changes a conversation that is stored, if there is something to change.
async fn amend(shared: &Shared, key: &str, change: impl Fn(&mut PrSession) -> bool) -> Result<(), BusError> {
    for _ in 0..TRIES {
        let Some(found) = shared.bus.bucket(&PR_SESSIONS).get(key).await? else { return Ok(()) };
        let mut session = found.value.clone();
        if !change(&mut session) {
            return Ok(());
        }
        match write(&shared.bus, key, &session, Some(&found)).await {
            Err(BusError::Conflict { .. }) => {}
            written => return written,
        }
    }
    Err(BusError::Conflict { doing: format!("changing the conversation {key}"), expected: 0 })
}

/// Does what follows. What cannot be done now is done later: what is stored says that it is done, so that whatever is brought
/// again changes nothing, and nobody else is held up by it.
pub(crate) async fn follow(shared: &Arc<Shared>, bus: &Bus, key: &str, actions: &[Action]) {
    if let Err(error) = act(shared, bus, key, actions).await {
        tracing::warn!(key, error = base::error::chain(&error), "what follows is not done yet");
        later(shared, key);
    }
}

fn later(shared: &Arc<Shared>, key: &str) {
    if shared.behind.begin(key) {
        let (shared, key) = (shared.clone(), key.to_owned());
        shared.life.clone().spawn(async move { catch_up(&shared, &key).await });
    }
}

/// Does what a conversation says that there is to do, until that is done. The next dispatcher does it at its start.
async fn catch_up(shared: &Arc<Shared>, key: &str) {
    let mut pause = PAUSE;
    loop {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = shared.life.stopping() => return,
        }
        pause = (pause * 2).min(LONGEST);
        match act_again(shared, key).await {
            Ok(()) if shared.behind.rest(key) => return,
            Ok(()) => pause = PAUSE,
            Err(error) => {
                tracing::warn!(key, error = base::error::chain(&error), "what follows is still not done");
            }
        }
    }
}

async fn act_again(shared: &Arc<Shared>, key: &str) -> Result<(), BusError> {
    match shared.bus.bucket(&PR_SESSIONS).get(key).await? {
        Some(found) => act(shared, &shared.bus, key, &machine::again(&found.value)).await,
        None => Ok(()),
    }
}

/// Does what follows, as a part of the bus's step. Each may be done twice, and is done again after a crash.
async fn act(shared: &Arc<Shared>, bus: &Bus, key: &str, actions: &[Action]) -> Result<(), BusError> {
    for action in actions {
        match action {
            Action::Start(start, trace) => {
                // A run that waited belongs to the delivery that it waited with.
                let bus = trace.map_or_else(|| bus.clone(), |trace| bus.with_trace(trace));
                let stored = bus.publish(start.as_ref()).await?;
                let (request, duplicate) = (start.id.as_str(), stored.duplicate);
                let trace = trace.map(|trace| trace.id());
                tracing::info!(request, key, duplicate, trace, "a run is asked for");
            }
            Action::Stop(bottle) => crate::stopping::stop(shared, bus.clone(), bottle.clone()),
            Action::Post => shared.posting.wake(shared, key),
        }
    }
    Ok(())
}

async fn write(
    bus: &Bus,
    key: &str,
    session: &PrSession,
    found: Option<&Value<PrSession>>,
) -> Result<(), BusError> {
    let bucket = bus.bucket(&PR_SESSIONS);
    let revision = match found {
        Some(found) => found.revision,
        None => bucket.create(key, session).await?,
    };
    // Also what somebody did who may nothing is forgotten in the end.
    let forgets = session.state == PrState::Closed || session.runs == 0;
    if forgets && machine::is_over(session) {
        return bucket.update_for(key, session, revision, REMEMBERED).await.map(drop);
    }
    if found.is_some() {
        bucket.update(key, session, revision).await?;
    }
    Ok(())
}
