//! Requests that wait for a person, and what persons have let through (E9, S2, invariant 5).
//!
//! An approval is bound to the value, by its keyed digest, and to the host: the same value to another host is asked for
//! anew.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base::clock::Clock;
use base::id::{ProposalId, Slug};
use bus::Bus;
use bus::message::Version;
use bus::message::proposal::{Outcome as Answer, ProposalKind, Proposed, Resolved, content_hash};
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
/// How long the bus may take to store a question.
const STORE: Duration = Duration::from_secs(5);

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

    /// Whether a person has let this value go to this host.
    pub(crate) fn is_approved(&self, digest: Digest, host: &str) -> bool {
        self.state().approved.contains(&Key { digest, host: host.to_owned() })
    }

    /// Questions that wait for an answer.
    pub(crate) fn pending(&self) -> usize {
        self.state().pending.len()
    }

    /// Takes a person's answer. Answers to questions of another life of this proxy are nothing to it.
    pub(crate) fn resolve(&self, resolved: Resolved) {
        let mut state = self.state();
        let Some(pending) = state.pending.remove(&resolved.proposal) else { return };
        if resolved.outcome == Answer::Approved && state.approved.len() < MOST_APPROVED {
            state.approved.insert(pending.key);
        }
        pending.answer.send_replace(Some(resolved));
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
        let bus = self.bus.as_ref().and_then(|bus| bus.borrow().clone());
        let bus = bus.ok_or_else(|| nobody("the bus is away"))?;
        let key = Key { digest: finding.digest, host: inspection.asked.host.clone() };
        let question = self.question(key).ok_or_else(|| nobody("too many questions wait already"))?;
        let proposal = question.proposal.clone();
        if question.is_new {
            let proposed = self.proposed(&proposal, inspection, finding, surface);
            let stored = timeout(STORE, bus.publish(&proposed)).await;
            if !matches!(stored, Ok(Ok(_))) {
                self.state().pending.remove(&proposal);
                return Err(nobody("the bus did not take the question"));
            }
        }
        let mut answer = question.answer;
        match timeout(self.patience, answer.wait_for(Option::is_some)).await {
            Ok(Ok(resolved)) => match &*resolved {
                Some(Resolved { outcome: Answer::Approved, .. }) => Ok(()),
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
        let content = serde_json::json!({
            "request": asked.id,
            "method": asked.method,
            "scheme": asked.scheme,
            "host": host,
            "port": asked.port,
            "path": path,
            "detector": finding.detector.to_string(),
            "surface": surface.name(),
            "via": finding.via.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "value": hex::encode(finding.digest.0),
        });
        Proposed {
            v: Version,
            bottle: self.bottle.clone(),
            proposal: proposal.clone(),
            kind: ProposalKind::TokenMatch,
            hash: content_hash(&content),
            content,
            base: inspection.revision,
            justification: None,
            at: self.clock.now(),
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
