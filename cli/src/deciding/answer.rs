//! Giving an answer, and what comes back.

use std::time::Duration;

use base::clock::Clock;
use base::inert;
use bus::message::proposal::{
    Decide, DecideRefusal, DecideReply, Decision, OperatorKey, ProposalRecord, Verdict,
};
use bus::message::revision::PolicyRevision;
use bus::{Bus, BusError};

use super::card;

/// Longer than the supervisor waits for the sidecar.
const DEADLINE: Duration = Duration::from_secs(30);

/// An answer, bound to what was shown: the content by its hash, the policy by its revision (invariant 5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The proposal, as it was shown.
    pub shown: Box<ProposalRecord>,
    /// The revision that was shown; 0 if the bottle has no policy any more.
    pub base: u64,
    /// The answer.
    pub verdict: Verdict,
    /// Why.
    pub reason: Option<String>,
}

impl Answer {
    /// An answer to this, shown together with this policy.
    #[must_use]
    pub fn new(
        shown: ProposalRecord,
        current: Option<&PolicyRevision>,
        verdict: Verdict,
        reason: &str,
    ) -> Self {
        let reason = Some(reason.trim()).filter(|reason| !reason.is_empty()).map(str::to_owned);
        Self { shown: Box::new(shown), base: current.map_or(0, |current| current.revision), verdict, reason }
    }

    /// Signs and sends it, and waits until the bottle's sidecar runs what was approved.
    ///
    /// # Errors
    /// The bus or the supervisor does not answer; then it is not known what became of it.
    pub async fn give(self, bus: &Bus, key: &OperatorKey, clock: &Clock) -> Result<DecideReply, BusError> {
        let Self { shown, base, verdict, reason } = self;
        let (proposal, hash, at) = (shown.proposal, shown.hash, clock.now());
        let decision = Decision { proposal, hash, base, verdict, reason, at };
        bus.request(&Decide::signed(decision, key), DEADLINE).await
    }
}

/// A reply in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Whether the answer took effect.
    pub done: bool,
    /// What happened; inert.
    pub text: String,
    /// What has changed since the policy that was shown, a line for each; inert.
    pub differs: Vec<String>,
}

/// What a person is told about the reply.
#[must_use]
pub fn told(reply: &DecideReply) -> Told {
    match reply {
        DecideReply::Resolved { resolved } => {
            Told { done: true, text: card::ended(resolved), differs: Vec::new() }
        }
        DecideReply::Unconfirmed { revision } => Told {
            done: false,
            text: format!(
                "approved, but the bottle's proxy has not confirmed revision {revision} yet; it is resolved when that runs it"
            ),
            differs: Vec::new(),
        },
        DecideReply::Building => Told {
            done: true,
            text: "approved; the bottle is committed and the image built now, and the proposal waits again if that fails"
                .to_owned(),
            differs: Vec::new(),
        },
        DecideReply::Refused { why: DecideRefusal::StaleBase { current, differs } } => Told {
            done: false,
            text: format!(
                "the bottle's policy is at revision {current} now: look at what differs, and answer again"
            ),
            differs: differs.clone(),
        },
        DecideReply::Refused { why: DecideRefusal::AlreadyResolved { outcome } } => Told {
            done: false,
            text: format!("it is {} already", card::outcome(*outcome)),
            differs: Vec::new(),
        },
        DecideReply::Refused { why: DecideRefusal::ApplyFailed { reason } } => {
            let mut lines = reason.lines().map(|line| inert(line, 2000));
            let first = lines.next().unwrap_or_default();
            let text = format!("the change was not applied: {first}");
            Told { done: false, text, differs: lines.collect() }
        }
        DecideReply::Refused { why } => {
            Told { done: false, text: inert(&why.to_string(), 2000), differs: Vec::new() }
        }
    }
}
