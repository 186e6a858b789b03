//! The sidecar's own log of decisions (E12): what the operator of a bottle reads while it runs. It is no part of the
//! trail; that is what goes to the bus, whatever is logged here. `docs/logging.md` fixes the names of the fields.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use base::id::ExchangeId;
use bus::message::egress::{Allowed, Blocked, Found, Outcome};
use jiff::Timestamp;
use serde::Serialize;
use tokio::task::spawn_blocking;

use crate::contents::Seen;
use crate::scrub::Scrubber;

/// How much is logged of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    Off,
    Decisions,
    Contents,
}

impl From<u8> for Level {
    /// As a policy writes it.
    fn from(level: u8) -> Self {
        match level {
            0 => Self::Off,
            1 => Self::Decisions,
            _ => Self::Contents,
        }
    }
}

/// Lines on their way to the log.
pub(crate) struct Journal {
    out: Arc<Mutex<Box<dyn Write + Send>>>,
    text: Vec<u8>,
}

/// Characters of one text that are shown.
const LONGEST: usize = 2048;

#[derive(Default, Serialize)]
struct Line<'a> {
    timestamp: Timestamp,
    level: &'static str,
    message: &'static str,
    outcome: &'static str,
    #[serde(rename = "exchange.id")]
    id: Option<&'a ExchangeId>,
    method: String,
    scheme: &'a str,
    host: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    path: String,
    status: u16,
    revision: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
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

/// What was gathered of a request, without its secrets.
#[derive(Serialize)]
struct Shown {
    request_headers: Vec<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    request_body: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    answer_headers: Vec<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    answer_body: String,
}

impl Journal {
    pub(crate) fn new(out: Box<dyn Write + Send>) -> Self {
        Self { out: Arc::new(Mutex::new(out)), text: Vec::new() }
    }

    /// Logs an allowed request, of which the secrets were blotted out already.
    pub(crate) fn allowed(&mut self, line: &Allowed, seen: Option<&Seen>, scrubber: &Scrubber) {
        let outcome = passed(line);
        self.write(&Line {
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
            contents: seen.map(|seen| Shown::of(seen, true, scrubber)),
            ..Line::new()
        });
    }

    /// Logs a refused request, of which the secrets were blotted out already.
    pub(crate) fn blocked(&mut self, line: &Blocked, seen: Option<&Seen>, scrubber: &Scrubber) {
        self.write(&Line {
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
            contents: seen.map(|seen| Shown::of(seen, false, scrubber)),
            ..Line::new()
        });
    }

    /// Writes what was logged, where waiting for its reader delays no request.
    pub(crate) async fn flush(&mut self) {
        if self.text.is_empty() {
            return;
        }
        let (out, text) = (Arc::clone(&self.out), std::mem::take(&mut self.text));
        let written = spawn_blocking(move || {
            // Whoever read the log may be gone, and nothing depends on it.
            let _ = out.lock().unwrap_or_else(PoisonError::into_inner).write_all(&text);
        });
        // It fails only when the runtime ends.
        let _ = written.await;
    }

    fn write(&mut self, line: &Line<'_>) {
        // Strings and numbers always serialise.
        let _ = serde_json::to_writer(&mut self.text, line);
        self.text.push(b'\n');
    }
}

impl Line<'_> {
    fn new() -> Self {
        Self { level: "INFO", target: "egress::journal", ..Self::default() }
    }
}

impl Shown {
    /// Bodies are shown of requests only that went through: what was refused may end in the middle of what it was refused
    /// for.
    fn of(seen: &Seen, has_bodies: bool, scrubber: &Scrubber) -> Self {
        let head = |text: &str| {
            let mut text = text.as_bytes().to_vec();
            scrubber.bytes(&mut text);
            String::from_utf8_lossy(&text).lines().map(shown).collect()
        };
        let body = |excerpt: &crate::contents::Excerpt| {
            let bytes = excerpt.shown(|bytes| _ = scrubber.bytes(bytes));
            if has_bodies { shown(&String::from_utf8_lossy(&bytes)) } else { String::new() }
        };
        Self {
            request_headers: head(&seen.asked),
            request_body: body(&seen.sent),
            answer_headers: head(&seen.answered),
            answer_body: body(&seen.received),
        }
    }
}

