//! What a bottle's proxy let through and what it refused. Never a header, never a value.

use base::id::{ExchangeId, Slug};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Message, Version, time_schema};

/// `egress.blocked.<bottle>`: one refused request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Blocked {
    /// Version of this message.
    pub v: Version<1>,
    /// The bottle.
    pub bottle: Slug,
    /// The id that the refusal gave to the agent.
    pub id: ExchangeId,
    /// When.
    #[schemars(schema_with = "time_schema")]
    pub at: Timestamp,
    /// The request's method, as far as it was read. Untrusted.
    pub method: String,
    /// `https` or `http`, as far as known.
    pub scheme: String,
    /// The host it was for. Untrusted.
    pub host: String,
    /// The port it was for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Its path without the query, at most 1 KiB. Untrusted.
    pub path: String,
    /// The reason's stable name, listed in `docs/errors.md`.
    pub rule: String,
    /// The reason in words.
    pub reason: String,
    /// The status that the agent got.
    pub status: u16,
    /// The policy revision that decided.
    pub revision: u64,
    /// What a detector found in it, if that is why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<Found>,
}

/// Something that a detector found in a request or an answer. Never the value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Found {
    /// The detector, and its rule or the name of the secret: `token_patterns/<rule>`, `known_secrets/<name>`, `canary`,
    /// `entropy`, `naive_injection_detection`.
    pub detector: String,
    /// Where: `host`, `path`, `query`, `headers`, `body`, `trailers`, `WebSocket message`, `answer`.
    pub surface: String,
    /// The decoders that uncovered it, outermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub via: Vec<String>,
    /// What became of it.
    pub outcome: Outcome,
    /// Whether it cannot be a mistake: the bottle's canary.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_certain: bool,
}

/// What became of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Refused.
    Blocked,
    /// Held for a person, and refused for want of a yes.
    Held,
    /// Let through, as a person had allowed.
    Approved,
    /// Let through without it.
    Redacted,
    /// Let through.
    Warned,
}

/// `egress.log.<bottle>`: the requests of about one second that were allowed; one line each, never sampled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Log {
    /// Version of this message.
    pub v: Version<1>,
    /// The bottle.
    pub bottle: Slug,
    /// Counts the batches of this bottle from 1, so that a missing one is noticed.
    pub batch: u64,
    /// The requests, in the order in which they ended.
    pub lines: Vec<Allowed>,
}

/// One allowed request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Allowed {
    /// Its id.
    pub id: ExchangeId,
    /// When it began.
    #[schemars(schema_with = "time_schema")]
    pub at: Timestamp,
    /// The method. Untrusted.
    pub method: String,
    /// `https` or `http`.
    pub scheme: String,
    /// The host.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The path without the query, at most 1 KiB. Untrusted.
    pub path: String,
    /// The upstream's status; 0 if it never answered.
    pub status: u16,
    /// Bytes of the request's body that were forwarded.
    pub sent: u64,
    /// Bytes of the response's body that were forwarded.
    pub received: u64,
    /// Milliseconds from the request's head to the response's end.
    pub duration_ms: u64,
    /// The policy revision that decided.
    pub revision: u64,
    /// Whether it is a tunnel that passed unseen (`tls.passthrough`): `method` is CONNECT then, `status` what the tunnel's
    /// opening was answered, and the bytes are all that went through.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_unscanned: bool,
    /// What detectors found in it, at most 16.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub found: Vec<Found>,
}

/// A message that must reach the bus, as a proxy keeps it until then: a line of JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "lowercase")]
pub enum Parcel {
    /// A refused request.
    Blocked(Box<Blocked>),
    /// A second's allowed requests.
    Log(Log),
}

impl Message for Blocked {
    const PATTERN: &'static str = "egress.blocked.*";

    fn subject(&self) -> String {
        format!("egress.blocked.{}", self.bottle)
    }

    fn dedup_key(&self) -> Option<String> {
        Some(self.id.to_string())
    }
}

impl Message for Log {
    const PATTERN: &'static str = "egress.log.*";

    fn subject(&self) -> String {
        format!("egress.log.{}", self.bottle)
    }

    fn dedup_key(&self) -> Option<String> {
        let first = self.lines.first().map_or("", |line| line.id.as_str());
        Some(format!("{}-{}-{first}", self.bottle, self.batch))
    }
}
