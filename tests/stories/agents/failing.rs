//! Clients that do not do what they should: each failure has its name and the client's last words, and its bottle is gone
//! (P6).

use std::os::unix::fs::PermissionsExt as _;

use base::lifecycle::Lifecycle;
use harness::{Backend, Home, Model, Ran, Turn, World, all_ended, on_each_backend};
use serde_json::{Value, json};

use super::bottle::Client;
use super::whole::exited;
use crate::deciding::origin;

/// A provider whose answer is one document.
const PROVIDER: &str = r#"
v: 1
about: A client of a story.
program: no-such-client
install: make no-such-client
headless:
  start: []
  result: {format: json, text: {take: /answer}, session: {take: /id}, failed: {take: /error}}
supervise: {}
login: ["Please log in"]
"#;

/// Writes an agent whose program is this shell script, or the provider's own, which nobody has.
fn write(home: &Home, script: Option<&str>) {
    home.write_file("contrib/fake/provider.yaml", PROVIDER);
    let mut provider = json!({ "template": "fake" });
    if let Some(script) = script {
        home.write_file("client", &format!("#!/bin/sh\n{script}\n"));
        let path = home.path().join("client");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        provider["program"] = path.to_str().unwrap().into();
    }
    let bottle = json!({
        "agent_provider": provider, "env": { "STORY": home.marker }, "limits": { "wall_time": "5s" },
    });
    home.write_file("bottles/worker.md", &format!("---\n{bottle}\n---\n"));
    home.write_file("agents/worker.md", "---\nbottle: worker\n---\n");
}

async fn start(home: &Home) -> Ran {
    let ran = home.run(&["start", "worker", "--headless", "--json", "--prompt", "Do it."]).await;
    all_ended(&home.marker).await;
    ran
}

on_each_backend!(
    each_way_in_which_a_client_fails_has_a_name,
    a_person_reads_the_last_words_of_a_client_inert,
    a_registration_that_fails_ends_the_launch,
    a_token_that_is_no_longer_taken_is_named_so,
    a_model_that_is_busy_or_breaks_off_is_asked_again,
);

async fn each_way_in_which_a_client_fails_has_a_name(on: Backend) {
    let words = r"echo first >&2; printf '\033[31mlast words\n' >&2";
    for (script, kind, reason, code) in [
        (format!("{words}; exit 3"), "died", "completed", 3),
        (format!("{words}; kill -9 $$"), "died", "completed", 137),
        (format!(r#"{words}; printf '{{"id": "a-1", "answer": "half'"#), "unreadable", "completed", 0),
        (format!("{words}; exit 0"), "silent", "completed", 0),
        (format!(r#"{words}; echo '{{"error": "no more last words"}}'"#), "reported", "completed", 0),
        (format!("{words}; echo 'Error: Please log in (last words)' >&2; exit 1"), "login", "completed", 1),
        (format!("{words}; exec sleep 600"), "unfinished", "time_limit", 143),
    ] {
        let home = Home::on(on);
        write(&home, Some(&script));
        let ran = start(&home).await;
        let report = ran.json();
        assert_eq!(report["failure"]["kind"], kind, "{script}: {ran:#?}");
        assert!(report["failure"]["words"].as_str().unwrap().contains("last words"), "{script}: {report}");
        assert_eq!(
            (&report["reason"], &report["code"]),
            (&json!(reason), &json!(code)),
            "{script}: {report}"
        );
        assert!(report["result"].is_null(), "{script}: {report}");
        assert_ne!(ran.code, 0, "{script}: {ran:#?}");
        assert!(!ran.out.contains('\u{1b}'), "{script}: {ran:#?}");
    }
}

async fn a_person_reads_the_last_words_of_a_client_inert(on: Backend) {
    let home = Home::on(on);
    write(&home, Some(r"printf '\033[31mlast words\n' >&2; exit 3"));
    let ran = home.run(&["start", "worker", "--yes", "--prompt", "Do it."]).await;
    // Before that, its bytes went to a file as they are.
    ran.expect_code(3).expect_err("ended without an answer:\n\\u{1b}[31mlast words\n");
}

/// Nothing gets as far as a backend.
#[tokio::test]
async fn a_client_or_provider_that_is_not_there_is_named_with_its_cure() {
    let home = Home::empty();
    write(&home, None);
    let ran = home.run(&["start", "worker", "--yes", "--prompt", "Do it."]).await;
    ran.expect_err("no-such-client").expect_err("make no-such-client");
    assert_ne!(ran.code, 0);

    home.write_file("bottles/worker.md", "---\nagent_provider: claud\n---\n");
    let ran = home.run(&["start", "worker", "--yes"]).await;
    ran.expect_code(65).expect_err("claude");

    home.write_file("bottles/worker.md", "---\nagent_provider: fake\n---\n");
    home.write_file("contrib/fake/provider.yaml", &PROVIDER.replace("install:", "instal:"));
    let ran = home.run(&["start", "worker", "--yes"]).await;
    ran.expect_code(65).expect_err("contrib/fake/provider.yaml:5:1: instal");
    home.run(&["config", "check"]).await.expect_code(1).expect_out("provider.yaml:5:1: instal");
}

async fn a_registration_that_fails_ends_the_launch(on: Backend) {
    let home = Home::on(on);
    write(
        &home,
        Some(r#"[ "$1" = register ] && { echo "no room" >&2; exit 4; }; echo '{"answer": "never"}'"#),
    );
    home.write_file(
        "contrib/fake/provider.yaml",
        &PROVIDER.replace("supervise: {}", "supervise: {command: [register, \"${door}\"]}"),
    );
    let ran = start(&home).await;
    assert!(ran.code != 0 && !ran.out.contains("never"), "{ran:#?}");
    ran.expect_err("no room");
}

/// What became of a run of this client against this script.
async fn ends(on: Backend, client: Client, script: Vec<Turn>) -> Value {
    let lifecycle = Lifecycle::new();
    let model = Model::start(script, &lifecycle).await;
    let (port, _origin) = origin().await;
    let world = World::up_in(Home::on(on), &[("STORY_TOKEN", "made-up")]).await;
    client.write(&world.home, &model, port);
    let ran = world.run(&["start", "worker", "--headless", "--json", "--prompt", "Do it."]).await;
    let exited = exited(&world, ran.json()["bottle"].as_str().unwrap()).await;
    lifecycle.stop();
    world.down().await;
    exited
}

async fn a_token_that_is_no_longer_taken_is_named_so(on: Backend) {
    let expired = Turn::fail(401, "authentication_error", "the token has expired");
    for client in [Client::claude(), Client::codex(), Client::opencode()] {
        let provider = client.provider;
        let exited = ends(on, client, vec![expired.clone(); 20]).await;
        assert_eq!(exited["failure"]["kind"], "login", "{provider}: {exited}");
        assert_eq!(exited["code"], 1, "{provider}: {exited}");
    }
}

async fn a_model_that_is_busy_or_breaks_off_is_asked_again(on: Backend) {
    let script = || {
        vec![
            Turn::fail(529, "overloaded_error", "busy"),
            Turn::Half("Half of an answer".to_owned()),
            Turn::say("All of it."),
        ]
    };
    for client in [Client::claude(), Client::codex(), Client::opencode()] {
        let provider = client.provider;
        let exited = ends(on, client, script()).await;
        assert_eq!(exited["result"], "All of it.", "{provider}: {exited}");
        assert!(exited["failure"].is_null(), "{provider}: {exited}");
    }
}
