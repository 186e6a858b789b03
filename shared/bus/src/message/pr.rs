//! Forge events on their way to the conversation of their pull request, and what is remembered of it.

mod session;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Message, Version, time_schema};

pub use session::{
    Noted, PrEnd, PrPlan, PrQueued, PrSession, PrState, PrTurn, ReportedStatus, StoredDelivery, Verdict,
};

/// `pr.event.<repo>.<number>`: one delivery of a forge about a pull request, stored before the forge was answered
/// (D1). It holds what the forge said at that time (D3): nothing of it is looked up again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PrEvent {
    /// Version of this message.
    pub v: Version<1>,
    /// The webhook's name in the dispatcher's file.
    pub webhook: String,
    /// The forge's id of this delivery.
    pub delivery: String,
    /// SHA-256 of what the forge signed, in hex. Deliveries with the same one are the same event, whatever they are called.
    pub digest: String,
    /// The repository, `owner/name`. Untrusted.
    pub repo: String,
    /// The pull request's number.
    pub number: u64,
    /// When it arrived.
    #[schemars(schema_with = "time_schema")]
    pub at: Timestamp,
    /// Who did it.
    pub actor: Actor,
    /// What happened.
    pub what: PrAction,
    /// The pull request as it was; a comment's delivery may lack it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull: Option<Pull>,
}

/// An account of the forge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Actor {
    /// Its name there. Untrusted.
    pub login: String,
    /// Whether the forge says that it is no person.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_bot: bool,
}

/// What happened to a pull request (D2). Texts are untrusted and at most 8 KiB.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum PrAction {
    /// It was opened.
    Opened,
    /// It was opened again.
    Reopened,
    /// Commits were pushed to it.
    Pushed,
    /// It was merged, or closed without.
    Closed,
    /// Its labels changed; the pull request has what they are now.
    Labelled,
    /// Its assignees changed; the pull request has who they are now.
    Assigned,
    /// Somebody wrote a comment.
    Comment {
        /// The comment.
        text: String,
    },
    /// Somebody reviewed it.
    Review {
        /// The verdict.
        verdict: Review,
        /// The reviewer's words.
        text: String,
    },
}

/// A review's verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Review {
    /// Yes.
    Approved,
    /// No.
    Rejected,
    /// Neither.
    Commented,
}

/// A pull request at one time. All of it is untrusted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Pull {
    /// Its title; at most 512 bytes.
    pub title: String,
    /// Its description; at most 8 KiB.
    pub body: String,
    /// Who opened it.
    pub author: String,
    /// The branch that it would change.
    pub base: String,
    /// The branch with the change, in `head_repo`.
    pub head: String,
    /// The repository of that branch, `owner/name`; absent when it was deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head_repo: Option<String>,
    /// The last commit of that branch.
    pub sha: String,
    /// Whether it is a draft.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_draft: bool,
    /// Whether it is closed or merged.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_closed: bool,
    /// Its labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// Who it is assigned to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub assignees: Vec<String>,
    /// Where its repository is cloned from over HTTP.
    pub clone_url: String,
    /// When the forge last changed it.
    #[schemars(schema_with = "time_schema")]
    pub updated_at: Timestamp,
}

impl PrEvent {
    /// The key of its pull request in the bucket `pr_sessions`.
    #[must_use]
    pub fn key(&self) -> String {
        format!("{}.{}.{}", repo_token(&self.webhook), repo_token(&self.repo), self.number)
    }
}

/// A repository's name as one token of a subject: every byte but `A-Z a-z 0-9 -` becomes `_` and two hex digits, so
/// that different names stay different.
#[must_use]
pub fn repo_token(repo: &str) -> String {
    let mut token = String::with_capacity(repo.len() + 8);
    for byte in repo.bytes() {
        if byte.is_ascii_alphanumeric() || byte == b'-' {
            token.push(char::from(byte));
        } else {
            token.push_str(&format!("_{byte:02x}"));
        }
    }
    token
}

impl Message for PrEvent {
    const PATTERN: &'static str = "pr.event.*.*";

    fn subject(&self) -> String {
        format!("pr.event.{}.{}", repo_token(&self.repo), self.number)
    }

    /// Only the forge and the dispatcher know the whole of what was signed.
    fn dedup_key(&self) -> Option<String> {
        Some(format!("{}-{}", repo_token(&self.webhook), self.digest))
    }
}
