//! Questions to a person, and what persons have granted (G5 to G7, invariant 5).
//!
//! A grant holds for exactly what was shown: the hash of the whole question, in which repository, refs and objects are.
//! It holds once, for the push that waits or for the next equal one, or until the gate ends.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base::clock::Clock;
use base::id::{ProposalId, Slug};
use bus::message::Version;
use bus::message::proposal::{
    Content, Outcome, ProposalGet, Proposed, Resolved, Scope, Standing, Taken, content_hash,
};
use bus::{Bus, BusError, Link};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// Questions that may wait at once.
const PENDING: usize = 64;
/// Grants that are remembered.
const GRANTED: usize = 4096;
/// Answers that are kept for questions which may turn out to be theirs.
const EARLY: usize = 64;
/// How long the bus may take to store a question.
const STORE: Duration = Duration::from_secs(10);
/// How long the gate of a bottle that has just begun may take to reach the bus.
const REACH: Duration = Duration::from_secs(10);
/// How long the supervisor may take to tell how a question stands.
const ASK: Duration = Duration::from_secs(2);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(500);
/// The longest time between two tries.
const LONG_PAUSE: Duration = Duration::from_secs(10);

/// See the module.
pub(crate) struct Asking {
    bottle: Slug,
    clock: Clock,
    bus: watch::Receiver<Option<Bus>>,
    revision: u64,
    supervise: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Until the gate ends.
    granted: HashSet<String>,
    /// For one push more.
    once: HashSet<String>,
    pending: HashMap<ProposalId, Pending>,
    /// Answers to questions that nobody here has put, the newest last: what such a question waits as may be heard later.
    early: VecDeque<Resolved>,
}

struct Pending {
    hash: String,
    answer: watch::Sender<Option<Resolved>>,
}

/// A question that was put.
pub(crate) struct Question {
    /// The id under which it waits, as far as is known.
    pub(crate) proposal: ProposalId,
    hash: String,
    answer: watch::Receiver<Option<Resolved>>,
}

/// What came of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Granted,
    Denied {
        outcome: Outcome,
        reason: Option<String>,
    },
    /// Nobody has answered yet.
    None,
}

/// Why nobody can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Nobody {
    #[error("this bottle asks nobody (`supervise` is off)")]
    Off,
    #[error("the bus is away, so that nobody can be asked; push again later")]
    Away,
    #[error("too many questions wait already; push again when they are answered")]
    TooMany,
}

impl Asking {
    pub(crate) fn new(
        bottle: Slug,
        clock: Clock,
        bus: watch::Receiver<Option<Bus>>,
        revision: u64,
        supervise: bool,
    ) -> Self {
        Self { bottle, clock, bus, revision, supervise, state: Mutex::default() }
    }

    /// Whether exactly this was granted.
    pub(crate) fn is_granted(&self, content: &Content) -> bool {
        let hash = content_hash(content);
        let state = self.state();
        state.granted.contains(&hash) || state.once.contains(&hash)
    }

