//! Providers of the operator's own (P2).

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use bus::layout::BOTTLES;
use bus::message::run::FailureKind;
use bus::message::start::StartRequest;
use launcher::step::Step;

use crate::crash::kill_at;
use crate::support::LIMIT;
use crate::support::world::{World, in_each_world, request};

/// A provider `teller` whose program is this script, with this in its file, and an agent in a bottle of it.
fn teller(world: &World, script: &str, more: &str) {
    world.agent_with(&["true"], "", "");
    let write = |path: &str, text: &str| {
        let path = world.home.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    };
    let program = write("teller", &format!("#!/bin/sh\n{script}\n"));
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let result = "{format: lines, text: {take: /text}, session: {take: /id}}";
    let head = "v: 1\nabout: Tells.\nprogram: teller";
    write(
        "contrib/teller/provider.yaml",
        &format!("{head}\nheadless: {{start: [], resume: [], result: {result}}}\n{more}\n"),
    );
    let program = program.display();
    write("bottles/dev.md", &format!("---\nagent_provider: {{template: teller, program: {program}}}\n---\n"));
}

fn told(id: &str) -> StartRequest {
    StartRequest { task: Some("Tell.".to_owned()), ..request(id) }
}

in_each_world!(
    "multi_thread":
    an_id_that_the_program_told_outlives_its_launcher,
    a_provider_replaces_nothing_of_the_launchers,
    a_registration_that_fails_ends_the_launch,
);

/// Lets the program of a bottle that was not there yet go on as soon as its id is noted.
fn let_go(world: &World) -> std::thread::JoinHandle<()> {
    let state = world.home.path().join("state");
    let bottles = move || std::fs::read_dir(&state).into_iter().flatten().flatten().map(|entry| entry.path());
    let before: Vec<_> = bottles().collect();
    std::thread::spawn(move || {
        let end = Instant::now() + LIMIT;
        while Instant::now() < end {
            let is_noted = |bottle: &PathBuf| {
                std::fs::read_to_string(bottle.join("session.json")).is_ok_and(|note| note.contains("told-1"))
            };
            if let Some(bottle) = bottles().filter(|bottle| !before.contains(bottle)).find(is_noted) {
                std::fs::write(bottle.join("home/workspace/go"), "").unwrap();
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("no id was noted within {LIMIT:?}");
    })
}

/// A program that chooses the id of its conversation tells it in its output, and nobody else knows it.
async fn an_id_that_the_program_told_outlives_its_launcher(world: World) {
    // It goes on until its id is noted: what nobody has read yet dies with the launcher.
    let script = "echo '{\"id\":\"told-1\"}'; mkdir -p ../.state; until test -e go; do sleep 0.02; done
echo '{\"text\":\"done\"}'";
    teller(&world, script, "supervise: {}\nsession: {id: reported, paths: [.state]}");
    let mut events = world.events().await;
    world.operator.publish(&told("r1")).await.unwrap();
    let noted = let_go(&world);
    kill_at(Step::Settle, &world);
    noted.join().unwrap();
    let first = events.started().await;

    let noted_again = let_go(&world);
    let launcher = world.launcher().await;
    assert_eq!(
        launcher.reconciled.transcripts,
        std::slice::from_ref(&first.bottle),
        "{:?}",
        launcher.reconciled
    );
    let record = world.operator.bucket(&BOTTLES).get(first.bottle.as_str()).await.unwrap().unwrap().value;
    let session = record.session.unwrap();
    assert_eq!((session.id.as_deref(), session.turns), (Some("told-1"), 1));
    let again = events.exited_of("r1").await;
    assert_eq!((again.session.as_deref(), again.result.as_deref()), (Some("told-1"), Some("done")));
    noted_again.join().unwrap();
    launcher.stop().await;
    world.end().await;
}

/// What a provider says of the proxy, the certificates and git comes to nothing.
async fn a_provider_replaces_nothing_of_the_launchers(world: World) {
    let script = "count=$(grep -c mine ~/.gitconfig)
printf '{\"text\":\"%s %s %s\"}\\n' $HTTPS_PROXY $SSL_CERT_FILE $count";
    let own =
        "always: {env: {HTTPS_PROXY: mine, SSL_CERT_FILE: mine}, files: [{path: .gitconfig, text: mine}]}";
    teller(&world, script, &format!("supervise: {{}}\n{own}"));
    let launcher = world.launcher().await;
    let mut events = world.events().await;
    world.operator.publish(&told("r1")).await.unwrap();
    let said = events.exited().await.result.unwrap();
    assert_eq!(said, "http://127.0.0.1:9099 /etc/bot-bottle/ca-bundle.pem 0");
    launcher.stop().await;
    world.end().await;
}

/// An agent without its tools would only be noticed weeks later (P6).
async fn a_registration_that_fails_ends_the_launch(world: World) {
    let script = "[ \"$1\" = mcp ] && { echo no such server >&2; exit 3; }; echo '{\"text\":\"done\"}'";
    teller(&world, script, "supervise: {command: [mcp, add, \"${door}\"]}");
    let launcher = world.launcher().await;
    let mut events = world.events().await;
    world.operator.publish(&told("r1")).await.unwrap();
    let failed = events.failed().await;
    assert_eq!((failed.kind, failed.step.as_deref()), (FailureKind::Provision, Some("provision")));
    assert!(failed.reason.contains("exit code 3: no such server"), "{}", failed.reason);
    launcher.stop().await;
    world.end().await;
}
