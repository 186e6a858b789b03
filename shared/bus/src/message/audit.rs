//! The trail of decisions (invariant 7, S8). `docs/audit.md` describes it for those who read and verify it.
//!
//! A record is stored once, as the bytes that were hashed: a JSON object on one line, without spaces, its fields in the
//! order of [`AuditRecord`]. Nothing is ever written anew to be hashed or to check a signature:
//!
//! - `previous` is the SHA-256 of the stored bytes of the record before;
//! - `signature`, the last field, is over the record's own stored bytes before it: up to `,"signature":`.
//!
//! Texts that others wrote are stored [`base::inert()`] and bounded.

use base::id::{AgentName, BottleName, ExchangeId, LauncherId, ProposalId, RequestId, Slug};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::proposal::{Decide, Outcome, Scope};
use super::push::{Finding, RefUpdate};
use super::revision::RefusedRevision;
use super::run::{ExitReason, FailureKind, StateKept};
use super::{Message, Version, egress, time_schema};

/// `audit.<component>`: one decision. Only the supervisor publishes it (invariant 4).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AuditRecord {
    /// Version of this record.
    pub v: Version<1>,
    /// Counts the records of the trail from 1; also its place in the stream.
    pub sequence: u64,
    /// SHA-256 of the stored bytes of the record before this one, in hex; 64 zeroes for the first.
    pub previous: String,
    /// When the bus stored the event that it records; for the trail's own records, when they were written.
    #[schemars(schema_with = "time_schema")]
    pub at: Timestamp,
    /// Which part decided.
    pub component: Component,
    /// The bottle it is about, if one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bottle: Option<Slug>,
    /// The event that it records; none for the trail's own records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// What was decided: references and hashes, never secrets.
    pub decision: Decision,
    /// Ed25519 signature over this record's stored bytes up to `,"signature":`, in hex; of `opened` and `checkpoint`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
}

/// A message of a stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Source {
    /// The stream.
    pub stream: String,
    /// Its place there.
    pub sequence: u64,
}

/// The parts that decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Component {
    /// The launcher.
    Launcher,
    /// A bottle's HTTP proxy.
    Egress,
    /// A bottle's git gate.
    Gitgate,
    /// The supervisor.
    Supervisor,
    /// The dispatcher.
    Dispatcher,
    /// The trail itself: its beginning and its checkpoints.
    Trail,
}

