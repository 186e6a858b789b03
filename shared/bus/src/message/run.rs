//! What a launcher tells about a run.

use base::id::{AgentName, BottleName, LauncherId, RequestId, Slug};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Message, Version, time_schema};

/// `bottle.started.<bottle>`: the agent's program runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Started {
    /// Version of this message.
    pub v: Version<1>,
    /// The bottle.
    pub bottle: Slug,
    /// The request that asked for it.
    pub request: RequestId,
    /// The agent.
    pub agent: AgentName,
    /// The effective bottles, in order of merging.
    pub bottles: Vec<BottleName>,
    /// Which launcher runs it.
    pub launcher: LauncherId,
    /// The isolation backend.
    pub backend: String,
    /// The container runtime, where the backend runs containers: `runc` or `runsc` (gVisor).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime: Option<String>,
    /// How often this request has been tried, from 1.
    pub attempt: u64,
    /// Shown in lists.
    pub label: String,
    /// An ANSI colour name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub color: Option<String>,
    /// Whether its output is documents, out of which its answer is taken; a person sees that at its end.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub answers: bool,
    /// When the agent's program was started.
    #[schemars(schema_with = "time_schema")]
    pub at: Timestamp,
    /// How long each launch step took, in order.
    pub steps: Vec<StepTime>,
}

/// How long one launch step took.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StepTime {
    /// The step's name, as in `docs/launcher.md`.
    pub step: String,
    /// Milliseconds.
    pub ms: f64,
}

/// `bottle.exited.<bottle>`: the run is over and its remains were settled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Exited {
    /// Version of this message.
    pub v: Version<1>,
    /// The bottle.
    pub bottle: Slug,
    /// The request that asked for it.
    pub request: RequestId,
    /// Why it ended.
    pub reason: ExitReason,
    /// The program's exit code; 128 + N when signal N killed it.
    pub code: i32,
    /// The provider's session id, to resume by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// The transcript's name in the object store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transcript: Option<String>,
    /// What the agent answered; for a plain command the end of its output. Untrusted text, at most 64 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
    /// Why there is no answer, where the agent's program is one that gives answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<FailedRun>,
    /// What did not go as it should when the bottle was put away: its transcript could not be stored, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Whether the bottle's state directory was kept, and by which rule (L6).
    pub state: StateKept,
    /// When it ended.
    #[schemars(schema_with = "time_schema")]
    pub at: Timestamp,
    /// Milliseconds from the program's start to its end.
    pub duration_ms: u64,
}

/// How a run failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FailedRun {
    /// The kind of failure.
    pub kind: RunFailure,
    /// The program's last words, at most 4 KiB. Untrusted text.
    pub words: String,
}

/// Kinds of failed run; `docs/errors.md` says what to do about each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunFailure {
    /// The program wants to be logged in, or its token is no longer taken.
    Login,
    /// The program itself says that it failed.
    Reported,
    /// The program ended with an error code and without an answer.
    Died,
    /// The program ended as if all were well, and has said nothing.
    Silent,
    /// The program's answer is cut off, or in no form that is known.
    Unreadable,
    /// The run was ended before the program had answered.
    Unfinished,
}

/// Why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExitReason {
    /// The program ended by itself.
    Completed,
    /// Somebody asked it to stop.
    Stopped,
    /// The wall-time limit was reached (L13).
    TimeLimit,
    /// Its files grew over their limit, or the host's disk was nearly full (L13).
    DiskLimit,
    /// A sidecar died; the bottle was ended rather than left without its door.
    SidecarLost,
    /// The boundary or its init died.
    BoundaryLost,
}

/// What became of the state directory (L6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StateKept {
    /// Removed: the program ended by itself with exit code 0.
    Removed,
    /// Kept under the home: the run failed or was stopped, or its transcript could not be stored.
    Kept,
}

/// `bottle.failed.<request>`: nothing runs for this request, and why. Final: it will not be tried again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Failed {
    /// Version of this message.
    pub v: Version<1>,
    /// The request's id, or `malformed-<sequence>` when the message had none that could be read.
    pub request: RequestId,
    /// The bottle, if one had been recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bottle: Option<Slug>,
    /// What kind of failure.
    pub kind: FailureKind,
    /// The launch step that failed, as in `docs/launcher.md`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// What was being done, to what, why it failed, and what to try.
    pub reason: String,
    /// When.
    #[schemars(schema_with = "time_schema")]
    pub at: Timestamp,
}

/// Kinds of launch failure; `docs/errors.md` says what to do about each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The message was not a start request.
    Malformed,
    /// The agent, a bottle or a setting in them is missing or wrong.
    Manifest,
    /// Something the host must provide is missing.
    Prerequisite,
    /// A token could not be read.
    Secret,
    /// A sidecar did not become ready.
    Sidecar,
    /// The boundary could not be made.
    Boundary,
    /// The escape probe found a way out.
    Probe,
    /// A required provisioning step failed.
    Provision,
    /// The session cannot be resumed.
    Session,
    /// The program could not be started.
    Run,
    /// The request was tried too often.
    Attempts,
    /// Our own fault.
    Internal,
}

/// `bottle.output.<bottle>`: a piece of what the program wrote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Output {
    /// Version of this message.
    pub v: Version<1>,
    /// The bottle.
    pub bottle: Slug,
    /// Which of the program's two streams.
    pub stream: OutputStream,
    /// Bytes written to this stream before this piece.
    pub offset: u64,
    /// The bytes, in base64. Untrusted.
    pub data: String,
}

/// A program's output stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OutputStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl Message for Started {
    const PATTERN: &'static str = "bottle.started.*";

    fn subject(&self) -> String {
        format!("bottle.started.{}", self.bottle)
    }

    fn dedup_key(&self) -> Option<String> {
        Some(format!("started-{}-{}", self.request, self.bottle))
    }
}

impl Message for Exited {
    const PATTERN: &'static str = "bottle.exited.*";

    fn subject(&self) -> String {
        format!("bottle.exited.{}", self.bottle)
    }

    fn dedup_key(&self) -> Option<String> {
        Some(format!("exited-{}-{}", self.request, self.bottle))
    }
}

impl Message for Failed {
    const PATTERN: &'static str = "bottle.failed.*";

    fn subject(&self) -> String {
        format!("bottle.failed.{}", self.request)
    }

    fn dedup_key(&self) -> Option<String> {
        Some(format!("failed-{}", self.request))
    }
}

impl Message for Output {
    const PATTERN: &'static str = "bottle.output.*";

    fn subject(&self) -> String {
        format!("bottle.output.{}", self.bottle)
    }
}
