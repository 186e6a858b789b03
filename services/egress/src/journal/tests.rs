//! What stands in the log, and what never does.

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
    let detectors = Detectors::new(Rules::standard(), vec![known], Secret::new("key".to_owned()));
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
    let (scrubber, mut journal) = (scrubber("nothing-of-this-kind"), Journal::new(Box::new(std::io::sink())));
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

/// A log that nobody takes until it is told to.
struct Slow(std::sync::mpsc::Receiver<()>, Arc<Mutex<Vec<u8>>>);

impl Write for Slow {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        // Told, or given up.
        let _ = self.0.recv();
        self.1.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_log_that_nobody_takes_holds_nothing_up() {
    let (scrubber, taken) = (scrubber("nothing-of-this-kind"), Arc::<Mutex<Vec<u8>>>::default());
    let (go_on, wait) = std::sync::mpsc::channel();
    let mut journal = Journal::new(Box::new(Slow(wait, Arc::clone(&taken))));
    journal.allowed(&allowed(), None, &scrubber);
    journal.flush().await;
    let long = Blocked { reason: "long ".repeat(400), ..blocked() };
    for _ in 0..MOST / 2000 {
        journal.blocked(&long, None, &scrubber);
        journal.flush().await;
    }
    assert!(journal.text.len() < MOST + 4000 && journal.gap.is_some(), "{}", journal.text.len());
    drop(go_on);
    if let Some(writing) = journal.writing.take() {
        writing.await.unwrap();
    }
    journal.flush().await;
    if let Some(writing) = journal.writing.take() {
        writing.await.unwrap();
    }
    let text = String::from_utf8(taken.lock().unwrap().clone()).unwrap();
    assert!(text.starts_with("{\"timestamp\""), "{}", &text[..200]);
    assert!(text.contains("\"left_out\":"), "no word of what is missing");
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
            seen.answered = head(&HeaderMap::from_iter([(HeaderName::from_static("etag"), value.clone())]));
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
