//! What an operator answers, and what the supervisor makes of it.

use base::id::ProposalId;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::hash::canonical;
use super::key::{InvalidSignature, OperatorId, OperatorKey};
use super::{Edited, Outcome, Resolved};
use crate::message::{Message, Request, Version, time_schema};

/// An operator's answer before it is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The proposal.
    pub proposal: ProposalId,
    /// The hash of what the operator was shown.
    pub hash: String,
    /// The bottle's policy revision that the operator was shown: the current one, else the answer is refused.
    pub base: u64,
    /// The answer.
    pub verdict: Verdict,
    /// Why.
    pub reason: Option<String>,
    /// When; later than every answer to this proposal before.
    pub at: Timestamp,
}

/// `proposal.decide`: an operator's answer, signed (S9).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Decide {
    /// Version of this message.
    pub v: Version<1>,
    /// The proposal.
    pub proposal: ProposalId,
    /// The hash of what the operator was shown.
    pub hash: String,
    /// The policy revision that the operator was shown.
    pub base: u64,
    /// The answer.
    pub verdict: Verdict,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When. Also what makes a repetition known: an answer must be later than those before it.
    #[schemars(schema_with = "time_schema")]
    pub at: Timestamp,
    /// Who.
    pub operator: OperatorId,
    /// Ed25519 signature, in hex, over the canonical JSON of all of the above.
    pub signature: String,
}

impl Decide {
    /// Signs a decision.
    #[must_use]
    pub fn signed(decision: Decision, key: &OperatorKey) -> Self {
        let Decision { proposal, hash, base, verdict, reason, at } = decision;
        let (operator, signature) = (key.id(), String::new());
        let mut decide = Self { v: Version, proposal, hash, base, verdict, reason, at, operator, signature };
        decide.signature = key.sign(decide.text().as_bytes());
        decide
    }

    /// Checks that whoever it names has signed exactly this.
    ///
    /// # Errors
    /// The signature is another's, or over something else.
    pub fn verify(&self) -> Result<(), InvalidSignature> {
        self.operator.verify(self.text().as_bytes(), &self.signature)
    }

    /// What is signed.
    fn text(&self) -> String {
        #[derive(Serialize)]
        struct Unsigned<'a> {
            v: Version<1>,
            proposal: &'a ProposalId,
            hash: &'a str,
            base: u64,
            verdict: &'a Verdict,
            reason: Option<&'a str>,
            at: Timestamp,
            operator: &'a OperatorId,
        }
        let Self { v, proposal, hash, base, verdict, reason, at, operator, signature: _ } = self;
        canonical(&Unsigned {
            v: *v,
            proposal,
            hash,
            base: *base,
            verdict,
            reason: reason.as_deref(),
            at: *at,
            operator,
        })
    }
}

/// An operator's answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "is", rename_all = "lowercase")]
pub enum Verdict {
    /// As asked.
    Approve {
        /// For how long.
        scope: Scope,
    },
    /// As edited.
    Modify {
        /// For how long.
        scope: Scope,
        /// What is granted instead.
        edited: Edited,
    },
    /// No.
    Reject,
}

impl Verdict {
    /// For how long it grants, if it does.
    #[must_use]
    pub fn scope(&self) -> Option<Scope> {
        match self {
            Self::Approve { scope } | Self::Modify { scope, .. } => Some(*scope),
            Self::Reject => None,
        }
    }

    /// The outcome that it leads to.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Approve { .. } => Outcome::Approved,
            Self::Modify { .. } => Outcome::Modified,
            Self::Reject => Outcome::Rejected,
        }
    }
}

/// For how long an approval holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// The held request, or the one push; for routes until the first request that it allows, at most ten minutes.
    Once,
    /// Until the bottle exits.
    Bottle,
    /// Also for the bottles to come: written next to the bottle's file.
    Keep,
}

impl Scope {
    /// Lower-case name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Once => "once",
            Self::Bottle => "bottle",
            Self::Keep => "keep",
        }
    }
}

/// The answer to a [`Decide`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum DecideReply {
    /// It is resolved, and its change runs.
    Resolved {
        /// How.
        resolved: Box<Resolved>,
    },
    /// The approval is stored, but the bottle's sidecar has not confirmed it in time. It is resolved when that runs it.
    Unconfirmed {
        /// The revision that it should run.
        revision: u64,
    },
    /// The approval is stored, and an image is being built. It is resolved when that is done, and waits again if it fails.
    Building,
    /// The proposal stands as it did.
    Refused {
        /// Why.
        why: DecideRefusal,
    },
}