fn shown(text: &str) -> String {
    base::inert(text, LONGEST)
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

#[cfg(test)]
mod tests {
    use base::Secret;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use bus::message::Version;
    use http::{HeaderMap, HeaderName, HeaderValue};
    use proptest::prelude::*;
    use scan::{Detectors, Known, Rules};

    use super::*;
    use crate::contents::{Contents, head};

    fn scrubber(secret: &str) -> Scrubber {
        let value = Secret::new(secret.to_owned());
        let known = Known { name: "TOKEN".into(), value, is_canary: false };
        let detectors =
            Detectors::new(Rules::standard(), vec![known], Secret::new("key".to_owned())).unwrap();
        Scrubber::new(Arc::new(detectors))
    }

    fn allowed() -> Allowed {
        Allowed {
            id: "01K00000000000000000000000".parse().unwrap(),
            at: Timestamp::UNIX_EPOCH,
            method: "POST".to_owned(),
            scheme: "https".to_owned(),
            host: "api.example.com".to_owned(),
            port: 443,
            path: "/v1".to_owned(),
            status: 200,
            sent: 12,
            received: 34,
            duration_ms: 5,
            revision: 3,
            is_unscanned: false,
            found: Vec::new(),
        }
    }

    fn blocked() -> Blocked {
        let Allowed { id, at, method, scheme, host, path, .. } = allowed();
        Blocked {
            v: Version,
            bottle: "agent-abcde".parse().unwrap(),
            id,
            at,
            method,
            scheme,
            host,
            port: None,
            path,
            rule: "no-match".to_owned(),
            reason: "no entry of the route allows it".to_owned(),
            status: 403,
            revision: 3,
            found: None,
        }
    }

    fn text(journal: &Journal) -> &str {
        std::str::from_utf8(&journal.text).unwrap()
    }

    #[test]
    fn a_line_says_what_was_decided() {
        let (scrubber, mut journal) =
            (scrubber("nothing-of-this-kind"), Journal::new(Box::new(std::io::sink())));
        journal.allowed(&allowed(), None, &scrubber);
        let seen = || {
            let mut seen = Contents::new().gather(&HeaderMap::new()).unwrap();
            seen.asked = "accept: */*\n".to_owned();
            seen.answered = "content-type: text/plain\n".to_owned();
            seen.sent.add("{\"a\": 1}\n\u{1b}[31m".as_bytes());
            seen.received.add(b"broken off");
            seen.sent.end();
            seen
        };
        journal.allowed(&Allowed { status: 0, ..allowed() }, Some(&seen()), &scrubber);
        journal.blocked(&blocked(), Some(&seen()), &scrubber);
        insta::assert_snapshot!(text(&journal), @r##"
        {"timestamp":"1970-01-01T00:00:00Z","level":"INFO","message":"a request was allowed","outcome":"allowed","exchange.id":"01K00000000000000000000000","method":"POST","scheme":"https","host":"api.example.com","port":443,"path":"/v1","status":200,"revision":3,"sent":12,"received":34,"duration_ms":5,"target":"egress::journal"}
        {"timestamp":"1970-01-01T00:00:00Z","level":"INFO","message":"a request failed","outcome":"failed","exchange.id":"01K00000000000000000000000","method":"POST","scheme":"https","host":"api.example.com","port":443,"path":"/v1","status":0,"revision":3,"sent":12,"received":34,"duration_ms":5,"request_headers":["accept: */*"],"request_body":"{\"a\": 1}\\n\\u{1b}[31m","answer_headers":["content-type: text/plain"],"target":"egress::journal"}
        {"timestamp":"1970-01-01T00:00:00Z","level":"INFO","message":"a request was refused","outcome":"blocked","exchange.id":"01K00000000000000000000000","method":"POST","scheme":"https","host":"api.example.com","path":"/v1","status":403,"revision":3,"rule":"no-match","reason":"no entry of the route allows it","request_headers":["accept: */*"],"answer_headers":["content-type: text/plain"],"target":"egress::journal"}
        "##);
    }

    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Place {
        Method,
        Host,
        Path,
        Reason,
        Name,
        Value,
        AnswerValue,
        Body,
        AnswerBody,
    }

    fn disguised(secret: &str, how: u8) -> String {
        match how {
            0 => secret.to_owned(),
            1 => hex::encode(secret),
            2 => STANDARD.encode(secret),
            3 => secret.bytes().map(|byte| format!("%{byte:02X}")).collect(),
            _ => secret.chars().rev().collect(),
        }
    }

    /// Two lines about a request that has `text` in one place, one allowed and one refused.
    fn logged(text: &str, place: Place, before: usize, is_whole: bool, scrubber: &Scrubber) -> String {
        let (mut allowed, mut blocked, mut headers) = (allowed(), blocked(), HeaderMap::new());
        headers.insert("accept", HeaderValue::from_static("*/*"));
        let name = HeaderName::try_from(format!("x-{}", text.replace(['%', '=', '/', '+'], "-"))).unwrap();
        let value = HeaderValue::try_from(format!("a {text} b")).unwrap();
        let body = ["word ".repeat(before / 5).as_str(), text, " and more"].concat();
        match place {
            Place::Method => text.clone_into(&mut allowed.method),
            Place::Host => allowed.host = format!("{text}.example.com"),
            Place::Path => allowed.path = format!("/v1/{text}/x"),
            Place::Reason => blocked.reason = format!("it names {text}"),
            Place::Name => drop(headers.insert(name, HeaderValue::from_static("1"))),
            Place::Value => drop(headers.insert("x-note", value.clone())),
            Place::AnswerValue | Place::Body | Place::AnswerBody => {}
        }
        (blocked.method, blocked.host, blocked.path) =
            (allowed.method.clone(), allowed.host.clone(), allowed.path.clone());
        let mut journal = Journal::new(Box::new(std::io::sink()));
        scrubber.allowed(&mut allowed);
        scrubber.blocked(&mut blocked);
        for is_allowed in [true, false] {
            let mut seen = Contents::new().gather(&headers).unwrap();
            let excerpt = match place {
                Place::Body => Some(&seen.sent),
                Place::AnswerBody => Some(&seen.received),
                _ => None,
            };
            excerpt.into_iter().for_each(|excerpt| {
                body.as_bytes().chunks(777).for_each(|piece| excerpt.add(piece));
                if is_whole {
                    excerpt.end();
                }
            });
            if matches!(place, Place::AnswerValue) {
                seen.answered =
                    head(&HeaderMap::from_iter([(HeaderName::from_static("etag"), value.clone())]));
            }
            if is_allowed {
                journal.allowed(&allowed, Some(&seen), scrubber);
            } else {
                journal.blocked(&blocked, Some(&seen), scrubber);
            }
        }
        String::from_utf8(journal.text).unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]
        #[test]
        fn no_secret_is_logged_wherever_it_stands(
            secret in "[A-Za-z][A-Za-z0-9]{8}[0-9]{4}[A-Za-z0-9]{12,24}",
            how in 0_u8..5,
            place in prop::sample::select(vec![
                Place::Method, Place::Host, Place::Path, Place::Reason, Place::Name, Place::Value, Place::AnswerValue,
                Place::Body, Place::AnswerBody,
            ]),
            before in prop_oneof![0_usize..200, 1900_usize..2200, 9000_usize..11_000],
            is_whole in any::<bool>(),
        ) {
            // A name loses its cases, and with them base64 its sense.
            let how = if place == Place::Name && how == 2 { 1 } else { how };
            let disguised = disguised(&secret, how);
            let log = logged(&disguised, place, before, is_whole, &scrubber(&secret));
            prop_assert_eq!(log.lines().count(), 2);
            // Names of headers are in lower case.
            let log = log.to_lowercase();
            let piece = &disguised[..disguised.len().min(16)];
            prop_assert!(!log.contains(&piece.to_lowercase()), "{:?} {} {}", place, how, log);
        }
    }
}
