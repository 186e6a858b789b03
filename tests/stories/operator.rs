//! What an operator does with a bottle that runs.

use harness::{World, soon};
use policy::EgressPolicy;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};

/// Starts a bottle that runs until it is stopped. Returns its name.
async fn running(world: &World) -> String {
    world.home.write("sleeper", &["sh", "-c", "echo up; exec sleep 600"], &EgressPolicy::default());
    let mut command = world.home.command(&["start", "sleeper", "--yes", "--label", "night shift"]);
    // It stays behind as the launcher's: this command only watches.
    let mut start = command.kill_on_drop(false).spawn().unwrap();
    let mut words = BufReader::new(start.stdout.take().unwrap()).lines();
    assert_eq!(soon("its first word", words.next_line()).await.unwrap().as_deref(), Some("up"));
    start.start_kill().unwrap();
    soon("the watcher's end", start.wait()).await.unwrap();
    let list = world.run(&["list", "--json"]).await.expect_code(0).json();
    list[0]["bottle"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_bottle_is_listed_read_and_stopped() {
    let world = World::up().await;
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

#[tokio::test]
async fn routes_change_while_a_bottle_runs() {
    let world = World::up().await;
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
