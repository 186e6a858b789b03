//! An agent asks at the door of its bottle, and a person answers.

use bus::message::egress::Blocked;
use bus::message::proposal::{Content, Scope, Verdict};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::agent::{Agent, Open, ends};
use crate::proposing::{Answerer, Asker, BOTTLE, ONCE, json as typed};
use crate::support::{self, World, soon};

const WHY: &str = "the task reads its documentation";

fn docs(more: Value) -> Value {
    let mut input = json!({
        "host": "b.example", "methods": ["get"], "paths": [{ "type": "prefix", "value": "/docs" }], "justification": WHY,
    });
    let Value::Object(more) = more else { panic!("{more}") };
    input.as_object_mut().unwrap().extend(more);
    input
}

async fn world() -> World {
    let world = World::start().await;
    world.store(1, &["a.example"]).await;
    world
}

#[tokio::test]
async fn what_a_person_approves_is_allowed_when_the_call_returns() {
    let world = world().await;
    let supervisor = world.supervise(support::SOON).await;
    let open = Open::of(&world, |limits| limits.progress = std::time::Duration::from_millis(50)).await;
    let (mut asker, mut operator) = (Asker::of(&world).await, Answerer::of(&world).await);
    for (agent, scope, word) in [
        (Agent::at(&open).await, BOTTLE, "until this bottle ends"),
        (Agent::without_session(&open).await, ONCE, "once: the next request"),
    ] {
        let mut agent = agent;
        let input = docs(json!({ "host": if scope == BOTTLE { "b.example" } else { "c.example" } }));
        let call = agent.begin("allow", input.clone()).await;
        let card = operator.sees(|card| card.is_open()).await;
        assert_eq!(card.justification.as_deref(), Some(WHY));
        let Content::Egress(delta) = &card.content else { panic!("{card:?}") };
        assert_eq!(
            (delta.host.as_str().into(), &delta.methods[..]),
            (input["host"].clone(), &["GET".to_owned()][..])
        );
        let progress = soon("progress", agent.progress.recv()).await.unwrap();
        assert!(progress.progress > 0.0 && progress.message.is_some());
        let base = world.stored().await.0;
        let (_, pushed) =
            tokio::join!(operator.answers(&card, base, scope), asker.sidecar.runs_at_least(base + 1));
        assert_eq!(pushed.revision, base + 1);
        let told = ends(call).await;
        told.expect("approved", false, word).expect("approved", false, "GET to https://");
        assert_eq!(told.proposal(), card.proposal.to_string());
        agent.leaves().await;
    }
    open.shut().await;
    supervisor.stop().await;
}

#[tokio::test]
async fn an_edited_grant_says_what_is_allowed_instead() {
    let world = world().await;
    let supervisor = world.supervise(support::SOON).await;
    let open = Open::of(&world, |_| ()).await;
    let (mut asker, mut operator) = (Asker::of(&world).await, Answerer::of(&world).await);
    let agent = Agent::at(&open).await;
    let call = agent.begin("egress-block", json!({ "host": "b.example", "justification": WHY })).await;
    let card = operator.sees(|card| card.is_open()).await;
    let delta = json!({ "host": "b.example", "paths": [{ "type": "prefix", "value": "/docs" }] });
    let edited = typed(json!({ "as": "delta", "delta": delta }));
    let narrower = Verdict::Modify { scope: Scope::Bottle, edited };
    let (_, _) = tokio::join!(operator.answers(&card, 1, narrower), asker.sidecar.runs());
    let told = ends(call).await;
    told.expect("modified", false, "You asked for every method to https://b.example, every path.");
    assert_eq!(told.value["allowed"], "every method to https://b.example/docs and below");
    open.shut().await;
    supervisor.stop().await;
}

#[tokio::test]
async fn a_rejection_is_an_error_with_the_persons_reason() {
    let world = world().await;
    let supervisor = world.supervise(support::SOON).await;
    let open = Open::of(&world, |_| ()).await;
    let mut operator = Answerer::of(&world).await;
    let agent = Agent::at(&open).await;
    let call = agent.begin("allow", docs(json!({}))).await;
    let card = operator.sees(|card| card.is_open()).await;
    operator.answers(&card, 1, Verdict::Reject).await;
    ends(call).await.expect("rejected", true, ": fine.");
    // Asked again in the same words it is shown to nobody.
    agent.calls("allow", docs(json!({}))).await.expect("refused", true, "was rejected: fine");
    open.shut().await;
    supervisor.stop().await;
}

