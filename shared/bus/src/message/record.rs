//! The values of the key-value buckets.

use base::id::{AgentName, BottleName, LauncherId, RequestId, Slug};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::run::{Exited, Failed};
use super::{Version, time_schema};

/// Bucket `bottles`, key `<slug>`: what exists, and who owns it (invariant 10).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BottleRecord {
    /// Version of this record.
    pub v: Version<1>,
    /// The bottle.
    pub bottle: Slug,
    /// The request that asked for it.
    pub request: RequestId,
    /// Which try of that request this is, from 1.
    pub attempt: u64,
    /// The agent.
    pub agent: AgentName,
    /// The effective bottles, in order of merging.
    pub bottles: Vec<BottleName>,
    /// The launcher that owns it.
    pub launcher: LauncherId,
    /// The isolation backend.
    pub backend: String,
    /// The container runtime, where the backend runs containers: `runc` or `runsc` (gVisor).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime: Option<String>,
    /// Where it is in its life.
    pub state: BottleState,
    /// Shown in lists.
    pub label: String,
    /// An ANSI colour name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub color: Option<String>,
    /// When it was recorded.
    #[schemars(schema_with = "time_schema")]
    pub created_at: Timestamp,
    /// When this record last changed.
    #[schemars(schema_with = "time_schema")]
    pub updated_at: Timestamp,
    /// The program's exit code, once it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<i32>,
    /// Why it is where it is, where that needs words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// The session that its program runs or ran, if its provider has sessions (L3).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionRecord>,
    /// The environment that a resume of it begins with: its own last commit, or the one that it began with itself (L8).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<CommitRecord>,
    /// The Dockerfile that it is made of, on a backend with images where one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dockerfile: Option<String>,
}

/// The environment of a bottle as it was at some moment: an archive of what its agent could write to for good, and on a
/// backend with images the image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CommitRecord {
    /// The bottle that was committed.
    pub bottle: Slug,
    /// The archive's name in the object store `commits`: `<bottle>.<request>`.
    pub archive: String,
    /// When it was packed.
    #[schemars(schema_with = "time_schema")]
    pub at: Timestamp,
    /// Files, directories and links in it.
    pub entries: u64,
    /// Bytes of all files.
    pub bytes: u64,
    /// Bytes of the archive.
    pub size: u64,
    /// Sockets, pipes and devices, which are left out.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub skipped: u64,
    /// Files that could not be read and were left out, or that became shorter while they were read.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub torn: u64,
    /// What the bottle's container was made of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<CommitImage>,
}

/// An image that a commit needs. It has a name of its own on its engine, so that it stays there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CommitImage {
    /// Its content's id, `sha256:…`.
    pub id: String,
    /// The name that keeps it on the engine.
    pub pin: String,
    /// What the bottle knew it by, for people.
    pub name: String,
    /// The approved Dockerfile that it was built from, where it is not the bottle's own any more (S7).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dockerfile: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// A bottle's part in a session. Each run of a session is a bottle of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SessionRecord {
    /// The provider's template.
    pub provider: String,
    /// The session's id; absent until the program has told it. Untrusted text where the program chose it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Which run of the session this bottle is, from 1.
    pub turns: u64,
    /// The transcript's name in the object store `transcripts`, once it is there (L7).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transcript: Option<String>,
    /// The bottle whose transcript this one began with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resumed_from: Option<Slug>,
    /// The bottle that goes on with it, or went on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resumed_as: Option<Slug>,
}

/// A bottle's life: `starting → running → settling → exited`, or `failed`, or `lost` when its launcher died.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum BottleState {
    /// Between its record and its program's start.
    Starting,
    /// The program runs.
    Running,
    /// The program has ended; what it leaves is being put away.
    Settling,
    /// Over.
    Exited,
    /// It never ran.
    Failed,
    /// Its launcher died; another process removed what was left.
    Lost,
}

impl BottleState {
    /// Whether something of it may still exist on its launcher's host.
    #[must_use]
    pub fn is_live(self) -> bool {
        matches!(self, Self::Starting | Self::Running | Self::Settling)
    }
}

/// Bucket `launchers`, key `<launcher id>`: a heartbeat, written every few seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LauncherRecord {
    /// Version of this record.
    pub v: Version<1>,
    /// The launcher.
    pub launcher: LauncherId,
    /// Tells one process of it from the next.
    pub incarnation: String,
    /// The host's name.
    pub host: String,
    /// The backends that work there.
    pub backends: Vec<String>,
    /// How many bottles it runs.
    pub bottles: u64,
    /// When this was written.
    #[schemars(schema_with = "time_schema")]
    pub at: Timestamp,
}

/// Bucket `requests`, key `<request id>`: which launcher runs a start request, so that a redelivered one is not run
/// twice (invariant 10). Created only if absent, changed only by compare-and-set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RequestClaim {
    /// Version of this record.
    pub v: Version<1>,
    /// The request.
    pub request: RequestId,
    /// The bottle made for it, or for its latest attempt.
    pub bottle: Slug,
    /// The launcher that has it.
    pub launcher: LauncherId,
    /// Which try this is, from 1.
    pub attempt: u64,
    /// How far it is.
    pub state: ClaimState,
    /// How it ended, from before anybody is told until everybody was: whoever gets the request then tells it, and does
    /// not run it again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<End>,
}

/// The last event of a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum End {
    /// Its bottle ran and is over.
    Exited(Box<Exited>),
    /// Nothing runs for it.
    Failed(Box<Failed>),
}

/// How far a start request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ClaimState {
    /// Its launcher is at it.
    Claimed,
    /// It is over, one way or the other; a redelivery is only acknowledged.
    Done,
}
