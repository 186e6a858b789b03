//! The trail of decisions.

use base::id::Slug;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Message, Version, time_schema};

/// `audit.<component>`: one decision. Only the supervisor publishes it (invariant 4).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AuditRecord {
    /// Version of this record.
    pub v: Version<1>,
    /// Which part decided.
    pub component: Component,
    /// Counts the records of the trail from 1.
    pub sequence: u64,
    /// When.
    #[schemars(schema_with = "time_schema")]
    pub at: Timestamp,
    /// The bottle it is about, if one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bottle: Option<Slug>,
    /// What was decided: references and hashes, never secrets.
    pub decision: serde_json::Value,
    /// SHA-256 of the record before this one, in hex; 64 zeroes for the first.
    pub previous: String,
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
}

impl Component {
    /// Lower-case name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Launcher => "launcher",
            Self::Egress => "egress",
            Self::Gitgate => "gitgate",
            Self::Supervisor => "supervisor",
            Self::Dispatcher => "dispatcher",
        }
    }
}

impl Message for AuditRecord {
    const PATTERN: &'static str = "audit.*";

    fn subject(&self) -> String {
        format!("audit.{}", self.component.as_str())
    }

    fn dedup_key(&self) -> Option<String> {
        Some(format!("audit-{}", self.sequence))
    }
}
