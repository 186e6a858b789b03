//! Requests that wait for a person, and what persons have let through (E9, S2, invariant 5).
//!
//! An approval is bound to the value, by its keyed digest, and to the host: the same value to another host is asked for
//! anew. It holds for the requests that wait for it, or for everything that the bottle sends until it exits.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base::clock::Clock;
use base::id::{ExchangeId, ProposalId, Slug};
use bus::Bus;
use bus::message::proposal::{Content, Outcome as Answer, Proposed, Resolved, Scope, TokenMatch};
use scan::{Digest, Finding};
use tokio::sync::watch;
use tokio::time::timeout;

use super::{Inspection, Surface, found};
use crate::refusal::Refusal;
use crate::scrub::Scrubber;

/// Questions that may wait at once.
const MOST_PENDING: usize = 64;
/// Approvals that are remembered.
const MOST_APPROVED: usize = 4096;
/// Requests that are remembered as let through once; older ones are over.
const MOST_ONCE: usize = 256;
/// How long the bus may take to store a question.
const STORE: Duration = Duration::from_secs(10);
/// How long the proxy of a bottle that has just begun may take to reach the bus.
const REACH: Duration = Duration::from_secs(10);

/// See the module.
pub(crate) struct Holds {
    bottle: Slug,
    clock: Clock,
    /// Absent where there is no bus: then nobody can be asked.
    bus: Option<watch::Receiver<Option<Bus>>>,
    patience: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    approved: HashSet<Key>,
    /// Let through once, while no request waited for it: the next one has it.
    next: HashSet<Key>,
    /// Requests that were let through once; one may hold the value in several places.
    once: VecDeque<(Key, ExchangeId)>,
    pending: HashMap<ProposalId, Pending>,
}

/// What an approval is bound to.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    digest: Digest,
    host: String,
}

struct Pending {
    key: Key,
    answer: watch::Sender<Option<Resolved>>,
}

/// A question that was put, by whomever first.
struct Question {
    proposal: ProposalId,
    answer: watch::Receiver<Option<Resolved>>,
    is_new: bool,
}

impl Holds {
    pub(crate) fn new(
        bottle: Slug,
        clock: Clock,
        bus: Option<watch::Receiver<Option<Bus>>>,
        patience: Duration,
    ) -> Self {
        Self { bottle, clock, bus, patience, state: Mutex::default() }
    }

    /// Whether a person has let this value go to this host, in this request.
    pub(crate) fn is_approved(&self, digest: Digest, host: &str, request: &ExchangeId) -> bool {
        let key = Key { digest, host: host.to_owned() };
        let mut state = self.state();
        if state.approved.contains(&key) || state.once.iter().any(|(k, id)| (k, id) == (&key, request)) {
            return true;
        }
        let is_next = state.next.remove(&key);
        if is_next {
            state.remember(key, request);
        }
        is_next
    }

    /// Questions for whose answer a request waits.
    pub(crate) fn held(&self) -> usize {
        self.state().pending.values().filter(|pending| pending.answer.receiver_count() > 0).count()
    }

    /// Takes a person's answer. Answers to questions of another life of this proxy are nothing to it.
    pub(crate) fn resolve(&self, resolved: Resolved) {
        let mut state = self.state();
        let Some(pending) = state.pending.remove(&resolved.proposal) else { return };
        if resolved.outcome == Answer::Approved && state.approved.len() + state.next.len() < MOST_APPROVED {
            let waits = pending.answer.receiver_count() > 0;
            match resolved.scope {
                Some(Scope::Once) if waits => {}
                Some(Scope::Once) => _ = state.next.insert(pending.key),
                Some(Scope::Bottle) => _ = state.approved.insert(pending.key),
                Some(Scope::Keep) | None => {}
            }
        }
        pending.answer.send_replace(Some(resolved));
    }

    /// The questions that wait for an answer.
    pub(crate) fn pending(&self) -> Vec<ProposalId> {
        self.state().pending.keys().cloned().collect()
    }

