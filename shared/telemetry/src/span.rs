//! One thing that was done.

use std::time::Duration;

use bus::Trace;
use jiff::Timestamp;
use serde_json::json;

/// Characters of one text that are shown.
const LONGEST: usize = 1024;

/// What a span is to what called it (OpenTelemetry specification, `SpanKind`). The numbers are those of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A part of its parent.
    Internal = 1,
    /// Answers a request.
    Server = 2,
    /// Asks somebody else.
    Client = 3,
    /// Works on a message.
    Consumer = 5,
}

/// The value of an attribute, as the protocol writes it. Texts become inert and at most 1024 characters long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value(pub(crate) serde_json::Value);

/// One thing that was done, and is over. Who makes one vouches that no secret is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// What it was; one of a few.
    pub name: &'static str,
    /// What it was to its caller.
    pub kind: Kind,
    /// Its own place in the trace.
    pub context: Trace,
    /// As a part of what; of the first of a trace, itself.
    pub parent: Trace,
    /// When it began.
    pub start: Timestamp,
    /// How long it took.
    pub duration: Duration,
    /// What else is known of it.
    pub attributes: Vec<(&'static str, Value)>,
    /// Why it failed, if it did.
    pub error: Option<String>,
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self(json!({ "stringValue": base::inert(text, LONGEST) }))
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self(json!({ "intValue": number.to_string() }))
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self(json!({ "boolValue": flag }))
    }
}
