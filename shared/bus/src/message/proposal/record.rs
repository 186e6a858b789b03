//! What the supervisor remembers of a proposal.

use base::id::{ProposalId, Slug};
use jiff::Timestamp;
use policy::Added;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Content, Decide, Resolved};
use crate::message::{Version, time_schema};

/// Bucket `proposals`, key `<proposal id>`: one entry for all equal proposals that wait at the same time. Only the
/// supervisor writes it, by compare-and-set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProposalRecord {
    /// Version of this record.
    pub v: Version<1>,
    /// The bottle.
    pub bottle: Slug,
    /// The id under which it waits.
    pub proposal: ProposalId,
    /// What is asked for. Untrusted.
    pub content: Content,
    /// The content's hash.
    pub hash: String,
    /// The policy revision that the first one was made against.
    pub base: u64,
    /// What there is of what it asks to change: the Dockerfile that the bottle is made of, or that a resume of it would be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// Why the agent wants it, as it said last. Untrusted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub justification: Option<String>,
    /// When it was first asked for.
    #[schemars(schema_with = "time_schema")]
    pub first: Timestamp,
    /// When it was last asked for.
    #[schemars(schema_with = "time_schema")]
    pub last: Timestamp,
    /// How often it was asked for.
    pub count: u64,
    /// The place in the stream of the last one that was counted.
    pub sequence: u64,
    /// Other ids under which it was proposed, the newest last; the oldest are forgotten first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<ProposalId>,
    /// The proposal with the same content that a person has rejected before, if this one asks again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asks_again: Option<ProposalId>,
    /// When it expires if nobody answers.
    #[schemars(schema_with = "time_schema")]
    pub until: Timestamp,
    /// When the last answer to it was signed, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "optional_time_schema")]
    pub decided: Option<Timestamp>,
    /// Where it is in its life.
    pub state: ProposalState,
}

fn optional_time_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({ "type": ["string", "null"], "format": "date-time" })
}

/// A proposal's life: `pending → applying → resolved`, back to `pending` when the change could not be applied, or
/// straight to `resolved`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum ProposalState {
    /// It waits for a person.
    Pending {
        /// Why the last approval was not applied, if there was one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failed: Option<String>,
    },
    /// A person has approved it, and its change is on the way.
    Applying {
        /// The approval.
        decision: Box<Decide>,
        /// The change of policy that it makes, if it makes one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        plan: Option<Plan>,
    },
    /// It is over.
    Resolved {
        /// How it ended.
        resolved: Box<Resolved>,
        /// Whether [`Resolved`] was published.
        told: bool,
        /// What ends the grant, for one that holds once.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lease: Option<Lease>,
    },
}

/// A change of policy that is on its way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    /// The revision that it makes.
    pub revision: u64,
    /// [`policy::content_hash`] of that revision's policy: whoever goes on with the plan knows it by that.
    pub policy: String,
    /// What it adds.
    pub added: Added,
}

/// A grant that holds once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Lease {
    /// When it ends at the latest.
    #[schemars(schema_with = "time_schema")]
    pub until: Timestamp,
    /// The revision that granted it.
    pub revision: u64,
    /// What goes with it.
    pub added: Added,
}

impl ProposalRecord {
    /// Whether it still waits for a person, or for its change.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !matches!(self.state, ProposalState::Resolved { .. })
    }

    /// Whether this id is one of its own.
    #[must_use]
    pub fn answers_to(&self, proposal: &ProposalId) -> bool {
        self.proposal == *proposal || self.also.contains(proposal)
    }
}
