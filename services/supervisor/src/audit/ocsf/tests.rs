use super::*;

fn of(component: &str, decision: &str) -> Vec<Value> {
    let text = format!(
        r#"{{"v":1,"sequence":7,"previous":"00","at":"2026-11-21T12:00:00Z","component":"{component}","bottle":"me-00000","decision":{decision}}}"#
    );
    events(&serde_json::from_str(&text).unwrap())
}

const LINE: &str = r#"{"id":"x1","at":"2026-11-21T12:00:00Z","method":"PATCH","scheme":"https","host":"a.example","port":443,"path":"/a","status":200,"sent":2,"received":1,"duration_ms":1,"revision":1"#;

#[test]
fn each_decision_has_its_class() {
    let allowed = format!(
        r#"{{"is":"allowed","batch":3,"lines":[{LINE}}},{LINE},"found":[{{"detector":"d","surface":"body","outcome":"redacted"}}]}}]}}"#
    );
    for (component, decision, expected) in [
        ("egress", allowed.as_str(), vec!["4002 400299 1 1", "4002 400299 1 11"]),
        (
            "egress",
            r#"{"is":"blocked","id":"x1","method":"GET","scheme":"https","host":"h","path":"/","rule":"canary","reason":"r","status":403,"revision":1}"#,
            vec!["4002 400203 2 2"],
        ),
        ("egress", r#"{"is":"policy_running","revision":2}"#, vec!["3004 300403 1 -"]),
        ("gitgate", r#"{"is":"push_accepted","repo":"r","refs":[],"objects":1}"#, vec!["6003 600303 1 -"]),
        ("gitgate", r#"{"is":"push_rejected","repo":"r","refs":[],"reason":"r"}"#, vec!["6003 600303 2 -"]),
        ("supervisor", r#"{"is":"resolved","proposal":"p1","outcome":"approved"}"#, vec!["6003 600303 1 -"]),
        (
            "launcher",
            r#"{"is":"failed","request":"r1","kind":"probe","reason":"r"}"#,
            vec!["6002 600203 2 -"],
        ),
        ("trail", r#"{"is":"gap","stream":"EVENTS","from":1,"through":2}"#, vec!["2004 200401 0 -"]),
        ("trail", r#"{"is":"opened","key":"aa"}"#, vec!["0 99 0 -"]),
    ] {
        let events = of(component, decision);
        let told: Vec<_> = events
            .iter()
            .map(|event| {
                let disposition =
                    event["disposition_id"].as_u64().map_or("-".to_owned(), |id| id.to_string());
                format!("{} {} {} {disposition}", event["class_uid"], event["type_uid"], event["status_id"])
            })
            .collect();
        assert_eq!(told, expected, "{decision}");
        for event in &events {
            assert_eq!(event["metadata"]["sequence"], 7);
            assert_eq!(event["unmapped"]["bottle"], "me-00000");
            assert_eq!(event["time"], 1_795_262_400_000_u64);
            assert_eq!(event["metadata"].get("profiles").is_some(), event.get("action_id").is_some());
        }
    }
}