#[tokio::test]
async fn a_call_that_had_no_answer_is_waited_for_again() {
    let world = world().await;
    let supervisor = world.supervise(support::SOON).await;
    let open = Open::of(&world, |_| ()).await;
    let (mut asker, mut operator) = (Asker::of(&world).await, Answerer::of(&world).await);
    let agent = Agent::at(&open).await;
    let told = agent.calls("allow", docs(json!({ "wait_seconds": 0 }))).await;
    let proposal = told.expect("pending", false, "call wait with").proposal();
    // The same again is the same card, known under both ids.
    let again = agent.calls("allow", docs(json!({ "wait_seconds": 5 }))).await;
    assert_ne!(again.expect("pending", false, "It waits until").proposal(), proposal);
    let card = operator.sees(|card| card.count == 2).await;
    assert_eq!(card.proposal.to_string(), proposal);
    let waits = agent.begin("wait", json!({ "proposal": again.proposal() })).await;
    let (_, _) = tokio::join!(operator.answers(&card, 1, BOTTLE), asker.sidecar.runs());
    ends(waits).await.expect("approved", false, "GET to https://b.example/docs and below");
    // What is over is known at once.
    agent
        .calls("wait", json!({ "proposal": proposal, "wait_seconds": 0 }))
        .await
        .expect("approved", false, "Allowed");
    for stranger in ["01UNHEARDOF", "not an id"] {
        let told = agent.calls("wait", json!({ "proposal": stranger })).await;
        told.expect("refused", true, "proposal");
    }
    open.shut().await;
    supervisor.stop().await;
}

#[tokio::test]
async fn a_proposal_is_taken_back() {
    let world = world().await;
    let supervisor = world.supervise(support::SOON).await;
    let open = Open::of(&world, |_| ()).await;
    let mut operator = Answerer::of(&world).await;
    let agent = Agent::at(&open).await;
    let image = json!({ "dockerfile": "FROM debian:13", "justification": WHY, "wait_seconds": 0 });
    let proposal = agent.calls("capability-block", image).await.expect("pending", false, "").proposal();
    operator.sees(|card| matches!(&card.content, Content::Capability(_))).await;
    agent.calls("withdraw", json!({ "proposal": proposal })).await.expect("withdrawn", false, "is withdrawn");
    operator.sees(|card| !card.is_open()).await;
    agent.calls("withdraw", json!({ "proposal": "01UNHEARDOF" })).await.expect(
        "refused",
        true,
        "no proposal",
    );
    open.shut().await;
    supervisor.stop().await;
}

#[tokio::test]
async fn a_refused_request_is_asked_for_by_its_id() {
    let world = world().await;
    let supervisor = world.supervise(support::SOON).await;
    let open = Open::of(&world, |limits| limits.bus = std::time::Duration::from_secs(2)).await;
    let (asker, mut operator) = (Asker::of(&world).await, Answerer::of(&world).await);
    let agent = Agent::at(&open).await;
    // The door is at the bus once it has answered something of it.
    agent.calls("list-egress-routes", json!({})).await;
    let by_id = json!({ "id": "X1", "justification": WHY, "wait_seconds": 0 });
    agent.calls("egress-block", by_id.clone()).await.expect(
        "refused",
        true,
        "no refusal X1 of this bottle is known",
    );
    let blocked: Blocked = typed(json!({
        "v": 1, "bottle": "me-00000", "id": "X1", "at": "2026-01-01T00:00:00Z", "method": "POST", "scheme": "https",
        "host": "b.example", "port": 443, "path": "/v1/items", "rule": "unlisted-host", "reason": "why", "status": 403,
        "revision": 1,
    }));
    let call = agent.begin("egress-block", by_id).await;
    asker.sidecar.bus.publish(&blocked).await.unwrap();
    ends(call).await.expect("pending", false, "");
    let card = operator.sees(|card| card.is_open()).await;
    assert_eq!(
        serde_json::to_value(&card.content).unwrap(),
        json!({ "kind": "egress", "host": "b.example", "methods": ["POST"],
                "paths": [{ "type": "exact", "value": "/v1/items" }] })
    );
    let both = json!({ "id": "X1", "host": "b.example", "justification": WHY });
    agent.calls("egress-block", both).await.expect("refused", true, "but not both");
    open.shut().await;
    supervisor.stop().await;
}

