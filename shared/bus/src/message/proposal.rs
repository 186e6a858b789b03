//! Proposals: what an agent asks for, what a person answers (S2, S9).
//!
//! ```text
//! sidecar ── proposal.new.<bottle> ──▶ supervisor ── bucket `proposals` ──▶ operators
//!         ◀─ proposal.taken.<bottle> ──    ▲
//!         ── proposal.get, .withdraw ──▶   └── proposal.decide ── operator (signed)
//!         ◀─ proposal.resolved.<bottle> ── supervisor ──▶ operators, dispatcher
//! ```

mod content;
mod decide;
mod hash;
mod key;
mod record;

use base::id::{ProposalId, Slug};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use content::{
    Capability, Content, Edited, GitleaksAllow, ProposalKind, RefChange, RefGrant, TokenMatch, WorkflowChange,
};
pub use decide::{Decide, DecideRefusal, DecideReply, Decision, Scope, Verdict};
pub use hash::content_hash;
pub use key::{InvalidSignature, OperatorId, OperatorKey, OperatorKeyError};
pub use record::{Lease, Plan, ProposalRecord, ProposalState};

use super::{Message, Request, Version, time_schema};

/// The most bytes of a justification that are kept; what is longer is cut.
pub const LONGEST_JUSTIFICATION: usize = 4096;

/// `proposal.new.<bottle>`: something was refused, and somebody asks for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Proposed {
    /// Version of this message.
    pub v: Version<1>,
    /// The bottle.
    pub bottle: Slug,
    /// The proposal's id. An equal proposal that waits already goes on under its own id; see [`Taken`].
    pub proposal: ProposalId,
    /// What is asked for. Untrusted.
    pub content: Content,
    /// [`content_hash`] of the content: what a decision is bound to (invariant 5).
    pub hash: String,
    /// The policy revision it was made against.
    pub base: u64,
    /// Why the agent wants it. Untrusted; at most [`LONGEST_JUSTIFICATION`] bytes of it are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub justification: Option<String>,
    /// For how many seconds an answer is of use; the supervisor's own limit unless given, and never longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_seconds: Option<u64>,
    /// When.
    #[schemars(schema_with = "time_schema")]
    pub at: Timestamp,
}

impl Proposed {
    /// A new proposal, with an id and the hash of its content.
    #[must_use]
    pub fn new(bottle: Slug, content: Content, base: u64, at: Timestamp) -> Self {
        let hash = content_hash(&content);
        let proposal = ProposalId::random();
        Self {
            v: Version,
            bottle,
            proposal,
            content,
            hash,
            base,
            justification: None,
            wait_seconds: None,
            at,
        }
    }
}

impl Message for Proposed {
    const PATTERN: &'static str = "proposal.new.*";

    fn subject(&self) -> String {
        format!("proposal.new.{}", self.bottle)
    }

    fn dedup_key(&self) -> Option<String> {
        Some(self.proposal.to_string())
    }
}

/// `proposal.taken.<bottle>`: the supervisor has stored a proposal, and it waits for a person. Not kept: who missed it
/// asks with [`ProposalGet`]. A proposal that is not taken is [`Outcome::Refused`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Taken {
    /// Version of this message.
    pub v: Version<1>,
    /// The bottle.
    pub bottle: Slug,
    /// The id under which it was proposed.
    pub proposal: ProposalId,
    /// The id under which it waits, and will be resolved: another one when an equal proposal waited already.
    pub waits_as: ProposalId,
}

impl Message for Taken {
    const PATTERN: &'static str = "proposal.taken.*";

    fn subject(&self) -> String {
        format!("proposal.taken.{}", self.bottle)
    }
}

/// `proposal.get.<bottle>`: a sidecar asks how a proposal of its bottle stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProposalGet {
    /// Version of this message.
    pub v: Version<1>,
    /// The bottle.
    pub bottle: Slug,
    /// The proposal, by the id under which it was proposed or waits.
    pub proposal: ProposalId,
}

impl Message for ProposalGet {
    const PATTERN: &'static str = "proposal.get.*";

    fn subject(&self) -> String {
        format!("proposal.get.{}", self.bottle)
    }
}

impl Request for ProposalGet {
    type Reply = Standing;
}

/// `proposal.withdraw.<bottle>`: a bottle takes a proposal of its own back. The answer says how it stands after that:
/// resolved as withdrawn, or as whatever came first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Withdraw {
    /// Version of this message.
    pub v: Version<1>,
    /// The bottle.
    pub bottle: Slug,
    /// The proposal, by the id under which it was proposed or waits.
    pub proposal: ProposalId,
}

impl Message for Withdraw {
    const PATTERN: &'static str = "proposal.withdraw.*";

    fn subject(&self) -> String {
        format!("proposal.withdraw.{}", self.bottle)
    }
}

impl Request for Withdraw {
    type Reply = Standing;
}

/// How a proposal stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum Standing {
    /// It waits for a person, or its approval is being applied.
    Pending {
        /// The id under which it waits.
        proposal: ProposalId,
        /// How often it was asked for.
        count: u64,
        /// When it expires.
        #[schemars(schema_with = "time_schema")]
        until: Timestamp,
    },
    /// It is over.
    Resolved {
        /// How.
        resolved: Box<Resolved>,
    },
    /// The supervisor has not taken such a proposal of this bottle: not yet, it was refused, or it is forgotten.
    Unknown,
}

/// `proposal.resolved.<bottle>`: how a proposal ended. Only the supervisor publishes it (invariant 4).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Resolved {
    /// Version of this message.
    pub v: Version<1>,
    /// The bottle.
    pub bottle: Slug,
    /// The proposal.
    pub proposal: ProposalId,
    /// How it ended.
    pub outcome: Outcome,
    /// For how long it holds, where it was approved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scope>,
    /// The revision that runs because of it, if its change was one of policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u64>,
    /// The image that was built because of it, in which a resume of the bottle goes on (S7).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When.
    #[schemars(schema_with = "time_schema")]
    pub at: Timestamp,
    /// What the operator signed, where one answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<Box<Decide>>,
}

/// How a proposal ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Applied as asked.
    Approved,
    /// Applied as the operator edited it.
    Modified,
    /// Refused by the operator.
    Rejected,
    /// Nobody answered in time, or the bottle is over.
    Expired,
    /// The agent took it back.
    Withdrawn,
    /// The supervisor did not show it to anybody: it is malformed, or the bottle asks too much.
    Refused,
}

impl Outcome {
    /// Whether what was asked for is allowed now, as asked or as edited.
    #[must_use]
    pub fn is_granted(self) -> bool {
        matches!(self, Self::Approved | Self::Modified)
    }
}

impl Message for Resolved {
    const PATTERN: &'static str = "proposal.resolved.*";

    fn subject(&self) -> String {
        format!("proposal.resolved.{}", self.bottle)
    }

    fn dedup_key(&self) -> Option<String> {
        Some(format!("resolved-{}", self.proposal))
    }
}
