//! Policy revisions: asked for, changed, pushed, confirmed (E13, invariant 5).

use base::id::Slug;
use policy::{EgressPolicy, Route};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Message, Request, Version};

/// `policy.change`: an operator or a launcher asks the supervisor for the next revision. Answered only after the
/// sidecar has said what it now runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyChange {
    /// Version of this message.
    pub v: Version<1>,
    /// The bottle.
    pub bottle: Slug,
    /// The revision that the asker saw; 0 for the first. Another current revision refuses the change.
    pub base: u64,
    /// What to change.
    pub change: Change,
    /// Whether to wait for the sidecar; a launcher stores revision 1 before there is one.
    #[serde(default)]
    pub confirm: Confirm,
}

/// A change to a bottle's policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Change {
    /// This policy instead of the old one.
    Replace {
        /// The whole policy.
        policy: EgressPolicy,
    },
    /// One more route; refused if its host has one already.
    AddRoute {
        /// The route.
        route: Box<Route>,
    },
    /// The route of this host goes.
    RemoveRoute {
        /// The route's `host`, as written.
        host: String,
    },
}

/// Whether a change waits for its confirmation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Confirm {
    /// Answer when the sidecar runs the revision, or after the deadline.
    #[default]
    Running,
    /// Answer when the revision is stored.
    Stored,
}

/// The answer to a [`PolicyChange`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum PolicyChangeReply {
    /// The sidecar runs this revision.
    Running {
        /// The new revision.
        revision: u64,
    },
    /// The revision is stored; nobody was asked to run it.
    Stored {
        /// The new revision.
        revision: u64,
    },
    /// The revision is stored, but the sidecar has not confirmed it in time; it will get it when it asks.
    Unconfirmed {
        /// The new revision.
        revision: u64,
    },
    /// The current revision is another than the change was based on. Nothing changed.
    Conflict {
        /// The current revision.
        current: u64,
    },
    /// The change makes no valid policy, or the sidecar refused it and the old revision was restored.
    Refused {
        /// Why.
        reason: String,
    },
}

impl Message for PolicyChange {
    const PATTERN: &'static str = "policy.change";

    fn subject(&self) -> String {
        Self::PATTERN.to_owned()
    }
}

impl Request for PolicyChange {
    type Reply = PolicyChangeReply;
}

/// `policy.get.<bottle>`: a sidecar asks for its current revision. Answered by the supervisor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PolicyGet {
    /// Version of this message.
    pub v: Version<1>,
    /// The bottle.
    pub bottle: Slug,
}

/// The answer to a [`PolicyGet`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum PolicyGetReply {
    /// The current revision.
    Found {
        /// It.
        policy: PolicyRevision,
    },
    /// No policy is stored for this bottle.
    Unknown,
}

impl Message for PolicyGet {
    const PATTERN: &'static str = "policy.get.*";

    fn subject(&self) -> String {
        format!("policy.get.{}", self.bottle)
    }
}

impl Request for PolicyGet {
    type Reply = PolicyGetReply;
}

/// `policy.changed.<bottle>`: the supervisor pushes a revision. Also the value of the `policy` bucket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PolicyRevision {
    /// Version of this message.
    pub v: Version<1>,
    /// The bottle.
    pub bottle: Slug,
    /// Counts from 1.
    pub revision: u64,
    /// The whole policy.
    pub policy: EgressPolicy,
}

impl Message for PolicyRevision {
    const PATTERN: &'static str = "policy.changed.*";

    fn subject(&self) -> String {
        format!("policy.changed.{}", self.bottle)
    }
}

/// `policy.running.<bottle>`: a sidecar tells what it runs after a revision was pushed to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PolicyRunning {
    /// Version of this message.
    pub v: Version<1>,
    /// The bottle.
    pub bottle: Slug,
    /// The revision it now runs.
    pub running: u64,
    /// The revision it was pushed and refused, with the reason, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<RefusedRevision>,
}

/// A revision that a sidecar would not run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RefusedRevision {
    /// Its number.
    pub revision: u64,
    /// Why.
    pub reason: String,
}

impl Message for PolicyRunning {
    const PATTERN: &'static str = "policy.running.*";

    fn subject(&self) -> String {
        format!("policy.running.{}", self.bottle)
    }
}