#[tokio::test]
async fn the_tools_say_what_they_take_and_routes_name_no_token() {
    let world = world().await;
    let supervisor = world.supervise(support::SOON).await;
    let open = Open::of(&world, |_| ()).await;
    let agent = Agent::at(&open).await;
    let tools = agent.tools().await;
    let names: Vec<_> = tools.iter().map(|tool| tool.name.as_ref()).collect();
    assert_eq!(
        names,
        ["list-egress-routes", "allow", "egress-block", "capability-block", "wait", "withdraw"]
    );
    for tool in &tools {
        let schema = serde_json::to_string(&tool.input_schema).unwrap();
        assert!(
            schema.contains("\"type\":\"object\"") && schema.contains("\"additionalProperties\":false"),
            "{schema}"
        );
        assert!(!schema.contains("$ref"), "{schema}");
    }
    let listed = agent.calls("list-egress-routes", json!({})).await;
    assert_eq!(listed.value, json!({ "revision": 1, "routes": [{ "host": "a.example" }] }));
    let told = agent.calls("allow", docs(json!({ "host": "a.example" }))).await;
    told.expect(
        "approved",
        false,
        "Allowed already: GET to https://a.example/docs and below. No person was asked.",
    );
    let told = agent.calls("allow", docs(json!({ "token_ref": "GITHUB_TOKEN" }))).await;
    told.expect("refused", true, "only the operator's");
    open.shut().await;
    supervisor.stop().await;
}

/// Calls until the door has room for one more.
async fn until_there_is_room(agent: &Agent) {
    let room = async {
        while agent.calls("allow", docs(json!({ "host": "*" }))).await.text.contains("calls wait already") {
            tokio::task::yield_now().await;
        }
    };
    soon("room", room).await;
}

#[tokio::test]
async fn a_call_ends_when_its_client_cancels_it_or_hangs_up() {
    let world = world().await;
    let supervisor = world.supervise(support::SOON).await;
    let open = Open::of(&world, |limits| limits.calls = 1).await;
    let mut operator = Answerer::of(&world).await;
    let (agent, new) = (Agent::at(&open).await, Agent::without_session(&open).await);
    let call = agent.begin("allow", docs(json!({ "wait_seconds": 300 }))).await;
    operator.sees(|card| card.is_open()).await;
    agent.calls("withdraw", json!({ "proposal": "P" })).await.expect("refused", true, "1 calls wait already");
    call.cancel(None).await.unwrap();
    until_there_is_room(&agent).await;
    // What was asked for waits on.
    let again = agent.calls("allow", docs(json!({ "wait_seconds": 0 }))).await;
    again.expect("pending", false, "");
    operator.sees(|card| card.is_open() && card.count == 2).await;

    let call = new.begin("allow", docs(json!({ "wait_seconds": 300 }))).await;
    operator.sees(|card| card.count == 3).await;
    call.cancel(None).await.unwrap();
    until_there_is_room(&agent).await;

    let session = open.session().await;
    let call = json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {
        "name": "allow", "arguments": docs(json!({ "wait_seconds": 300 })),
    } })
    .to_string();
    let mut stream = TcpStream::connect(open.address).await.unwrap();
    let head = format!(
        "POST / HTTP/1.1\r\nHost: supervise\r\nContent-Type: application/json\r\nAccept: application/json, \
         text/event-stream\r\nContent-Length: {}\r\n{session}\r\n{call}",
        call.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    operator.sees(|card| card.count == 4).await;
    drop(stream);
    until_there_is_room(&agent).await;
    open.shut().await;
    supervisor.stop().await;
}

#[tokio::test]
async fn a_bus_or_a_supervisor_that_is_away_is_told_within_a_deadline() {
    let world = world().await;
    let open = Open::of(&world, |limits| limits.bus = std::time::Duration::from_millis(500)).await;
    let agent = Agent::at(&open).await;
    let everything = [
        ("allow", docs(json!({}))),
        ("list-egress-routes", json!({})),
        ("withdraw", json!({ "proposal": "P" })),
    ];
    for (tool, input) in everything.clone() {
        agent.calls(tool, input).await.expect("unavailable", true, "try again in a minute");
    }
    let supervisor = world.supervise(support::SOON).await;
    // A supervisor that has just come up may need longer than a call has.
    let taken = async {
        loop {
            let told = agent.calls("allow", docs(json!({ "wait_seconds": 0 }))).await;
            if told.value["status"] != "unavailable" {
                return told;
            }
        }
    };
    tokio::time::timeout(support::SOON, taken).await.unwrap().expect("pending", false, "");
    supervisor.stop().await;
    let World { server, home, .. } = world;
    server.stop().await;
    for (tool, input) in everything.into_iter().chain([("wait", json!({ "proposal": "P" }))]) {
        agent.calls(tool, input).await.expect("unavailable", true, "cannot be reached");
    }
    open.shut().await;
    drop(home);
}

