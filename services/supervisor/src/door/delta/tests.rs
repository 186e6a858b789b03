use serde_json::{Value, json};

use super::super::call::{Call, Misuse};
use super::*;

/// What a person is asked when an agent calls this tool with this input, or why nobody is.
fn asks(tool: &str, input: Value) -> Result<Wish, String> {
    let Value::Object(arguments) = input else { panic!("{input}") };
    match Call::read(tool, Some(arguments)) {
        Ok(Call::Allow(call)) => of_allow(call),
        Ok(Call::EgressBlock(call)) => of_fields(call),
        Ok(Call::CapabilityBlock(call)) => of_capability(&call),
        Ok(other) => panic!("{other:?}"),
        Err(Misuse::Input(why)) => Err(why),
        Err(Misuse::UnknownTool) => panic!("{tool}"),
    }
}

fn asked(tool: &str, input: Value) -> Value {
    serde_json::to_value(asks(tool, input).unwrap().content).unwrap()
}

const WHY: &str = "the task reads its documentation";

#[test]
fn an_input_becomes_the_narrow_delta_that_it_names() {
    let full = json!({
        "host": "api.example.com", "scheme": "http", "port": 8080, "methods": ["get", "HEAD"],
        "paths": [{ "type": "prefix", "value": "/docs" }], "justification": WHY, "wait_seconds": 3,
    });
    let delta = json!({
        "kind": "egress", "host": "api.example.com", "scheme": "http", "port": 8080, "methods": ["GET", "HEAD"],
        "paths": [{ "type": "prefix", "value": "/docs" }],
    });
    assert_eq!(asked("allow", full.clone()), delta);
    assert_eq!(asked("egress-block", full), delta);
    let least = json!({ "host": "api.example.com", "justification": WHY });
    assert_eq!(asked("allow", least), json!({ "kind": "egress", "host": "api.example.com" }));
    let image = json!({ "dockerfile": "FROM debian:13", "justification": WHY });
    assert_eq!(
        asked("capability-block", image),
        json!({ "kind": "capability", "dockerfile": "FROM debian:13" })
    );
}

#[test]
fn what_an_agent_cannot_ask_for_is_refused_with_the_reason() {
    let with = |more: Value| {
        let mut input = json!({ "host": "api.example.com", "justification": WHY });
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        input
    };
    for (more, word) in [
        (json!({ "token_ref": "GITHUB_TOKEN" }), "only the operator's"),
        (json!({ "auth": { "scheme": "Bearer", "token_ref": "X" } }), "only the operator's"),
        (json!({ "dlp": { "outbound_detectors": false } }), "only the operator's"),
        (json!({ "allow_private": ["10.0.0.0/8"] }), "only the operator's"),
        (json!({ "connect_to": "127.0.0.1:22" }), "only the operator's"),
        (json!({ "tls": { "passthrough": true } }), "only the operator's"),
        (json!({ "bottle": "other-00000" }), "of no other"),
        (json!({ "surprise": 1 }), "unknown field `surprise`"),
        (json!({ "surprise\u{1b}[2J": 1 }), "unknown field `surprise\\u{1b}[2J`"),
        (json!({ "host": "*.example.com" }), "name one host"),
        (json!({ "host": "https://api.example.com/x" }), "host: "),
        (json!({ "host": "" }), "host: "),
        (json!({ "host": 7 }), "invalid type"),
        (json!({ "port": 0 }), "port: "),
        (json!({ "port": 70000 }), "invalid value"),
        (json!({ "methods": ["GET /"] }), "methods[0]: "),
        (json!({ "paths": [{ "type": "regex", "value": "(" }] }), "paths[0]"),
        (json!({ "paths": [{ "type": "glob", "value": "/*" }] }), "unknown variant `glob`"),
        (json!({ "paths": ["/docs"] }), "invalid type"),
        (json!({ "paths": [{ "type": "prefix", "value": "docs" }] }), "paths[0]"),
        (json!({ "justification": " …\u{202e} " }), "say why"),
    ] {
        let why = asks("allow", with(more.clone())).unwrap_err();
        assert!(why.contains(word), "{more}: {why}");
        assert!(!why.contains('\u{1b}'), "{why:?}");
    }
    for input in [json!({ "justification": WHY }), json!({ "id": "x", "justification": WHY })] {
        assert!(asks("egress-block", input).unwrap_err().contains("name the id"));
    }
    for dockerfile in [String::new(), "x".repeat(61 << 10)] {
        let why = asks("capability-block", json!({ "dockerfile": dockerfile, "justification": WHY }));
        assert!(why.unwrap_err().starts_with("dockerfile: "));
    }
    assert!(matches!(Call::read("allow", None), Err(Misuse::Input(why)) if why.contains("missing field")));
    assert_eq!(Call::read("approve", None).unwrap_err(), Misuse::UnknownTool);
}

#[test]
fn a_justification_is_cut_between_two_characters() {
    let long = json!({ "host": "api.example.com", "justification": "ä".repeat(50_000) });
    let wish = asks("allow", long).unwrap();
    assert!(wish.was_cut);
    assert_eq!(wish.justification.len(), LONGEST_JUSTIFICATION);
    let short = asks("allow", json!({ "host": "api.example.com", "justification": "  why\n" })).unwrap();
    assert_eq!((short.justification.as_str(), short.was_cut), ("why", false));
}

fn blocked(changes: &Value) -> Blocked {
    let mut blocked = json!({
        "v": 1, "bottle": "me-00000", "id": "x1", "at": "2026-01-01T00:00:00Z", "method": "POST", "scheme": "https",
        "host": "api.example.com", "port": 443, "path": "/v1/items", "rule": "no-match", "reason": "why", "status": 403,
        "revision": 3,
    });
    blocked.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    serde_json::from_value(blocked).unwrap()
}

#[test]
fn a_refusal_becomes_exactly_what_was_refused() {
    let of =
        |changes: Value| serde_json::to_value(of_refusal(&blocked(&changes), WHY).unwrap().content).unwrap();
    let path = json!([{ "type": "exact", "value": "/v1/items" }]);
    assert_eq!(
        of(json!({})),
        json!({ "kind": "egress", "host": "api.example.com", "methods": ["POST"], "paths": path })
    );
    assert_eq!(
        of(json!({ "scheme": "http", "port": 8080, "rule": "wrong-port" })),
        json!({
            "kind": "egress", "host": "api.example.com", "scheme": "http", "port": 8080, "methods": ["POST"],
            "paths": path,
        })
    );
    for (changes, word) in [
        (json!({ "rule": "secret" }), "wait for that one"),
        (json!({ "rule": "git-push" }), "git gate"),
        (json!({ "rule": "ambiguous-path", "reason": "\u{1b}" }), "\\u{1b}"),
        (json!({ "scheme": "" }), "http or https"),
        (json!({ "path": format!("/{}", "x".repeat(2000)) }), "too long"),
        (json!({ "host": "not a host" }), "instead of the id"),
    ] {
        let why = of_refusal(&blocked(&changes), WHY).unwrap_err();
        assert!(why.contains(word), "{changes}: {why}");
    }
}
