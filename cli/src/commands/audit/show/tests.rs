use bus::Payload as _;

use super::*;

fn record(component: &str, decision: &str) -> AuditRecord {
    let text = format!(
        r#"{{"v":1,"sequence":7,"previous":"00","at":"2026-11-21T12:00:00Z","component":"{component}","bottle":"me-00000","decision":{decision}}}"#
    );
    AuditRecord::parse(&format!("audit.{component}"), text.as_bytes()).unwrap()
}

const BLOCKED: &str = r#"{"is":"blocked","id":"x1","method":"GET","scheme":"https","host":"evil.example","path":"/\u001b[2J\u202e","rule":"secret","reason":"r","status":403,"revision":1,"found":{"detector":"token_patterns/x","surface":"path","outcome":"held"}}"#;
const ALLOWED: &str = r#"{"is":"allowed","batch":3,"lines":[{"id":"x1","at":"2026-11-21T12:00:00Z","method":"GET","scheme":"https","host":"a.example","port":443,"path":"/a","status":200,"sent":0,"received":1,"duration_ms":1,"revision":1,"found":[{"detector":"canary","surface":"body","outcome":"redacted"}]}]}"#;
const CHECKPOINT: &str = r#"{"is":"checkpoint","key":"aa","read":[{"stream":"EVENTS","sequence":6}]}"#;

#[test]
fn records_are_told_in_harmless_words() {
    let told = [
        text(&record("egress", BLOCKED)),
        text(&record("egress", ALLOWED)),
        text(&record("trail", CHECKPOINT)),
        text(&record(
            "egress",
            r#"{"is":"policy_running","revision":2,"refused":{"revision":3,"reason":"no\ntoken"}}"#,
        )),
        text(&record("trail", r#"{"is":"gap","stream":"EVENTS","from":1,"through":9}"#)),
    ];
    insta::assert_snapshot!(told.join("\n"), @r"
    7  2026-11-21 12:00:00  me-00000  blocked  403 secret GET https://evil.example/\u{1b}[2J\u{202e} (token_patterns/x in path: held)
    7  2026-11-21 12:00:00  me-00000  allowed  batch 3: requests 1
       200 GET https://a.example/a (canary in body: redacted)
    7  2026-11-21 12:00:00  me-00000  checkpoint  signed by aa after EVENTS 6
    7  2026-11-21 12:00:00  me-00000  policy_running  revision 3 refused: no\ntoken; revision 2 runs
    7  2026-11-21 12:00:00  me-00000  gap  EVENTS 1 to 9 were gone before they could be recorded
    ");
}

#[test]
fn filters_leave_what_they_say() {
    let show = |bottle: Option<&str>, component: Option<&str>, kind: Option<&str>| Show {
        bottle: bottle.map(|bottle| bottle.parse().unwrap()),
        component: component.map(str::to_owned),
        kind: kind.map(str::to_owned),
        since: None,
        format: crate::args::Json { json: false },
    };
    let (blocked, allowed) = (record("egress", BLOCKED), record("egress", ALLOWED));
    let checkpoint = record("trail", CHECKPOINT);
    for (filter, expected) in [
        (show(None, None, None), [true, true, false]),
        (show(None, Some("trail"), None), [true, true, true]),
        (show(None, None, Some("checkpoint")), [false, false, true]),
        (show(None, None, Some("blocked")), [true, false, false]),
        (show(None, None, Some(HELD)), [true, false, false]),
        (show(None, None, Some(REDACTED)), [false, true, false]),
        (show(Some("you-00000"), None, None), [false, false, false]),
    ] {
        let seen = [&blocked, &allowed, &checkpoint].map(|record| wanted(record, &filter));
        assert_eq!(seen, expected, "{filter:?}");
    }
}
