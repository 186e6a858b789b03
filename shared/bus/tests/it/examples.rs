//! One example of each message, byte for byte: what is on the wire today must stay readable.

use bus::Payload as _;
use bus::message::record::{BottleRecord, LauncherRecord, RequestClaim};
use bus::message::{Message, Request, audit, egress, pr, proposal, push, revision, run, start};
use serde::Serialize;
use serde::de::DeserializeOwned;

fn text_of<T: DeserializeOwned + Serialize>(text: &str) {
    let value: T = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert_eq!(serde_json::to_string(&value).unwrap(), text);
}

fn message<M: Message>(subject: &str, text: &str) {
    M::parse(subject, text.as_bytes()).unwrap_or_else(|error| panic!("{error}: {text}"));
    text_of::<M>(text);
    let other_version = text.replacen(r#""v":1"#, r#""v":2"#, 1);
    let refused = M::parse(subject, other_version.as_bytes()).err().map(|malformed| malformed.reason);
    let reason = refused.unwrap_or_default();
    assert!(reason.contains("version 2, and this program reads version 1"), "{reason}");
}

fn reply<R: Request>(texts: &[&str]) {
    for text in texts {
        text_of::<R::Reply>(text);
    }
}

#[test]
fn bottle() {
    message::<start::StartRequest>(
        "bottle.start",
        r#"{"v":1,"id":"r1","agent":"reviewer","bottles":["gitea-dev"],"task":"Review PR 7","workspace":{"git":"ssh://git@forge.example/t.git","ref":"main"},"resume":{"bottle":"reviewer-x1y2z","session":"s1"},"label":"pr-7","color":"cyan","backend":"namespace"}"#,
    );
    // Only the id and the agent are required.
    let short: start::StartRequest = serde_json::from_str(r#"{"id":"r1","agent":"reviewer"}"#).unwrap();
    assert_eq!(short, crate::support::start_request("r1"));
    assert!(
        serde_json::from_str::<start::StartRequest>(r#"{"id":"r1","agent":"reviewer","egress":{}}"#).is_err()
    );
    message::<start::StopRequest>(
        "bottle.stop.reviewer-x1y2z",
        r#"{"v":1,"bottle":"reviewer-x1y2z","grace_ms":500}"#,
    );
    reply::<start::StopRequest>(&[r#"{"v":1,"stopping":false,"reason":"not mine"}"#]);
    message::<run::Started>(
        "bottle.started.reviewer-x1y2z",
        r#"{"v":1,"bottle":"reviewer-x1y2z","request":"r1","agent":"reviewer","bottles":["gitea-dev"],"launcher":"l1","backend":"namespace","attempt":1,"label":"pr-7","at":"2026-11-21T12:00:00Z","steps":[{"step":"resolve","ms":1.5}]}"#,
    );
    message::<run::Exited>(
        "bottle.exited.reviewer-x1y2z",
        r#"{"v":1,"bottle":"reviewer-x1y2z","request":"r1","reason":"completed","code":0,"session":"s1","transcript":"reviewer-x1y2z/s1","result":"done","state":"removed","at":"2026-11-21T12:00:00Z","duration_ms":12}"#,
    );
    message::<run::Failed>("bottle.failed.r1", FAILED);
    message::<run::Output>(
        "bottle.output.reviewer-x1y2z",
        r#"{"v":1,"bottle":"reviewer-x1y2z","stream":"stdout","offset":0,"data":"aGk="}"#,
    );
}

const FAILED: &str = r#"{"v":1,"request":"r1","kind":"manifest","step":"resolve","reason":"no agent reviewer","at":"2026-11-21T12:00:00Z"}"#;

pub(crate) fn failed(request: &str) -> run::Failed {
    run::Failed { request: request.parse().unwrap(), ..serde_json::from_str(FAILED).unwrap() }
}

/// A stream knows duplicates by these keys, whoever sends them: a bottle that could guess one could have its own exit
/// passed over. It knows its slug, and neither its request nor another bottle's exchanges.
#[test]
fn a_bottle_cannot_guess_the_keys_of_others() {
    let exited = r#"{"v":1,"bottle":"reviewer-x1y2z","request":"REQUEST","reason":"completed","code":0,"state":"removed","at":"2026-11-21T12:00:00Z","duration_ms":12}"#;
    let log = r#"{"v":1,"bottle":"reviewer-x1y2z","batch":1,"lines":[{"id":"EXCHANGE","at":"2026-11-21T12:00:00Z","method":"GET","scheme":"https","host":"example.com","port":443,"path":"/","status":200,"sent":0,"received":5,"duration_ms":3,"revision":1}]}"#;
    let exited: run::Exited = serde_json::from_str(exited).unwrap();
    let log: egress::Log = serde_json::from_str(log).unwrap();
    assert_eq!(exited.dedup_key().unwrap(), "exited-REQUEST-reviewer-x1y2z");
    assert_eq!(log.dedup_key().unwrap(), "reviewer-x1y2z-1-EXCHANGE");
}

#[test]
fn egress() {
    message::<egress::Blocked>(
        "egress.blocked.reviewer-x1y2z",
        r#"{"v":1,"bottle":"reviewer-x1y2z","id":"x1","at":"2026-11-21T12:00:00Z","method":"GET","scheme":"https","host":"example.com","port":443,"path":"/","rule":"host_not_listed","reason":"no route","status":403,"revision":1}"#,
    );
    message::<egress::Log>(
        "egress.log.reviewer-x1y2z",
        r#"{"v":1,"bottle":"reviewer-x1y2z","batch":1,"lines":[{"id":"x1","at":"2026-11-21T12:00:00Z","method":"GET","scheme":"https","host":"example.com","port":443,"path":"/","status":200,"sent":0,"received":5,"duration_ms":3,"revision":1}]}"#,
    );
}

#[test]
fn push() {
    message::<push::Accepted>(
        "push.accepted.reviewer-x1y2z",
        r#"{"v":1,"bottle":"reviewer-x1y2z","repo":"tools","at":"2026-11-21T12:00:00Z","refs":[{"name":"refs/heads/agent/x","new":"00"}],"objects":3}"#,
    );
    message::<push::Rejected>(
        "push.rejected.reviewer-x1y2z",
        r#"{"v":1,"bottle":"reviewer-x1y2z","repo":"tools","at":"2026-11-21T12:00:00Z","refs":[{"name":"refs/heads/main","old":"00","new":"01"}],"objects":3,"reason":"a secret","findings":[{"rule":"generic","commit":"01","place":"a.txt","line":1}]}"#,
    );
}

#[test]
fn proposal() {
    message::<proposal::Proposed>(
        "proposal.new.reviewer-x1y2z",
        r#"{"v":1,"bottle":"reviewer-x1y2z","proposal":"p1","kind":"egress","content":{},"hash":"00","base":1,"justification":"docs","at":"2026-11-21T12:00:00Z"}"#,
    );
    message::<proposal::Decide>(
        "proposal.decide",
        r#"{"v":1,"proposal":"p1","hash":"00","base":1,"verdict":"approve","reason":"fine","at":"2026-11-21T12:00:00Z","operator":"aa","signature":"bb"}"#,
    );
    reply::<proposal::Decide>(&[
        r#"{"is":"resolved","outcome":"approved","revision":2}"#,
        r#"{"is":"refused","reason":"it changed"}"#,
    ]);
    message::<proposal::Resolved>(
        "proposal.resolved.reviewer-x1y2z",
        r#"{"v":1,"bottle":"reviewer-x1y2z","proposal":"p1","outcome":"approved","revision":2,"at":"2026-11-21T12:00:00Z"}"#,
    );
}

const REVISION: &str =
    r#"{"v":1,"bottle":"reviewer-x1y2z","revision":1,"policy":{"routes":[{"host":"example.com"}]}}"#;
const CHANGE: &str = r#"{"v":1,"bottle":"reviewer-x1y2z","base":1,"change":{"do":"add_route","route":{"host":"example.com"}},"confirm":"running"}"#;

pub(crate) fn policy_revision(bottle: &str) -> revision::PolicyRevision {
    revision::PolicyRevision { bottle: bottle.parse().unwrap(), ..serde_json::from_str(REVISION).unwrap() }
}

pub(crate) fn policy_change() -> revision::PolicyChange {
    serde_json::from_str(CHANGE).unwrap()
}

#[test]
fn policy() {
    message::<revision::PolicyChange>("policy.change", CHANGE);
    for change in [
        r#"{"do":"replace","policy":{"log":1,"routes":[]}}"#,
        r#"{"do":"remove_route","host":"example.com"}"#,
    ] {
        text_of::<revision::Change>(change);
    }
    reply::<revision::PolicyChange>(&[
        r#"{"is":"running","revision":2}"#,
        r#"{"is":"stored","revision":2}"#,
        r#"{"is":"unconfirmed","revision":2}"#,
        r#"{"is":"conflict","current":2}"#,
        r#"{"is":"refused","reason":"no"}"#,
    ]);
    message::<revision::PolicyGet>("policy.get.reviewer-x1y2z", r#"{"v":1,"bottle":"reviewer-x1y2z"}"#);
    let found = format!(r#"{{"is":"found","policy":{REVISION}}}"#);
    reply::<revision::PolicyGet>(&[r#"{"is":"unknown"}"#, &found]);
    message::<revision::PolicyRevision>("policy.changed.reviewer-x1y2z", REVISION);
    message::<revision::PolicyRunning>(
        "policy.running.reviewer-x1y2z",
        r#"{"v":1,"bottle":"reviewer-x1y2z","running":1,"refused":{"revision":2,"reason":"no"}}"#,
    );
}

#[test]
fn pr_and_audit() {
    message::<pr::PrEvent>(
        "pr.event.team_2ftools.7",
        r#"{"v":1,"webhook":"forge","delivery":"d1","repo":"team/tools","number":7,"event":"pull_request","at":"2026-11-21T12:00:00Z","payload":{}}"#,
    );
    message::<audit::AuditRecord>(
        "audit.egress",
        r#"{"v":1,"component":"egress","sequence":1,"at":"2026-11-21T12:00:00Z","decision":{},"previous":"00"}"#,
    );
}

#[test]
fn records() {
    text_of::<BottleRecord>(
        r#"{"v":1,"bottle":"reviewer-x1y2z","request":"r1","attempt":1,"agent":"reviewer","bottles":["gitea-dev"],"launcher":"l1","backend":"namespace","state":"running","label":"pr-7","created_at":"2026-11-21T12:00:00Z","updated_at":"2026-11-21T12:00:00Z"}"#,
    );
    text_of::<RequestClaim>(
        r#"{"v":1,"request":"r1","bottle":"reviewer-x1y2z","launcher":"l1","attempt":1,"state":"claimed"}"#,
    );
    text_of::<LauncherRecord>(
        r#"{"v":1,"launcher":"l1","incarnation":"i1","host":"h","backends":["namespace"],"bottles":0,"at":"2026-11-21T12:00:00Z"}"#,
    );
}
