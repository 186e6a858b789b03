//! One example of each message, byte for byte: what is on the wire today must stay readable.

use bus::Payload as _;
use bus::message::record::{BottleRecord, LauncherRecord, RequestClaim};
use bus::message::{
    Message, Request, audit, commit, egress, pr, progress, proposal, push, revision, run, start, terminal,
};
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
        r#"{"v":1,"id":"r1","agent":"reviewer","bottles":["gitea-dev"],"task":"Review PR 7","workspace":{"git":"ssh://git@forge.example/t.git","ref":"main"},"resume":{"bottle":"reviewer-x1y2z","session":"s1"},"label":"pr-7","color":"cyan","backend":"namespace","terminal":{"rows":24,"cols":80,"term":"xterm-256color","truecolor":true}}"#,
    );
    for (part, ok) in [
        (r#""workspace":{"archive":"w1"}"#, true),
        (r#""workspace":{"git":"https://forge.example/t.git"}"#, true),
        (r#""resume":{"bottle":"reviewer-x1y2z","fresh":true}"#, true),
        // No message names a directory of the launcher's host, nor a whole path where a name belongs.
        (r#""workspace":{"path":"/root"}"#, false),
        (r#""workspace":{"archive":"../w1"}"#, false),
        (r#""workspace":{"git":"https://forge.example/t.git","archive":"w1"}"#, false),
    ] {
        let text = format!(r#"{{"v":1,"id":"r1","agent":"reviewer",{part}}}"#);
        assert_eq!(serde_json::from_str::<start::StartRequest>(&text).is_ok(), ok, "{text}");
    }
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
    for act in [
        r#"{"do":"attach","size":{"rows":24,"cols":80}}"#,
        r#"{"do":"input","data":"aGk="}"#,
        r#"{"do":"answer","data":"aGk="}"#,
        r#"{"do":"resize","size":{"rows":24,"cols":80}}"#,
        r#"{"do":"detach"}"#,
    ] {
        message::<terminal::TerminalRequest>(
            "bottle.terminal.reviewer-x1y2z",
            &format!(r#"{{"v":1,"bottle":"reviewer-x1y2z","client":"c1","sequence":3,"act":{act}}}"#),
        );
    }
    reply::<terminal::TerminalRequest>(&[
        r#"{"v":1,"outcome":"accepted"}"#,
        r#"{"v":1,"outcome":"out_of_order","reason":"4 is next"}"#,
    ]);
    message::<progress::Progress>(
        "bottle.progress.r1",
        r#"{"v":1,"request":"r1","bottle":"reviewer-x1y2z","line":"Step 1/2 : FROM debian"}"#,
    );
    message::<commit::CommitRequest>(
        "bottle.commit.reviewer-x1y2z",
        r#"{"v":1,"id":"x1","bottle":"reviewer-x1y2z","dockerfile":"FROM scratch"}"#,
    );
    let kept = r#"{"bottle":"reviewer-x1y2z","archive":"reviewer-x1y2z.x1","at":"2026-11-21T12:00:00Z","entries":3,"bytes":9,"size":7,"torn":1,"image":{"id":"sha256:00","pin":"bot-bottle/commit/h:reviewer-x1y2z.x1","name":"debian:bookworm-slim","dockerfile":"FROM debian:bookworm-slim"}}"#;
    reply::<commit::CommitRequest>(&[
        r#"{"is":"working","packed":7}"#,
        &format!(r#"{{"is":"committed","commit":{kept}}}"#),
        r#"{"is":"refused","reason":"no"}"#,
    ]);
    message::<commit::Committed>(
        "bottle.committed.reviewer-x1y2z",
        &format!(r#"{{"v":1,"bottle":"reviewer-x1y2z","commit":{kept},"at":"2026-11-21T12:00:00Z"}}"#),
    );
    message::<run::Started>(
        "bottle.started.reviewer-x1y2z",
        r#"{"v":1,"bottle":"reviewer-x1y2z","request":"r1","agent":"reviewer","bottles":["gitea-dev"],"launcher":"l1","backend":"namespace","attempt":1,"label":"pr-7","at":"2026-11-21T12:00:00Z","steps":[{"step":"resolve","ms":1.5}]}"#,
    );
    message::<run::Exited>(
        "bottle.exited.reviewer-x1y2z",
        r#"{"v":1,"bottle":"reviewer-x1y2z","request":"r1","reason":"completed","code":0,"session":"s1","transcript":"reviewer-x1y2z","result":"done","note":"why not","state":"removed","at":"2026-11-21T12:00:00Z","duration_ms":12}"#,
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

const PROPOSED: &str = r#"{"v":1,"bottle":"reviewer-x1y2z","proposal":"p1","content":{"kind":"egress","host":"example.com","methods":["GET"],"paths":[{"type":"prefix","value":"/docs"}]},"hash":"00","base":1,"justification":"docs","wait_seconds":60,"at":"2026-11-21T12:00:00Z"}"#;
const DECIDED: &str = r#"{"v":1,"proposal":"p1","hash":"00","base":1,"verdict":{"is":"approve","scope":"once"},"reason":"fine","at":"2026-11-21T12:00:00Z","operator":"OPERATOR","signature":"bb"}"#;
const RESOLVED: &str = r#"{"v":1,"bottle":"reviewer-x1y2z","proposal":"p1","outcome":"approved","scope":"once","revision":2,"image":"bot-bottle/agent:00","reason":"fine","at":"2026-11-21T12:00:00Z","decision":DECIDED}"#;

#[test]
fn proposal() {
    // A public key has a checksum, and so is made rather than written.
    let decided = DECIDED.replace("OPERATOR", proposal::OperatorKey::generate().id().as_str());
    let resolved = RESOLVED.replace("DECIDED", &decided);
    message::<proposal::Proposed>("proposal.new.reviewer-x1y2z", PROPOSED);
    message::<proposal::Taken>(
        "proposal.taken.reviewer-x1y2z",
        r#"{"v":1,"bottle":"reviewer-x1y2z","proposal":"p2","waits_as":"p1"}"#,
    );
    let mine = r#"{"v":1,"bottle":"reviewer-x1y2z","proposal":"p1"}"#;
    message::<proposal::ProposalGet>("proposal.get.reviewer-x1y2z", mine);
    message::<proposal::Withdraw>("proposal.withdraw.reviewer-x1y2z", mine);
    reply::<proposal::Withdraw>(&[
        r#"{"is":"pending","proposal":"p1","count":2,"until":"2026-11-21T12:00:00Z"}"#,
        &format!(r#"{{"is":"resolved","resolved":{resolved}}}"#),
        r#"{"is":"unknown"}"#,
    ]);
    message::<proposal::Decide>("proposal.decide", &decided);
    for verdict in [
        r#"{"is":"modify","scope":"bottle","edited":{"as":"delta","delta":{"host":"example.com"}}}"#,
        r#"{"is":"modify","scope":"keep","edited":{"as":"route","route":{"host":"example.com"}}}"#,
        r#"{"is":"modify","scope":"once","edited":{"as":"dockerfile","dockerfile":"FROM scratch"}}"#,
        r#"{"is":"reject"}"#,
    ] {
        text_of::<proposal::Verdict>(verdict);
    }
    reply::<proposal::Decide>(&[
        &format!(r#"{{"is":"resolved","resolved":{resolved}}}"#),
        r#"{"is":"unconfirmed","revision":2}"#,
        r#"{"is":"building"}"#,
        r#"{"is":"refused","why":{"because":"stale_base","current":2,"differs":["+ example.com"]}}"#,
        r#"{"is":"refused","why":{"because":"replayed"}}"#,
    ]);
    message::<proposal::Resolved>("proposal.resolved.reviewer-x1y2z", &resolved);
}

#[test]
fn what_is_asked_for() {
    for content in [
        r#"{"kind":"egress","host":"example.com"}"#,
        r#"{"kind":"token-match","request":"x1","method":"POST","scheme":"https","host":"example.com","port":443,"path":"/","detector":"d","surface":"body","via":["base64"],"value":"00"}"#,
        r#"{"kind":"gitleaks-allow","repo":"tools","objects":["01"],"findings":[{"rule":"generic","commit":"01","place":"a.txt","line":1}]}"#,
        r#"{"kind":"workflow-change","repo":"tools","name":"refs/heads/x","new":"01","paths":[".github/workflows/a.yml"]}"#,
        r#"{"kind":"ref-grant","repo":"tools","name":"refs/heads/x","change":"force","old":"00","new":"01"}"#,
        r#"{"kind":"capability","dockerfile":"FROM scratch"}"#,
    ] {
        text_of::<proposal::Content>(content);
        let kind = serde_json::from_str::<proposal::Content>(content).unwrap().kind();
        assert!(content.starts_with(&format!(r#"{{"kind":"{}""#, kind.as_str())), "{content}");
    }
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

const PR_EVENT: &str = r#"{"v":1,"webhook":"forge","delivery":"d1","digest":"00","repo":"team/tools","number":7,"at":"2026-11-21T12:00:00Z","actor":{"login":"ann","is_bot":true},"what":{"kind":"comment","text":"@bot look"},"pull":{"title":"t","body":"b","author":"ann","base":"main","head":"topic","head_repo":"ann/tools","sha":"00","is_draft":true,"is_closed":true,"labels":["agent"],"assignees":["bot"],"clone_url":"https://forge.example/team/tools.git","updated_at":"2026-11-21T12:00:00Z"}}"#;

#[test]
fn pr_and_audit() {
    message::<pr::PrEvent>("pr.event.team_2ftools.7", PR_EVENT);
    for what in [
        r#"{"kind":"opened"}"#,
        r#"{"kind":"reopened"}"#,
        r#"{"kind":"pushed"}"#,
        r#"{"kind":"closed"}"#,
        r#"{"kind":"labelled"}"#,
        r#"{"kind":"assigned"}"#,
        r#"{"kind":"review","verdict":"approved","text":"yes"}"#,
        r#"{"kind":"review","verdict":"rejected","text":"no"}"#,
        r#"{"kind":"review","verdict":"commented","text":""}"#,
    ] {
        text_of::<pr::PrAction>(what);
    }
    message::<audit::AuditRecord>(
        "audit.egress",
        r#"{"v":1,"sequence":7,"previous":"00","at":"2026-11-21T12:00:00Z","component":"egress","bottle":"reviewer-x1y2z","source":{"stream":"EVENTS","sequence":6},"decision":{"is":"policy_running","revision":2,"refused":{"revision":3,"reason":"no token"}}}"#,
    );
    message::<audit::AuditRecord>(
        "audit.trail",
        r#"{"v":1,"sequence":8,"previous":"00","at":"2026-11-21T12:00:00Z","component":"trail","decision":{"is":"checkpoint","key":"aa","read":[{"stream":"EVENTS","sequence":6}]},"signature":"bb"}"#,
    );
}

#[test]
fn records() {
    text_of::<BottleRecord>(
        r#"{"v":1,"bottle":"reviewer-x1y2z","request":"r1","attempt":1,"agent":"reviewer","bottles":["gitea-dev"],"launcher":"l1","backend":"namespace","state":"running","label":"pr-7","created_at":"2026-11-21T12:00:00Z","updated_at":"2026-11-21T12:00:00Z"}"#,
    );
    text_of::<proposal::ProposalRecord>(
        r#"{"v":1,"bottle":"reviewer-x1y2z","proposal":"p1","content":{"kind":"egress","host":"example.com"},"hash":"00","base":1,"before":"FROM scratch","justification":"docs","first":"2026-11-21T12:00:00Z","last":"2026-11-21T12:00:00Z","count":2,"sequence":7,"also":["p2"],"asks_again":"p0","until":"2026-11-21T12:00:00Z","decided":"2026-11-21T12:00:00Z","state":{"is":"pending","failed":"no"}}"#,
    );
    text_of::<pr::StoredDelivery>(&format!(r#"{{"v":1,"event":{PR_EVENT},"verdict":"not_allowed"}}"#));
    let plan = r#"{"agent":"reviewer","bottles":["dev"],"prompt":"Review.","clone":"https://forge.example/team/tools.git","ref":"00"}"#;
    let turn = format!(
        r#"{{"start":{{"v":1,"id":"pr-1","agent":"reviewer"}},"number":3,"turn":2,"events":[{{"event":{PR_EVENT},"plan":{plan}}}],"sha":"00","since":"2026-11-21T12:00:00Z","note":"n","bottle":"reviewer-x1y2z","end":{{"reason":"completed","is_success":true,"result":"done","failure":"none","at":"2026-11-21T12:00:00Z"}},"comment":9,"shown":"00","status":"pending"}}"#
    );
    text_of::<pr::PrSession>(&format!(
        r#"{{"v":1,"webhook":"forge","repo":"team/tools","number":7,"state":"open","agent":"reviewer","bottles":["dev"],"bottle":"reviewer-x1y2z","session":"s1","turns":2,"runs":3,"carried":"c","run":{turn},"queued":[{{"event":{PR_EVENT},"plan":{plan}}}],"answers":[{turn}],"seen":["00"],"noted":[{{"delivery":"d1","event":"comment","actor":"ann","verdict":"runs","at":"2026-11-21T12:00:00Z"}}],"updated_at":"2026-11-21T12:00:00Z"}}"#
    ));
    text_of::<RequestClaim>(
        r#"{"v":1,"request":"r1","bottle":"reviewer-x1y2z","launcher":"l1","attempt":1,"state":"claimed"}"#,
    );
    text_of::<LauncherRecord>(
        r#"{"v":1,"launcher":"l1","incarnation":"i1","host":"h","backends":["namespace"],"bottles":0,"at":"2026-11-21T12:00:00Z"}"#,
    );
}