#[tokio::test]
async fn hostile_requests_are_refused_and_the_door_stays_open() {
    let world = world().await;
    let supervisor = world.supervise(support::SOON).await;
    let open = Open::of(&world, |limits| limits.arrival = std::time::Duration::from_millis(300)).await;
    let deep = format!("{}1{}", "[".repeat(20_000), "]".repeat(20_000));
    let head = "Host: supervise\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream\r\n";
    let slow = format!("POST / HTTP/1.1\r\n{head}Content-Length: 100\r\n\r\n{{");
    let foreign = "POST / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}";
    let headers = format!("GET / HTTP/1.1\r\n{}\r\n", "X: 1\r\n".repeat(1000));
    for (what, answer, status) in [
        ("too large", open.post("", &"x".repeat(300 << 10)).await, "413"),
        ("not JSON", open.post("", "{").await, "4"),
        ("too deep", open.post("", &deep).await, "4"),
        ("no method", open.post("", r#"{"jsonrpc":"2.0","id":1}"#).await, "4"),
        (
            "a stranger's session",
            open.post("Mcp-Session-Id: x\r\n", r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#).await,
            "404",
        ),
        (
            "another path",
            open.raw(b"GET /.well-known/x HTTP/1.1\r\nHost: supervise\r\nConnection: close\r\n\r\n").await,
            "404",
        ),
        ("another host", open.raw(foreign.as_bytes()).await, "403"),
        ("slow", open.raw(slow.as_bytes()).await, "408"),
        ("many headers", open.raw(headers.as_bytes()).await, "431"),
    ] {
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{what}: {answer}");
    }
    // A head that never ends, and a connection on which nothing comes.
    for start in [&b"POST / HT"[..], b""] {
        open.raw(start).await;
    }
    let agent = Agent::at(&open).await;
    let long = docs(
        json!({ "justification": format!("\u{202e}\u{1b}[2J{}", "x".repeat(100_000)), "wait_seconds": 0 }),
    );
    agent.calls("allow", long).await.expect("pending", false, "only its beginning was kept");
    open.shut().await;
    supervisor.stop().await;
}

#[tokio::test]
async fn floods_have_bounds() {
    let world = world().await;
    let supervisor = world.supervise(support::SOON).await;
    let open = Open::of(&world, |limits| {
        (limits.connections, limits.sessions, limits.proposals_a_minute) = (8, 2, 3);
        limits.arrival = std::time::Duration::from_millis(300);
    })
    .await;
    // More connections than it has room for: those that say nothing make room.
    let mut silent = Vec::new();
    for _ in 0..20 {
        silent.push(TcpStream::connect(open.address).await.unwrap());
    }
    Agent::at(&open).await.leaves().await;
    for mut stream in silent {
        let _ = soon("its end", stream.read(&mut [0; 16])).await;
    }
    // More sessions than there may be: the one that was silent longest is over.
    let ping = json!({ "jsonrpc": "2.0", "id": 7, "method": "ping" }).to_string();
    let is_open = async |session: &str| open.post(session, &ping).await.starts_with("HTTP/1.1 200");
    let (first, second) = (open.session().await, open.session().await);
    assert!(is_open(&first).await);
    let third = open.session().await;
    assert!(!is_open(&second).await, "there are three sessions");
    assert!(is_open(&first).await && is_open(&third).await);

    let agent = Agent::without_session(&open).await;
    for _ in 0..3 {
        agent.calls("allow", docs(json!({ "wait_seconds": 0 }))).await.expect("pending", false, "");
    }
    agent.calls("allow", docs(json!({ "wait_seconds": 0 }))).await.expect(
        "refused",
        true,
        "3 times within a minute",
    );
    open.shut().await;
    supervisor.stop().await;
}