/// What was decided. Texts are inert and bounded; what was cut says so.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum Decision {
    /// The trail begins. Signed.
    Opened {
        /// The public key that signs it: 32 bytes, in hex.
        key: String,
    },
    /// Everything up to here is vouched for. Signed.
    Checkpoint {
        /// The public key that signs it: 32 bytes, in hex.
        key: String,
        /// How far each stream has been recorded.
        read: Vec<Source>,
    },
    /// Requests that were allowed: one batch of a bottle's proxy, each request a line.
    Allowed {
        /// The batch's number, as the proxy counts them.
        batch: u64,
        /// The requests. Findings say what was redacted, warned of, or let through as a person had allowed.
        lines: Vec<egress::Allowed>,
    },
    /// A request that was refused, after it was held or at once.
    Blocked {
        /// The id that the refusal gave to the agent.
        id: ExchangeId,
        /// The method.
        method: String,
        /// `https` or `http`.
        scheme: String,
        /// The host.
        host: String,
        /// The port.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        port: Option<u16>,
        /// The path without the query.
        path: String,
        /// The reason's stable name, listed in `docs/errors.md`.
        rule: String,
        /// The reason in words.
        reason: String,
        /// The status that the agent got.
        status: u16,
        /// The policy revision that decided.
        revision: u64,
        /// What a detector found, if that is why; its `outcome` tells a hold from a block.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        found: Option<egress::Found>,
    },
    /// A sidecar says which policy revision it runs.
    PolicyRunning {
        /// The revision.
        revision: u64,
        /// The revision that it refused, if it did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        refused: Option<RefusedRevision>,
    },
    /// A push went upstream.
    PushAccepted {
        /// The repository's name in the bottle's manifest.
        repo: String,
        /// The refs that moved.
        refs: Vec<RefUpdate>,
        /// How many more refs moved than are listed.
        #[serde(default, skip_serializing_if = "is_zero")]
        more_refs: u64,
        /// How many objects were new.
        objects: u64,
    },
    /// Nothing of a push went upstream.
    PushRejected {
        /// The repository's name in the bottle's manifest.
        repo: String,
        /// The refs that it wanted to move.
        refs: Vec<RefUpdate>,
        /// How many more refs it wanted to move than are listed.
        #[serde(default, skip_serializing_if = "is_zero")]
        more_refs: u64,
        /// How many objects were new, if they could be counted.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        objects: Option<u64>,
        /// Why.
        reason: String,
        /// Where secrets were found; places, never values.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        findings: Vec<Finding>,
        /// How many more findings there were than are listed.
        #[serde(default, skip_serializing_if = "is_zero")]
        more_findings: u64,
    },
    /// A bottle's program was started.
    Started {
        /// The request that asked for it.
        request: RequestId,
        /// The agent.
        agent: AgentName,
        /// The effective bottles, in order of merging.
        bottles: Vec<BottleName>,
        /// Which launcher runs it.
        launcher: LauncherId,
        /// The isolation backend, with the container runtime after a slash where it has one.
        backend: String,
        /// How often the request has been tried, from 1.
        attempt: u64,
    },
    /// A bottle's environment was kept.
    Committed {
        /// The archive's name in the object store.
        archive: String,
        /// Files, directories and links in it.
        entries: u64,
        /// Bytes of all files.
        bytes: u64,
        /// The id of the image that a resume is made of, on a backend with images.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        image: Option<String>,
    },
    /// A bottle's run is over.
    Exited {
        /// The request that asked for it.
        request: RequestId,
        /// Why it ended.
        reason: ExitReason,
        /// The program's exit code.
        code: i32,
        /// The transcript's name in the object store.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        transcript: Option<String>,
        /// SHA-256 of what the agent answered, in hex.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        result: Option<String>,
        /// What became of the state directory.
        state: StateKept,
        /// Milliseconds from the program's start to its end.
        duration_ms: u64,
    },
    /// Nothing runs for a request.
    Failed {
        /// The request.
        request: RequestId,
        /// What kind of failure.
        kind: FailureKind,
        /// The launch step that failed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        step: Option<String>,
        /// Why.
        reason: String,
    },
    /// A proposal ended.
    Resolved {
        /// The proposal.
        proposal: ProposalId,
        /// How: approved, modified, rejected, expired, withdrawn or refused.
        outcome: Outcome,
        /// For how long it holds, where it was approved.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        scope: Option<Scope>,
        /// The policy revision that runs because of it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        revision: Option<u64>,
        /// Why, in the supervisor's words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// What the operator signed, as it was: who, the hash of what was shown, the verdict and the reason. None when
        /// nobody answered.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        answer: Option<Box<Decide>>,
    },
    /// An event that this release cannot read, or that is too large to record: only its hash is kept.
    Unreadable {
        /// Where it was published.
        subject: String,
        /// How many bytes it has.
        bytes: u64,
        /// SHA-256 of its payload, in hex.
        sha256: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Events that were gone from their stream before they could be recorded.
    Gap {
        /// The stream.
        stream: String,
        /// The first that is gone.
        from: u64,
        /// The last that is gone.
        through: u64,
    },
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Component {
    /// Every component's name.
    pub const NAMES: [&str; 6] = ["launcher", "egress", "gitgate", "supervisor", "dispatcher", "trail"];

    /// Lower-case name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Launcher => "launcher",
            Self::Egress => "egress",
            Self::Gitgate => "gitgate",
            Self::Supervisor => "supervisor",
            Self::Dispatcher => "dispatcher",
            Self::Trail => "trail",
        }
    }
}

impl Decision {
    /// Every value of `is`.
    pub const NAMES: [&str; 14] = [
        "opened",
        "checkpoint",
        "allowed",
        "blocked",
        "policy_running",
        "push_accepted",
        "push_rejected",
        "started",
        "committed",
        "exited",
        "failed",
        "resolved",
        "unreadable",
        "gap",
    ];

    /// The value of `is`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Opened { .. } => "opened",
            Self::Checkpoint { .. } => "checkpoint",
            Self::Allowed { .. } => "allowed",
            Self::Blocked { .. } => "blocked",
            Self::PolicyRunning { .. } => "policy_running",
            Self::PushAccepted { .. } => "push_accepted",
            Self::PushRejected { .. } => "push_rejected",
            Self::Started { .. } => "started",
            Self::Committed { .. } => "committed",
            Self::Exited { .. } => "exited",
            Self::Failed { .. } => "failed",
            Self::Resolved { .. } => "resolved",
            Self::Unreadable { .. } => "unreadable",
            Self::Gap { .. } => "gap",
        }
    }
}

/// There is no dedup key: a record is appended by [`crate::Bus::append`], which names the record it follows.
impl Message for AuditRecord {
    const PATTERN: &'static str = "audit.*";

    fn subject(&self) -> String {
        format!("audit.{}", self.component.as_str())
    }
}
