//! Proposals: what an agent asks for, what a person answers.

use base::id::{ProposalId, Slug};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{Message, Request, Version, time_schema};

/// `proposal.new.<bottle>`: something was refused, and somebody asks for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Proposed {
    /// Version of this message.
    pub v: Version<1>,
    /// The bottle.
    pub bottle: Slug,
    /// The proposal's id.
    pub proposal: ProposalId,
    /// What is asked for.
    pub kind: ProposalKind,
    /// The kind's own content. Untrusted.
    pub content: serde_json::Value,
    /// SHA-256 of the content as canonical JSON, in hex: what a decision is bound to (invariant 5).
    pub hash: String,
    /// The policy revision it was made against.
    pub base: u64,
    /// Why the agent wants it. Untrusted, at most 4 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub justification: Option<String>,
    /// When.
    #[schemars(schema_with = "time_schema")]
    pub at: Timestamp,
}

/// The [`Proposed::hash`] of a content: SHA-256, in hex, of its JSON without spaces and with its keys in order.
#[must_use]
pub fn content_hash(content: &serde_json::Value) -> String {
    hex::encode(Sha256::digest(in_order(content).to_string()))
}

/// The same value with the keys of every object in order, whatever order they were read in.
fn in_order(value: &serde_json::Value) -> serde_json::Value {
    match value {
        serde_json::Value::Array(items) => items.iter().map(in_order).collect(),
        serde_json::Value::Object(members) => {
            let mut members: Vec<_> =
                members.iter().map(|(key, value)| (key.clone(), in_order(value))).collect();
            members.sort_by(|a, b| a.0.cmp(&b.0));
            serde_json::Value::Object(members.into_iter().collect())
        }
        plain => plain.clone(),
    }
}

/// What a proposal is about (S2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ProposalKind {
    /// A change to the bottle's routes.
    Egress,
    /// A held request in which a detector found something.
    TokenMatch,
    /// Findings that the pushed files excuse themselves.
    GitleaksAllow,
    /// A push that changes CI workflow files.
    WorkflowChange,
    /// A ref that the rules do not allow.
    RefGrant,
    /// A change to the bottle's Dockerfile.
    Capability,
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

/// `proposal.decide`: an operator's answer, signed (S9).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
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
    /// The operator's own version of the content, for `modify`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edited: Option<serde_json::Value>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When.
    #[schemars(schema_with = "time_schema")]
    pub at: Timestamp,
    /// The operator's public key, in hex.
    pub operator: String,
    /// Ed25519 signature over all of the above, in hex.
    pub signature: String,
}

/// An operator's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As asked.
    Approve,
    /// As edited.
    Modify,
    /// No.
    Reject,
}

/// The answer to a [`Decide`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum DecideReply {
    /// It is resolved, and its change runs.
    Resolved {
        /// The outcome.
        outcome: Outcome,
        /// The revision that now runs.
        revision: u64,
    },
    /// Nothing changed.
    Refused {
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
    /// The revision that runs because of it, if its change was one of policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u64>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When.
    #[schemars(schema_with = "time_schema")]
    pub at: Timestamp,
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
    /// Nobody answered in time.
    Expired,
    /// The agent took it back.
    Withdrawn,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_has_one_hash_whatever_the_order_of_its_keys() {
        let read = |text: &str| content_hash(&serde_json::from_str(text).unwrap());
        assert_eq!(
            read(r#"{"a":1,"b":{"c":[{"d":2,"e":3}]}}"#),
            read(r#"{"b":{"c":[{"e":3,"d":2}]},"a":1}"#)
        );
        assert_ne!(read(r#"{"a":[1,2]}"#), read(r#"{"a":[2,1]}"#));
        assert_eq!(read(r#"{"b":1, "a":""}"#), hex::encode(Sha256::digest(r#"{"a":"","b":1}"#)));
    }
}
