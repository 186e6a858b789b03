//! Deliveries as Gitea and Forgejo send them, and what they are taken for. Headers are those of Gitea's
//! `services/webhook/deliver.go` (Forgejo: `services/webhook/shared/payloader.go`), which adds the signatures; payloads those of
//! `modules/structs/hook.go` as `services/webhook/notifier.go` fills them in, written with an indentation of two spaces.
#![expect(clippy::unwrap_used, reason = "a kept delivery that cannot be read is a defect of the test")]

use std::path::Path;
use std::time::Duration;

use base::Secret;
use bus::message::pr::{PrAction, PrEvent};
use dispatcher::signature::{Unsigned, sign};
use dispatcher::webhook::{Refusal, Taken, take};
use http::{HeaderMap, HeaderName};
use jiff::Timestamp;
use serde_json::Value;

const AT: &str = "2026-11-28T13:00:01Z";
const WEEK: Duration = Duration::from_secs(7 * 24 * 60 * 60);

fn secret() -> Secret {
    Secret::new("made up".to_owned())
}

/// A kept delivery, signed as its forge would.
fn delivery(name: &str) -> (HeaderMap, String) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/deliveries").join(format!("{name}.json"));
    let kept: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let body = serde_json::to_string_pretty(&kept["body"]).unwrap();
    let mut headers = HeaderMap::new();
    for (name, value) in kept["headers"].as_object().unwrap() {
        headers.insert(name.parse::<HeaderName>().unwrap(), value.as_str().unwrap().parse().unwrap());
    }
    let signature = sign(&secret(), body.as_bytes());
    if headers.contains_key("x-gitea-event") {
        headers.insert("x-gitea-signature", signature.parse().unwrap());
        headers.insert("x-gogs-signature", signature.parse().unwrap());
    }
    if headers.contains_key("x-forgejo-event") {
        headers.insert("x-forgejo-signature", signature.parse().unwrap());
    }
    headers.insert("x-hub-signature-256", format!("sha256={signature}").parse().unwrap());
    // SHA-1, which nobody here looks at.
    headers.insert("x-hub-signature", format!("sha1={}", &signature[..40]).parse().unwrap());
    (headers, body)
}

fn taken(headers: &HeaderMap, body: &[u8]) -> Result<Taken, Refusal> {
    take("team", &secret(), headers, body, AT.parse::<Timestamp>().unwrap(), WEEK)
}

fn event(name: &str) -> PrEvent {
    let (headers, body) = delivery(name);
    match taken(&headers, body.as_bytes()) {
        Ok(Taken::Event(event)) => *event,
        other => panic!("{name}: {other:?}"),
    }
}

#[test]
fn every_kept_delivery_is_what_it_is() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/deliveries");
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    names.sort();
    let mut lines = Vec::new();
    for name in names {
        let (headers, body) = delivery(&name);
        let what = match taken(&headers, body.as_bytes()) {
            Ok(Taken::Event(event)) => {
                let pull = event.pull.as_ref().map_or("-".to_owned(), |pull| {
                    format!(
                        "{} of {:?}, draft {}, closed {}, labels {:?}, assignees {:?}",
                        base::inert(&pull.head, 80),
                        pull.head_repo,
                        pull.is_draft,
                        pull.is_closed,
                        pull.labels,
                        pull.assignees
                    )
                });
                let what = match &event.what {
                    PrAction::Comment { text } => format!("comment {text:?}"),
                    what => format!("{what:?}"),
                };
                let actor =
                    format!("{}{}", event.actor.login, if event.actor.is_bot { " (bot)" } else { "" });
                format!("{}#{} by {actor}: {what}; {pull}", event.repo, event.number)
            }
            Ok(Taken::Ignored { why, .. }) => format!("ignored: {why:?}"),
            Err(refusal) => format!("refused: {refusal}"),
        };
        lines.push(format!("{name}: {what}"));
    }
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn what_is_not_signed_is_refused_whatever_it_is() {
    let (headers, body) = delivery("opened");
    for (name, refusal) in [
        ("x-gitea-signature", Unsigned::Empty),
        ("x-gogs-signature", Unsigned::Empty),
        ("x-hub-signature-256", Unsigned::Empty),
    ] {
        let mut headers = headers.clone();
        headers.insert(name, "".parse().unwrap());
        assert_eq!(taken(&headers, body.as_bytes()), Err(Refusal::Unsigned(refusal)));
    }
    let mut without = headers.clone();
    for name in ["x-gitea-signature", "x-gogs-signature", "x-hub-signature-256"] {
        without.remove(name);
    }
    assert_eq!(taken(&without, body.as_bytes()), Err(Refusal::Unsigned(Unsigned::Missing)));
    assert_eq!(taken(&headers, format!("{body} ").as_bytes()), Err(Refusal::Unsigned(Unsigned::Wrong)));
    // Before anything is looked at.
    assert_eq!(taken(&headers, b"no JSON").unwrap_err().status(), http::StatusCode::UNAUTHORIZED);
}

