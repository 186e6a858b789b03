//! Asking for a bottle, and asking one to end.

use base::id::{AgentName, BottleName, RequestId, Slug, WorkspaceId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::terminal::Terminal;
use super::{Message, Request, Version};

/// `bottle.start`: run an agent. It names what the launcher already has under its own home and can never carry a
/// definition; unknown fields are refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StartRequest {
    #[serde(default)]
    /// Version of this message.
    pub v: Version<1>,
    /// Chosen by the publisher; a second publication with the same id starts nothing.
    pub id: RequestId,
    /// The agent to run.
    pub agent: AgentName,
    /// Bottles to merge, left to right, instead of the agent's own (M8).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bottles: Vec<BottleName>,
    /// What the agent is told to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// What is in the workspace before the agent starts; it is empty unless given (L9).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace: Option<Workspace>,
    /// A session to continue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resume: Option<Resume>,
    /// Shown in lists; at most 64 printable bytes; the agent's name unless given (L5).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// One of the 16 ANSI colour names (L5).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub color: Option<String>,
    /// The backend to use instead of the launcher's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend: Option<String>,
    /// The container runtime, `runc` or `runsc` (gVisor), where the backend runs containers; the launcher chooses unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime: Option<String>,
    /// For an interactive run: the terminal that the program is started at. Its input comes as `bottle.terminal`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terminal: Option<Terminal>,
}

/// What a workspace is made of. It never names a directory of the launcher's host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Workspace {
    /// A repository, cloned through the bottle's git gate.
    Git(Checkout),
    /// A directory that somebody packed and uploaded.
    Archive(Upload),
}

/// A directory that was packed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Upload {
    /// Its name in the object store `workspaces`: a tar archive with GNU's long names, compressed with zstd.
    pub archive: WorkspaceId,
}

/// A repository and what to check out of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Checkout {
    /// A URL that the bottle's git gate knows.
    pub git: String,
    /// Branch, tag or commit (in full); the default branch unless given.
    #[serde(rename = "ref", default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
}

/// A session to continue, by its explicit id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Resume {
    /// The bottle that ran it.
    pub bottle: Slug,
    /// The session's id, as that bottle's record has it; required unless the session is to be a fresh one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// Whether a new session begins, with that bottle's agent and bottles.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub fresh: bool,
}

impl Message for StartRequest {
    const PATTERN: &'static str = "bottle.start";

    fn subject(&self) -> String {
        Self::PATTERN.to_owned()
    }

    fn dedup_key(&self) -> Option<String> {
        Some(self.id.to_string())
    }
}

/// `bottle.stop.<bottle>`: end a running bottle. Answered by the launcher that runs it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StopRequest {
    /// Version of this message.
    pub v: Version<1>,
    /// The bottle.
    pub bottle: Slug,
    /// Milliseconds between SIGTERM and SIGKILL; 10 000 unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace_ms: Option<u64>,
}

/// The answer to a [`StopRequest`], sent once the signal was delivered; `bottle.exited` tells the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StopReply {
    /// Version of this message.
    pub v: Version<1>,
    /// Whether this launcher runs the bottle and is ending it.
    pub stopping: bool,
    /// Why not, when it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Message for StopRequest {
    const PATTERN: &'static str = "bottle.stop.*";

    fn subject(&self) -> String {
        format!("bottle.stop.{}", self.bottle)
    }
}

impl Request for StopRequest {
    type Reply = StopReply;
}
