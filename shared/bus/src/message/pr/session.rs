//! The conversation about one pull request, as the buckets have it.

use base::id::{AgentName, BottleName, Slug};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{PrEvent, Pull};
use crate::message::run::ExitReason;
use crate::message::start::StartRequest;
use crate::message::{Version, time_schema};
use crate::trace::Trace;

/// Bucket `pr_sessions`, key `<webhook>.<repo>.<number>`: the conversation about one pull request (D5). Changed only by
/// compare-and-set, so that it has one owner at a time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PrSession {
    /// Version of this record.
    pub v: Version<1>,
    /// The webhook's name in the dispatcher's file.
    pub webhook: String,
    /// The repository, `owner/name`. Untrusted.
    pub repo: String,
    /// The pull request's number.
    pub number: u64,
    /// Whether it is open.
    pub state: PrState,
    /// The pull request as the latest delivery had it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull: Option<Pull>,
    /// The agent of the session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentName>,
    /// The bottles that were asked for, instead of the agent's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bottles: Vec<BottleName>,
    /// The bottle that ran the session's last turn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bottle: Option<Slug>,
    /// The session's id, to resume by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// Turns so far since it began anew.
    pub turns: u64,
    /// Runs for this pull request so far, over all of its sessions.
    pub runs: u64,
    /// What the last answer said, for the session after this one. Untrusted; at most 4 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carried: Option<String>,
    /// The run in hand; there is never a second one (D6).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<PrTurn>,
    /// Events that wait for its end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub queued: Vec<PrQueued>,
    /// Runs that are over and whose answer is yet to be posted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<PrTurn>,
    /// What was signed in the deliveries that were seen, shortened; the oldest go first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub seen: Vec<String>,
    /// What became of the latest deliveries; the oldest go first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub noted: Vec<Noted>,
    /// When this record last changed.
    #[schemars(schema_with = "time_schema")]
    pub updated_at: Timestamp,
}

/// Whether a pull request is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PrState {
    /// Events may start a run.
    Open,
    /// Merged or closed: nothing runs until it is opened again.
    Closed,
}

/// What a rule says is to be run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PrPlan {
    /// The agent.
    pub agent: AgentName,
    /// Bottles to use instead of the agent's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bottles: Vec<BottleName>,
    /// What the agent is told, before what happened. The operator's words.
    pub prompt: String,
    /// The repository to clone into the workspace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clone: Option<String>,
    /// What of it is checked out.
    #[serde(rename = "ref", default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
}

/// An event and what it asks for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PrQueued {
    /// The event.
    pub event: PrEvent,
    /// What is to be run for it.
    pub plan: PrPlan,
    /// The step that took it in: a run that begins later belongs to its trace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<Trace>,
}

/// One run for a pull request, and how far its answer is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PrTurn {
    /// The start request, which is published after this record is stored, and again after a crash.
    pub start: StartRequest,
    /// Which run for the pull request this is, from 1.
    pub number: u64,
    /// Which turn of its session this is, from 1.
    pub turn: u64,
    /// The events that it answers.
    pub events: Vec<PrQueued>,
    /// The step that the start request is sent by: of the first of the events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<Trace>,
    /// The commit that its status is reported for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha: Option<String>,
    /// When it was decided on.
    #[schemars(schema_with = "time_schema")]
    pub since: Timestamp,
    /// What is to be told to people about how it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// The bottle that runs it, or ran it last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bottle: Option<Slug>,
    /// How it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<PrEnd>,
    /// The forge's id of the comment that answers it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<u64>,
    /// SHA-256 of what that comment last said, in hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shown: Option<String>,
    /// The commit status that was last reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<ReportedStatus>,
}

/// The state of a commit status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ReportedStatus {
    /// It runs.
    Pending,
    /// It ended well.
    Success,
    /// It did not.
    Failure,
    /// It could not be run.
    Error,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PrEnd {
    /// Why; absent when nothing ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<ExitReason>,
    /// Whether it ended well: by itself, with exit code 0, and with an answer where one is to be expected.
    pub is_success: bool,
    /// What the agent answered, or its program's last words. Untrusted; at most 16 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
    /// What went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// When.
    #[schemars(schema_with = "time_schema")]
    pub at: Timestamp,
}

/// What became of a delivery.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Noted {
    /// The forge's id of the delivery. Untrusted.
    pub delivery: String,
    /// The event's name.
    pub event: String,
    /// Who did it. Untrusted.
    pub actor: String,
    /// What became of it.
    pub verdict: Verdict,
    /// The step that took it in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<Trace>,
    /// When.
    #[schemars(schema_with = "time_schema")]
    pub at: Timestamp,
}

/// What became of an event. `docs/dispatch.md` says more about each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It started a run, or goes on with one of the session.
    Runs,
    /// It waits for the end of the run in hand.
    Waits,
    /// The pull request is closed now; what ran for it is stopped.
    Closes,
    /// The pull request is open again.
    Reopens,
    /// It was seen already.
    Repeated,
    /// The pull request is closed.
    IsClosed,
    /// A newer delivery has told how the pull request stands.
    Outdated,
    /// No rule is about it.
    NoRule,
    /// The rule says that it is ignored.
    RuleIgnores,
    /// The rule only goes on with a conversation, and there is none.
    NothingToResume,
    /// Whoever did it is not among those who may.
    NotAllowed,
    /// Whoever did it is no person.
    Bot,
    /// The agent's own account did it.
    Own,
    /// The comment does not mention the agent's account.
    NoMention,
    /// The label that the rule is about was not put on it.
    NoLabel,
    /// It was not assigned to the agent's account.
    NotAssigned,
}

/// Bucket `pr_deliveries`, key: the delivery's id. What `dispatch replay` plays again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StoredDelivery {
    /// Version of this record.
    pub v: Version<1>,
    /// The event.
    pub event: PrEvent,
    /// What became of it.
    pub verdict: Verdict,
}