    /// A push that made use of these goes on: what was granted once is used up.
    pub(crate) fn use_up<'a>(&self, contents: impl Iterator<Item = &'a Content>) {
        let mut state = self.state();
        for content in contents {
            state.once.remove(&content_hash(content));
        }
    }

    /// The bus; a bottle's first push may come before its gate has reached it.
    async fn reached(&self) -> Option<Bus> {
        let mut bus = self.bus.clone();
        let reached = timeout(REACH, bus.wait_for(Option::is_some)).await;
        reached.ok()?.ok()?.clone()
    }

    /// Asks, unless the same question waits already.
    ///
    /// # Errors
    /// Nobody can be asked.
    pub(crate) async fn propose(&self, content: Content, wait: Option<Duration>) -> Result<Question, Nobody> {
        if !self.supervise {
            return Err(Nobody::Off);
        }
        let bus = self.reached().await.ok_or(Nobody::Away)?;
        let proposed = Proposed {
            wait_seconds: wait.map(|wait| wait.as_secs()),
            ..Proposed::new(self.bottle.clone(), content, self.revision, self.clock.now())
        };
        let (question, is_new) = self.question(&proposed)?;
        if is_new && !matches!(timeout(STORE, bus.publish(&proposed)).await, Ok(Ok(_))) {
            self.state().pending.remove(&proposed.proposal);
            return Err(Nobody::Away);
        }
        Ok(question)
    }

    fn question(&self, proposed: &Proposed) -> Result<(Question, bool), Nobody> {
        let hash = proposed.hash.clone();
        let mut state = self.state();
        if let Some((id, pending)) = state.pending.iter().find(|(_, pending)| pending.hash == hash) {
            let (proposal, answer) = (id.clone(), pending.answer.subscribe());
            return Ok((Question { proposal, hash, answer }, false));
        }
        if state.pending.len() >= PENDING {
            return Err(Nobody::TooMany);
        }
        let (sender, answer) = watch::channel(None);
        state.pending.insert(proposed.proposal.clone(), Pending { hash: hash.clone(), answer: sender });
        Ok((Question { proposal: proposed.proposal.clone(), hash, answer }, true))
    }

    /// Waits for an answer until `end`.
    pub(crate) async fn wait(&self, question: &mut Question, end: Instant) -> Answer {
        let answered = tokio::time::timeout_at(end, question.answer.wait_for(Option::is_some)).await;
        let resolved = match answered {
            Ok(Ok(resolved)) => (*resolved).clone(),
            Ok(Err(_)) | Err(_) => None,
        };
        match resolved {
            None => Answer::None,
            Some(resolved) if resolved.outcome == Outcome::Approved && self.has(&question.hash) => {
                Answer::Granted
            }
            Some(resolved) => Answer::Denied {
                outcome: resolved.outcome,
                reason: resolved.reason.as_deref().map(|reason| base::inert(reason, 500)),
            },
        }
    }

    fn has(&self, hash: &str) -> bool {
        let state = self.state();
        state.granted.contains(hash) || state.once.contains(hash)
    }

    /// Takes a person's answer. Answers to questions of another life of this gate, or of other sidecars, are nothing to
    /// it.
    fn resolve(&self, resolved: Resolved) {
        let mut state = self.state();
        let Some(pending) = state.pending.remove(&resolved.proposal) else {
            if state.early.len() == EARLY {
                state.early.pop_front();
            }
            return state.early.push_back(resolved);
        };
        if resolved.outcome == Outcome::Approved && state.granted.len() + state.once.len() < GRANTED {
            match resolved.scope {
                Some(Scope::Once) => _ = state.once.insert(pending.hash),
                Some(Scope::Bottle) => _ = state.granted.insert(pending.hash),
                Some(Scope::Keep) | None => {}
            }
        }
        pending.answer.send_replace(Some(resolved));
    }

    /// An equal question waited already: the answer comes under its id.
    fn rename(&self, taken: Taken) {
        let mut state = self.state();
        if taken.waits_as != taken.proposal
            && let Some(pending) = state.pending.remove(&taken.proposal)
        {
            let early = state.early.iter().position(|early| early.proposal == taken.waits_as);
            let early = early.and_then(|at| state.early.remove(at));
            state.pending.insert(taken.waits_as, pending);
            drop(state);
            early.into_iter().for_each(|resolved| self.resolve(resolved));
        }
    }

    fn pending(&self) -> Vec<ProposalId> {
        self.state().pending.keys().cloned().collect()
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Hears answers, for as long as it is let.
pub(crate) async fn follow(asking: Arc<Asking>) {
    let mut bus = asking.bus.clone();
    let Ok(bus) = bus.wait_for(Option::is_some).await.map(|bus| bus.clone()) else { return };
    let Some(bus) = bus else { return };
    loop {
        let Err(error) = listen(&bus, &asking).await;
        let pause = match &error {
            BusError::Denied(_) => {
                tracing::error!(error = base::error::chain(&error), "this bottle may not hear answers");
                LONG_PAUSE
            }
            _ => {
                tracing::warn!(error = base::error::chain(&error), "listening for answers was cut off");
                PAUSE
            }
        };
        sleep(pause).await;
    }
}

/// Hears of answers, and asks for those that were missed whenever the bus has come back.
async fn listen(bus: &Bus, asking: &Asking) -> Result<std::convert::Infallible, BusError> {
    let bottle = &asking.bottle;
    let mut link = bus.link();
    let mut taken = bus.subscribe::<Taken>(&format!("proposal.taken.{bottle}")).await?;
    let mut answers = bus.subscribe::<Resolved>(&format!("proposal.resolved.{bottle}")).await?;
    let mut question = Some(Instant::now());
    let mut pause = PAUSE;
    loop {
        tokio::select! {
            answer = answers.next() => match answer?.message {
                Ok(resolved) => asking.resolve(resolved),
                Err(malformed) => tracing::error!(%malformed, "an answer to a proposal cannot be read"),
            },
            taken = taken.next() => match taken?.message {
                Ok(taken) => asking.rename(taken),
                Err(malformed) => tracing::error!(%malformed, "what became of a proposal cannot be read"),
            },
            Ok(()) = link.changed() => {
                if *link.borrow_and_update() == Link::Up {
                    (question, pause) = (Some(Instant::now()), PAUSE);
                }
            }
            () = sleep_until(question.unwrap_or_else(Instant::now)), if question.is_some() => {
                question = match missed(bus, asking).await {
                    Ok(()) => None,
                    Err(error) => {
                        tracing::info!(error = base::error::chain(&error), "cannot ask what was missed yet");
                        Some(Instant::now() + pause)
                    }
                };
                pause = (pause * 2).min(LONG_PAUSE);
            }
        }
    }
}

/// Asks how the questions stand that wait for an answer.
async fn missed(bus: &Bus, asking: &Asking) -> Result<(), BusError> {
    for proposal in asking.pending() {
        let get = ProposalGet { v: Version, bottle: asking.bottle.clone(), proposal: proposal.clone() };
        match bus.request(&get, ASK).await? {
            Standing::Resolved { resolved } => {
                let waits_as = resolved.proposal.clone();
                asking.rename(Taken { v: Version, bottle: asking.bottle.clone(), proposal, waits_as });
                asking.resolve(*resolved);
            }
            Standing::Pending { proposal: waits_as, .. } => {
                asking.rename(Taken { v: Version, bottle: asking.bottle.clone(), proposal, waits_as });
            }
            Standing::Unknown => {}
        }
    }
    Ok(())
}