#[test]
fn a_form_is_signed_by_its_payload() {
    let (mut headers, body) = delivery("opened");
    headers.insert("content-type", "application/x-www-form-urlencoded".parse().unwrap());
    let form: String = form_urlencoded::Serializer::new(String::new()).append_pair("payload", &body).finish();
    assert!(matches!(taken(&headers, form.as_bytes()), Ok(Taken::Event(_))));
    for wrong in [form.replace("payload", "other"), format!("{form}&{form}"), String::new()] {
        assert_eq!(taken(&headers, wrong.as_bytes()).unwrap_err().status(), http::StatusCode::BAD_REQUEST);
    }
    headers.insert("content-type", "text/plain".parse().unwrap());
    assert_eq!(taken(&headers, body.as_bytes()).unwrap_err().status(), http::StatusCode::BAD_REQUEST);
}

/// Signs a body of one's own.
fn with_body(body: &str) -> HeaderMap {
    let (mut headers, _) = delivery("opened");
    let signature = sign(&secret(), body.as_bytes());
    for name in ["x-gitea-signature", "x-gogs-signature"] {
        headers.insert(name, signature.parse().unwrap());
    }
    headers.insert("x-hub-signature-256", format!("sha256={signature}").parse().unwrap());
    headers
}

#[test]
fn what_is_malformed_is_refused() {
    let (_, body) = delivery("opened");
    for wrong in [
        String::new(),
        "[]".to_owned(),
        "{".to_owned(),
        "{}".to_owned(),
        body.replace("\"team/tools\"", "\"../../etc\""),
        body.replace("\"team/tools\"", "\"team/tools/x\""),
        body.replace("\"number\": 7", "\"number\": -7"),
        body.replace("2026-11-28T10:00:00Z", "yesterday"),
    ] {
        let refusal = taken(&with_body(&wrong), wrong.as_bytes()).unwrap_err();
        assert_eq!(refusal.status(), http::StatusCode::BAD_REQUEST, "{wrong}");
    }
    let (headers, _) = delivery("opened");
    for (name, value) in [("x-gitea-delivery", "a b"), ("x-gitea-delivery", ""), ("x-gitea-delivery", "a.b")]
    {
        let mut headers = headers.clone();
        headers.insert(name, value.parse().unwrap());
        assert_eq!(taken(&headers, body.as_bytes()).unwrap_err().status(), http::StatusCode::BAD_REQUEST);
    }
}

#[test]
fn what_is_long_over_has_no_effect() {
    let (headers, body) = delivery("opened");
    let later = "2026-12-06T00:00:00Z".parse::<Timestamp>().unwrap();
    let taken = take("team", &secret(), &headers, body.as_bytes(), later, WEEK).unwrap();
    assert!(matches!(taken, Taken::Ignored { .. }), "{taken:?}");
}

#[test]
fn the_id_of_a_delivery_does_not_make_it_another() {
    let (mut headers, body) = delivery("opened");
    let first = event("opened");
    headers.insert("x-gitea-delivery", "another".parse().unwrap());
    let Ok(Taken::Event(second)) = taken(&headers, body.as_bytes()) else { panic!("it is taken") };
    assert_ne!(first.delivery, second.delivery);
    assert_eq!(first.digest, second.digest);
}

/// What may become of a delivery is on the page.
#[test]
fn every_verdict_is_on_the_page() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let page = std::fs::read_to_string(root.join("docs/dispatch.md")).unwrap();
    let schema = std::fs::read_to_string(root.join("docs/bus/record.delivery.json")).unwrap();
    let schema: Value = serde_json::from_str(&schema).unwrap();
    let verdicts = schema["$defs"]["Verdict"]["oneOf"].as_array().unwrap();
    assert!(verdicts.len() > 10);
    for verdict in
        verdicts.iter().flat_map(|one| one["enum"].as_array().cloned().unwrap_or(vec![one["const"].clone()]))
    {
        assert!(page.contains(&format!("`{}`", verdict.as_str().unwrap())), "{verdict}");
    }
}

#[test]
fn headers_do_not_decide_what_happened() {
    let (mut headers, body) = delivery("review-approved");
    headers.insert("x-gitea-event", "pull_request_rejected".parse().unwrap());
    let Ok(Taken::Event(event)) = taken(&headers, body.as_bytes()) else { panic!("it is taken") };
    assert_eq!(dispatcher::event::name(&event.what), "approved");
}
