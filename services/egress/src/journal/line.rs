//! One line of the log: text that is harmless to show.

use std::borrow::Cow;

use base::id::ExchangeId;
use bus::message::egress::{Allowed, Blocked, Found, Outcome};
use jiff::Timestamp;
use serde::Serialize;

use crate::contents::{Excerpt, Seen};
use crate::scrub::Scrubber;

/// Characters of one text that are shown.
const LONGEST: usize = 2048;

/// One decision.
#[derive(Default, Serialize)]
pub(super) struct Line<'a> {
    timestamp: Timestamp,
    level: &'static str,
    message: &'static str,
    outcome: &'static str,
    #[serde(rename = "exchange.id")]
    id: Option<&'a ExchangeId>,
    method: Cow<'a, str>,
    scheme: &'a str,
    host: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    path: Cow<'a, str>,
    status: u16,
    revision: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sent: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    received: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_ms: Option<u64>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    is_unscanned: bool,
    #[serde(skip_serializing_if = "<[Found]>::is_empty")]
    found: &'a [Found],
    #[serde(flatten)]
    contents: Option<Shown>,
    target: &'static str,
}

/// Where lines are missing.
#[derive(Serialize)]
pub(super) struct Gap {
    timestamp: Timestamp,
    level: &'static str,
    message: &'static str,
    pub(super) left_out: u64,
    target: &'static str,
}

/// What was gathered of a request, without its secrets.
#[derive(Serialize)]
pub(super) struct Shown {
    request_headers: Vec<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    request_body: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    answer_headers: Vec<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    answer_body: String,
}

impl<'a> Line<'a> {
    /// An allowed request.
    pub(super) fn allowed(line: &'a Allowed, contents: Option<Shown>) -> Self {
        let outcome = passed(line);
        Self {
            timestamp: line.at,
            message: if outcome == "failed" { "a request failed" } else { "a request was allowed" },
            outcome,
            id: Some(&line.id),
            method: shown(&line.method),
            scheme: &line.scheme,
            host: shown(&line.host),
            port: Some(line.port),
            path: shown(&line.path),
            status: line.status,
            revision: line.revision,
            sent: Some(line.sent),
            received: Some(line.received),
            duration_ms: Some(line.duration_ms),
            is_unscanned: line.is_unscanned,
            found: &line.found,
            contents,
            ..Self::new()
        }
    }

    /// A refused request.
    pub(super) fn blocked(line: &'a Blocked, contents: Option<Shown>) -> Self {
        Self {
            timestamp: line.at,
            message: "a request was refused",
            outcome: refused(line),
            id: Some(&line.id),
            method: shown(&line.method),
            scheme: &line.scheme,
            host: shown(&line.host),
            port: line.port,
            path: shown(&line.path),
            status: line.status,
            revision: line.revision,
            rule: Some(&line.rule),
            reason: Some(shown(&line.reason)),
            found: line.found.as_slice(),
            contents,
            ..Self::new()
        }
    }

    fn new() -> Self {
        Self { level: "INFO", target: "egress::journal", ..Self::default() }
    }
}

impl Gap {
    /// From the first line that is missing.
    pub(super) fn since(timestamp: Timestamp) -> Self {
        let message = "the log was not taken in time, and lines are missing here";
        Self { timestamp, level: "WARN", message, left_out: 0, target: "egress::journal" }
    }
}

impl Shown {
    /// Bodies are shown of requests only that went through: what was refused may end in the middle of what it was refused
    /// for.
    pub(super) fn of(seen: &Seen, has_bodies: bool, scrubber: &Scrubber) -> Self {
        let head = |text: &str| {
            let mut text = text.as_bytes().to_vec();
            scrubber.bytes(&mut text);
            String::from_utf8_lossy(&text).lines().map(|line| shown(line).into_owned()).collect()
        };
        let body = |excerpt: &Excerpt| {
            let bytes = excerpt.shown(|bytes| _ = scrubber.bytes(bytes));
            if has_bodies { shown(&String::from_utf8_lossy(&bytes)).into_owned() } else { String::new() }
        };
        Self {
            request_headers: head(&seen.asked),
            request_body: body(&seen.sent),
            answer_headers: head(&seen.answered),
            answer_body: body(&seen.received),
        }
    }
}

/// Most texts are harmless as they are.
fn shown(text: &str) -> Cow<'_, str> {
    let is_plain = text.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'\\');
    if is_plain && text.len() <= LONGEST { text.into() } else { base::inert(text, LONGEST).into() }
}

/// What became of a refused request, in one word.
pub(crate) fn refused(line: &Blocked) -> &'static str {
    let is_held = line.found.as_ref().is_some_and(|found| found.outcome == Outcome::Held);
    if is_held { "held" } else { "blocked" }
}

/// What became of an allowed request, in one word.
pub(crate) fn passed(line: &Allowed) -> &'static str {
    let was = |outcome| line.found.iter().any(|found| found.outcome == outcome);
    if line.status == 0 {
        "failed"
    } else if was(Outcome::Redacted) {
        "redacted"
    } else if was(Outcome::Approved) {
        "approved"
    } else {
        "allowed"
    }
}
