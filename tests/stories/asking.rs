//! A program in a bottle is refused, asks at the door, and gets less than it asked for (S1, S3, invariants 5 to 7).

use bus::message::proposal::{Content, Outcome, Scope, Verdict};
use harness::{Backend, World, on_each_backend, soon};
use policy::EgressPolicy;
use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::deciding::{Operator, origin};

on_each_backend!(
    where_nobody_is_asked_a_refusal_names_no_tool,
    an_agent_asks_at_the_door_and_keeps_to_what_it_was_granted,
);

async fn where_nobody_is_asked_a_refusal_names_no_tool(on: Backend) {
    let world = World::up_on(on).await;
    for (name, supervise) in [("asks", "true"), ("alone", "false")] {
        world.home.write("any", &["curl", "-s", "http://new.example.com/"], &EgressPolicy::default());
        let bottle = std::fs::read_to_string(world.home.path().join("bottles/any.md")).unwrap();
        let bottle = bottle.replacen('{', &format!("{{\"supervise\": {supervise}, "), 1);
        world.home.write_file(&format!("bottles/{name}.md"), &bottle);
        world.home.write_file(&format!("agents/{name}.md"), &format!("---\nbottle: {name}\n---\n"));
        let ran = world.run(&["start", name, "--yes"]).await;
        ran.expect_code(0).expect_out("unlisted-host");
        assert_eq!(ran.out.contains("egress-block"), supervise == "true", "{ran:?}");
    }
    world.down().await;
}

async fn an_agent_asks_at_the_door_and_keeps_to_what_it_was_granted(on: Backend) {
    let world = World::up_on(on).await;
    let (port, _origin) = origin().await;
    // The route's address is the operator's; the agent asks for paths and methods.
    let route = serde_json::json!({
        "host": "new.example.com", "scheme": "http", "connect_to": format!("127.0.0.1:{port}"),
        "allow_private": ["127.0.0.0/8"], "matches": [{ "paths": [{ "type": "exact", "value": "/nothing" }] }],
    });
    let policy: EgressPolicy = serde_json::from_value(serde_json::json!({ "routes": [route] })).unwrap();
    world.home.write("asker", &["/usr/bin/python3", "-c", include_str!("asking.py")], &policy);
    let mut operator = Operator::of(&world).await;
    let mut start = world.home.command(&["start", "asker", "--yes"]).spawn().unwrap();
    let mut words = BufReader::new(start.stdout.take().unwrap()).lines();
    let mut word = async || soon("a line", words.next_line()).await.unwrap().unwrap_or_default();

    assert_eq!(word().await, "403 no-match egress-block");
    assert_eq!(word().await, "refused");
    assert_eq!(word().await, "pending withdrawn");
    let card = loop {
        let card = operator.card().await;
        if matches!(&card.content, Content::Egress(delta) if delta.paths.is_empty()) {
            break card;
        }
    };
    assert_eq!(card.justification.as_deref(), Some("the task reads the documentation"));
    let delta = serde_json::json!({
        "host": "new.example.com", "scheme": "http", "methods": ["GET"], "paths": [{ "type": "prefix", "value": "/docs" }],
    });
    let edited = serde_json::from_value(serde_json::json!({ "as": "delta", "delta": delta })).unwrap();
    operator.resolve(&card, Verdict::Modify { scope: Scope::Bottle, edited }, Outcome::Modified).await;

    assert_eq!(word().await, "modified GET to http://new.example.com/docs and below");
    assert_eq!(word().await, r#"[["host", "matches", "scheme"]]"#);
    assert_eq!(word().await, "200 200 403 403");
    let ended = soon("its end", start.wait()).await.unwrap();
    assert!(ended.success(), "{}", world.log());
    world.run(&["audit", "verify"]).await.expect_code(0);
    let shown = world.run(&["audit", "show", "--kind", "resolved"]).await;
    shown.expect_out("modified").expect_out(card.proposal.as_str()).expect_out("a word of the operator");
    world.down().await;
}
