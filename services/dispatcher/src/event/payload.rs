//! The fields of a forge's payload that are read; all others are passed over.

use bus::message::pr::Review;
use jiff::Timestamp;
use serde::Deserialize;

#[derive(Deserialize)]
pub(super) struct Payload {
    #[serde(default)]
    pub(super) action: String,
    #[serde(default)]
    pub(super) number: Option<u64>,
    #[serde(default)]
    pub(super) pull_request: Option<PullRequest>,
    #[serde(default)]
    pub(super) issue: Option<Issue>,
    #[serde(default)]
    pub(super) comment: Option<Comment>,
    #[serde(default)]
    pub(super) review: Option<ReviewWords>,
    #[serde(default)]
    pub(super) is_pull: bool,
    pub(super) repository: Repository,
    pub(super) sender: User,
}

#[derive(Deserialize)]
pub(super) struct Repository {
    pub(super) full_name: String,
    #[serde(default)]
    pub(super) clone_url: String,
}

#[derive(Deserialize)]
pub(super) struct User {
    #[serde(default)]
    pub(super) id: i64,
    #[serde(default)]
    pub(super) login: String,
    #[serde(rename = "type", default)]
    pub(super) kind: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct PullRequest {
    pub(super) number: u64,
    #[serde(default)]
    pub(super) title: String,
    #[serde(default)]
    pub(super) body: Option<String>,
    pub(super) user: User,
    #[serde(default)]
    pub(super) labels: Option<Vec<Label>>,
    #[serde(default)]
    pub(super) assignees: Option<Vec<User>>,
    #[serde(default)]
    pub(super) state: String,
    #[serde(default)]
    pub(super) draft: bool,
    #[serde(default)]
    pub(super) merged: bool,
    pub(super) head: Branch,
    pub(super) base: Branch,
    pub(super) updated_at: Timestamp,
}

#[derive(Deserialize)]
pub(super) struct Label {
    #[serde(default)]
    pub(super) name: String,
}

#[derive(Deserialize)]
pub(super) struct Branch {
    #[serde(rename = "ref")]
    pub(super) reference: String,
    #[serde(default)]
    pub(super) sha: String,
    /// Null once a fork was deleted.
    #[serde(default)]
    pub(super) repo: Option<Repository>,
}

#[derive(Deserialize)]
pub(super) struct Issue {
    pub(super) number: u64,
    #[serde(default)]
    pub(super) pull_request: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
pub(super) struct Comment {
    #[serde(default)]
    pub(super) body: String,
    #[serde(default)]
    pub(super) created_at: Option<Timestamp>,
}

/// Gitea and Forgejo have `type` and `content`, GitHub `state` and `body`.
#[derive(Deserialize)]
pub(super) struct ReviewWords {
    #[serde(rename = "type", default)]
    kind: Option<String>,
    #[serde(default)]
    content: Option<String>,
    #[serde(default)]
    state: Option<String>,
    #[serde(default)]
    body: Option<String>,
}

impl ReviewWords {
    pub(super) fn verdict(&self) -> Option<Review> {
        match self.kind.as_deref().or(self.state.as_deref())? {
            "pull_request_review_approved" | "approved" => Some(Review::Approved),
            "pull_request_review_rejected" | "changes_requested" => Some(Review::Rejected),
            "pull_request_review_comment" | "commented" => Some(Review::Commented),
            _ => None,
        }
    }

    pub(super) fn text(&self) -> &str {
        self.content.as_deref().or(self.body.as_deref()).unwrap_or_default()
    }
}
