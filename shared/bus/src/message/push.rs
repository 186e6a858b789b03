//! What the git gate took and what it refused.

use base::id::Slug;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Message, Version, time_schema};

/// `push.accepted.<bottle>`: every ref of a push passed, and upstream took them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Accepted {
    /// Version of this message.
    pub v: Version<1>,
    /// The bottle.
    pub bottle: Slug,
    /// The repository's name in the bottle's manifest.
    pub repo: String,
    /// When; no two pushes of a bottle have the same.
    #[schemars(schema_with = "time_schema")]
    pub at: Timestamp,
    /// The refs that moved.
    pub refs: Vec<RefUpdate>,
    /// How many objects were new.
    pub objects: u64,
}

/// `push.rejected.<bottle>`: nothing of a push went upstream, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Rejected {
    /// Version of this message.
    pub v: Version<1>,
    /// The bottle.
    pub bottle: Slug,
    /// The repository's name in the bottle's manifest.
    pub repo: String,
    /// When; no two pushes of a bottle have the same.
    #[schemars(schema_with = "time_schema")]
    pub at: Timestamp,
    /// The refs that it wanted to move. Untrusted.
    pub refs: Vec<RefUpdate>,
    /// How many objects were new, if they could be counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub objects: Option<u64>,
    /// The reason in words.
    pub reason: String,
    /// What the scan found; places, never values.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
}

/// One ref of a push.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RefUpdate {
    /// The full name of the ref.
    pub name: String,
    /// The object it pointed at; absent for a new ref.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old: Option<String>,
    /// The object it should point at; absent for a deletion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new: Option<String>,
}

/// Where a secret was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// The rule that matched.
    pub rule: String,
    /// The commit that brought it.
    pub commit: String,
    /// The file's path, or the part of the commit. Untrusted.
    pub place: String,
    /// The line, from 1, where lines make sense.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
}

/// A message that must reach the bus, as a gate keeps it until then: a file of JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "lowercase")]
pub enum Parcel {
    /// Upstream took it.
    Accepted(Accepted),
    /// Nothing of it went upstream.
    Rejected(Rejected),
}

impl Message for Accepted {
    const PATTERN: &'static str = "push.accepted.*";

    fn subject(&self) -> String {
        format!("push.accepted.{}", self.bottle)
    }

    fn dedup_key(&self) -> Option<String> {
        Some(moment("accepted", &self.bottle, self.at))
    }
}

impl Message for Rejected {
    const PATTERN: &'static str = "push.rejected.*";

    fn subject(&self) -> String {
        format!("push.rejected.{}", self.bottle)
    }

    fn dedup_key(&self) -> Option<String> {
        Some(moment("rejected", &self.bottle, self.at))
    }
}

/// A bottle's gate gives no two pushes the same moment.
fn moment(what: &str, bottle: &Slug, at: Timestamp) -> String {
    format!("push-{what}-{bottle}-{}", at.as_millisecond())
}
