//! What an operator does with a bottle that runs.

use harness::{Backend, World, on_each_backend, soon};
use policy::EgressPolicy;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};

/// Starts a bottle that runs until it is stopped. Returns its name.
pub(crate) async fn running(world: &World) -> String {
    world.home.write("sleeper", &["sh", "-c", "echo up; exec sleep 600"], &EgressPolicy::default());
    running_agent(world, "sleeper").await
}

/// Starts an agent whose first word is `up`. Returns its bottle's name.
async fn running_agent(world: &World, agent: &str) -> String {
    let mut command = world.home.command(&["start", agent, "--yes", "--label", "night shift"]);
    // It stays behind as the launcher's: this command only watches.
    let mut start = command.kill_on_drop(false).spawn().unwrap();
    let mut words = BufReader::new(start.stdout.take().unwrap()).lines();
    assert_eq!(soon("its first word", words.next_line()).await.unwrap().as_deref(), Some("up"));
    start.start_kill().unwrap();
    soon("the watcher's end", start.wait()).await.unwrap();
    // What it says may be heard before its launcher has noted that it runs.
    let runs = async || {
        let list = world.run(&["list", "--json"]).await.expect_code(0).json();
        (list[0]["state"] == "running").then(|| list[0]["bottle"].as_str().unwrap().to_owned())
    };
    soon("a bottle that runs", async {
        loop {
            if let Some(bottle) = runs().await {
                return bottle;
            }
        }
    })
    .await
}

on_each_backend!(
    a_bottle_is_listed_read_and_stopped,
    routes_change_while_a_bottle_runs,
    what_a_bottle_was_refused_becomes_routes_to_review,
);

async fn a_bottle_is_listed_read_and_stopped(on: Backend) {
    let world = World::up_on(on).await;
    world.run(&["status"]).await.expect_code(0).expect_out("supervisor  answers");
    let bottle = running(&world).await;
    world.run(&["list"]).await.expect_code(0).expect_out("night shift").expect_out("running");
    world.run(&["logs", &bottle]).await.expect_code(0).expect_out("up\n");
    world.run(&["stop", &bottle]).await.expect_code(0);
    world.run(&["logs", &bottle, "--follow"]).await.expect_code(0).expect_out("up\n");
    let events = world.run(&["events", "--no-follow", "--json", "--bottle", &bottle]).await;
    let events: Vec<Value> =
        events.expect_code(0).out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let exited = events.iter().find(|event| event["subject"] == format!("bottle.exited.{bottle}")).unwrap();
    assert_eq!(exited["message"]["reason"], "stopped", "{exited}");
    let all = world.run(&["list", "--all", "--json"]).await.expect_code(0).json();
    assert_eq!(all[0]["state"], "exited", "{all}");
    world.run(&["stop", &bottle]).await.expect_code(66).expect_err("does not run");
    world.down().await;
}

async fn routes_change_while_a_bottle_runs(on: Backend) {
    let world = World::up_on(on).await;
    let bottle = running(&world).await;
    world.run(&["routes", "show", &bottle]).await.expect_code(0).expect_out("# revision 1");
    let add =
        world.run(&["routes", "add", &bottle, "{host: api.example.com, matches: [{methods: [GET]}]}"]).await;
    add.expect_code(0).expect_out("runs revision 2");
    let shown = world.run(&["routes", "show", &bottle, "--json"]).await.expect_code(0).json();
    assert_eq!(shown["policy"]["routes"][0]["host"], "api.example.com", "{shown}");

    let wrong = world.run(&["routes", "add", &bottle, "{host: https://example.com}"]).await;
    wrong.expect_code(65).expect_err("example.com");
    let mistyped = world.run(&["routes", "add", &bottle, "{hots: example.com}"]).await;
    mistyped.expect_code(65).expect_err("did you mean `host`?");
    world
        .run(&["routes", "remove", &bottle, "api.example.com"])
        .await
        .expect_code(0)
        .expect_out("revision 3");
    world.run(&["routes", "remove", &bottle, "api.example.com"]).await.expect_code(65);
    for command in [&["routes", "show"][..], &["logs"], &["stop"], &["events", "--bottle"]] {
        let command = [command, &["sleeper-00000"]].concat();
        world.run(&command).await.expect_code(66).expect_err("there is no bottle sleeper-00000");
    }
    world.run(&["stop", &bottle]).await.expect_code(0);
    let list = async || world.run(&["list", "--json"]).await.json();
    soon("its end", async { while list().await != serde_json::json!([]) {} }).await;
    world.down().await;
}

async fn what_a_bottle_was_refused_becomes_routes_to_review(on: Backend) {
    let world = World::up_on(on).await;
    // The agent asks for two hosts that it has no route to, and pushes to one that no route helps with.
    let asks = "curl -s http://a.example/x?q; curl -s -X PUT http://a.example/y; curl -s http://b.example:8080/; \
                curl -s -X POST http://b.example/r.git/git-receive-pack; exec sleep 600";
    world.home.write("curious", &["sh", "-c", &format!("echo up; {asks}")], &EgressPolicy::default());
    let bottle = running_agent(&world, "curious").await;
    let refused = async || {
        let learned =
            world.run(&["egress", "learn", "--bottle", &bottle, "--json"]).await.expect_code(0).json();
        (learned["apart"].as_array().map_or(0, Vec::len) == 1).then_some(learned)
    };
    let learned = soon("the last refusal", async {
        loop {
            if let Some(learned) = refused().await {
                return learned;
            }
        }
    });
    let learned = learned.await;
    assert_eq!(learned["apart"][0]["url"], "http://b.example:80/r.git/git-receive-pack", "{learned}");
    let shown = world.run(&["egress", "learn", "--bottle", &bottle]).await;
    shown.expect_code(0).expect_out("- host: a.example\n    scheme: http\n").expect_out("port: 8080");
    // Each is taken as it stands, and allows what was refused: the host then is one that cannot be found.
    for host in learned["hosts"].as_array().unwrap() {
        let route = host["routes"][0].to_string();
        world.run(&["routes", "add", &bottle, &route]).await.expect_code(0);
    }
    let again = world.run(&["egress", "learn", "--bottle", &bottle]).await;
    again.expect_code(0).expect_out("the routes allow its method and path by now");
    assert!(!again.out.contains("routes:"), "{again:?}");
    world.run(&["stop", &bottle, "--grace", "0"]).await.expect_code(0);
    world.down().await;
}

#[tokio::test]
async fn services_run_in_the_background_and_stop() {
    let world = harness::Home::empty();
    let up = world.run(&["up", "--detach"]).await;
    up.expect_code(0).expect_out("ready: bus at nats://127.0.0.1:");
    world.run(&["up"]).await.expect_code(75).expect_err("run already");
    world.run(&["status", "--json"]).await.expect_code(0);
    world.run(&["down"]).await.expect_code(0).expect_out("stopped");
    world.run(&["status"]).await.expect_code(69);
    world.run(&["down"]).await.expect_code(0).expect_out("nothing runs");
    assert!(!world.path().join("bus/server.json").exists());
}