/// Why a decision changes nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[serde(tag = "because", rename_all = "snake_case")]
pub enum DecideRefusal {
    /// It is no decision that can be read.
    #[error("the decision cannot be read: {reason}")]
    Malformed {
        /// What is wrong with it.
        reason: String,
    },
    /// There is no such proposal.
    #[error("there is no such proposal; it may have been removed some days after it ended")]
    UnknownProposal,
    /// The key is not one of the known operators'.
    #[error("this operator key is not known here: list its public half in the supervisor's operators file")]
    UnknownOperator,
    /// The signature is not the operator's, or is over something else.
    #[error("the signature is not over this decision by this operator")]
    BadSignature,
    /// It was signed too long ago, or in the future.
    #[error(
        "it was signed at {at}, and the supervisor's clock says {now}: decide again, and check both clocks"
    )]
    Untimely {
        /// When it was signed.
        #[schemars(schema_with = "time_schema")]
        at: Timestamp,
        /// The supervisor's time.
        #[schemars(schema_with = "time_schema")]
        now: Timestamp,
    },
    /// It, or a later one, was dealt with already.
    #[error("this decision, or a later one, was dealt with already: decide again")]
    Replayed,
    /// The proposal is over.
    #[error("the proposal is {outcome:?} already")]
    AlreadyResolved {
        /// How it ended.
        outcome: Outcome,
    },
    /// An approval of it is being applied.
    #[error("an approval of it is being applied")]
    BeingApplied,
    /// The operator was shown another content.
    #[error("it is not what you were shown: its hash is {hash}")]
    WrongHash {
        /// The content's hash.
        hash: String,
    },
    /// The bottle's policy has changed since.
    #[error("the bottle's policy is at revision {current} now; since the one you were shown: {}", differs.join("; "))]
    StaleBase {
        /// The current revision.
        current: u64,
        /// What has changed since, a line for each.
        differs: Vec<String>,
    },
    /// Approvals of this kind need a reason.
    #[error("it is about a secret: say why it may leave")]
    ReasonRequired,
    /// The edit does not make sense here.
    #[error("the edit is refused: {reason}")]
    InvalidEdit {
        /// What is wrong with it.
        reason: String,
    },
    /// The scope is not offered for this proposal.
    #[error("not with this scope: {reason}")]
    InvalidScope {
        /// Why, and what would be.
        reason: String,
    },
    /// Nothing here can apply such an approval.
    #[error("it cannot be approved: {reason}")]
    NotApplicable {
        /// Why.
        reason: String,
    },
    /// The change was tried, and refused or taken back.
    #[error("the change was not applied: {reason}")]
    ApplyFailed {
        /// Why.
        reason: String,
    },
}

impl Message for Decide {
    const PATTERN: &'static str = "proposal.decide";

    fn subject(&self) -> String {
        Self::PATTERN.to_owned()
    }
}

impl Request for Decide {
    type Reply = DecideReply;
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::id::RequestId;

    fn decision() -> Decision {
        Decision {
            proposal: "p1".parse().unwrap(),
            hash: "00".into(),
            base: 1,
            verdict: Verdict::Approve { scope: Scope::Once },
            reason: None,
            at: "2026-11-21T12:00:00Z".parse().unwrap(),
        }
    }

    #[test]
    fn a_signature_is_over_every_field() {
        let key = OperatorKey::generate();
        let signed = Decide::signed(decision(), &key);
        assert_eq!(signed.verify(), Ok(()));
        let read: Decide = serde_json::from_str(&serde_json::to_string(&signed).unwrap()).unwrap();
        assert_eq!((read.verify(), &read), (Ok(()), &signed));
        let other = OperatorKey::generate().id();
        let another = |change: &dyn Fn(&mut Decide)| {
            let mut changed = signed.clone();
            change(&mut changed);
            changed.verify()
        };
        let edits: [&dyn Fn(&mut Decide); 9] = [
            &|d| d.proposal = "p2".parse().unwrap(),
            &|d| d.hash = "01".into(),
            &|d| d.base = 2,
            &|d| d.verdict = Verdict::Reject,
            &|d| d.verdict = Verdict::Approve { scope: Scope::Keep },
            &|d| d.reason = Some(RequestId::random().to_string()),
            &|d| d.at = "2026-11-21T12:00:01Z".parse().unwrap(),
            &|d| d.operator = other.clone(),
            &|d| d.signature = "zz".into(),
        ];
        for (index, edit) in edits.into_iter().enumerate() {
            assert_eq!(another(edit), Err(InvalidSignature), "edit {index}");
        }
    }
}