    /// Asks a person whether a finding may leave, and waits for the answer for a while.
    ///
    /// # Errors
    /// It may not, nobody can be asked, or nobody has answered yet.
    pub(super) async fn ask(
        &self,
        inspection: &Inspection,
        finding: &Finding,
        surface: Surface,
    ) -> Result<(), Refusal> {
        let found = || Box::new(found(finding, surface, bus::message::egress::Outcome::Held));
        let nobody = |why: &str| Refusal::NobodyToAsk { found: found(), why: why.to_owned() };
        let bus = self.reached().await.ok_or_else(|| nobody("the bus is away"))?;
        let key = Key { digest: finding.digest, host: inspection.asked.host.clone() };
        let question = self.question(key.clone()).ok_or_else(|| nobody("too many questions wait already"))?;
        let (proposal, mut answer) = (question.proposal.clone(), question.answer);
        if question.is_new {
            let proposed = self.proposed(&proposal, inspection, finding, surface);
            let answered = async { drop(answer.wait_for(Option::is_some).await) };
            let is_stored = tokio::select! {
                stored = timeout(STORE, bus.publish(&proposed)) => matches!(stored, Ok(Ok(_))),
                // Who has answered was asked, whether or not the bus has said so.
                () = answered => true,
            };
            if !is_stored {
                self.state().pending.remove(&proposal);
                return Err(nobody("the bus did not take the question"));
            }
        }
        match timeout(self.patience, answer.wait_for(Option::is_some)).await {
            Ok(Ok(resolved)) => match &*resolved {
                Some(Resolved { outcome: Answer::Approved, .. }) => {
                    self.state().remember(key, &inspection.asked.id);
                    Ok(())
                }
                Some(Resolved { outcome, reason, .. }) => Err(Refusal::Denied {
                    found: found(),
                    proposal,
                    outcome: *outcome,
                    reason: reason.as_deref().map(|reason| base::inert(reason, 500)),
                }),
                None => Err(nobody("the question was dropped")),
            },
            Ok(Err(_)) => Err(nobody("the question was dropped")),
            Err(_) => Err(Refusal::Unanswered { found: found(), proposal }),
        }
    }

    /// The bus; a bottle's first request may come before its proxy has reached it.
    async fn reached(&self) -> Option<Bus> {
        let mut bus = self.bus.clone()?;
        let reached = timeout(REACH, bus.wait_for(Option::is_some)).await;
        reached.ok()?.ok()?.clone()
    }

    /// The question about a value and a host; `None` if too many wait.
    fn question(&self, key: Key) -> Option<Question> {
        let mut state = self.state();
        if let Some((proposal, pending)) = state.pending.iter().find(|(_, pending)| pending.key == key) {
            let answer = pending.answer.subscribe();
            return Some(Question { proposal: proposal.clone(), answer, is_new: false });
        }
        if state.pending.len() >= MOST_PENDING {
            return None;
        }
        let proposal = ProposalId::random();
        let (sender, answer) = watch::channel(None);
        state.pending.insert(proposal.clone(), Pending { key, answer: sender });
        Some(Question { proposal, answer, is_new: true })
    }

    fn proposed(
        &self,
        proposal: &ProposalId,
        inspection: &Inspection,
        finding: &Finding,
        surface: Surface,
    ) -> Proposed {
        let asked = &inspection.asked;
        let (mut host, mut path) = (asked.host.clone(), asked.path.clone());
        Scrubber::new(Arc::clone(&inspection.scanner.detectors)).host(&mut host, &mut [&mut path]);
        let content = Content::TokenMatch(TokenMatch {
            request: asked.id.clone(),
            method: asked.method.clone(),
            scheme: asked.scheme.to_owned(),
            host,
            port: asked.port,
            path,
            detector: finding.detector.to_string(),
            surface: surface.name().to_owned(),
            via: finding.via.iter().map(ToString::to_string).collect(),
            value: hex::encode(finding.digest.0),
        });
        let proposed = Proposed::new(self.bottle.clone(), content, inspection.revision, self.clock.now());
        Proposed { proposal: proposal.clone(), ..proposed }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn remember(&mut self, key: Key, request: &ExchangeId) {
        if self.once.len() == MOST_ONCE {
            self.once.pop_front();
        }
        self.once.push_back((key, request.clone()));
    }
}
