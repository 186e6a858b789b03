//! Forge events on their way to the worker of their pull request.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Message, Version, time_schema};

/// `pr.event.<repo>.<number>`: one delivery of a forge, stored before the forge was answered (D1).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PrEvent {
    /// Version of this message.
    pub v: Version<1>,
    /// The webhook's name in the dispatcher's configuration.
    pub webhook: String,
    /// The forge's id of this delivery; equal ids are the same event.
    pub delivery: String,
    /// The repository, `owner/name`. Untrusted.
    pub repo: String,
    /// The pull request's or issue's number.
    pub number: u64,
    /// The forge's name for the event.
    pub event: String,
    /// When it arrived.
    #[schemars(schema_with = "time_schema")]
    pub at: Timestamp,
    /// The forge's payload, as it came. Untrusted.
    pub payload: serde_json::Value,
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

    fn dedup_key(&self) -> Option<String> {
        Some(self.delivery.clone())
    }
}
