//! Sessions whose programs, hosts and turns are not what one would wish (L3, L7).

use std::path::Path;
use std::sync::Arc;

use archive::{Limits, Odd};
use base::id::Slug;
use bus::layout::{BOTTLES, TRANSCRIPTS};
use bus::message::record::{BottleRecord, BottleState};
use bus::message::run::{FailureKind, StateKept};
use bus::message::start::StartRequest;
use launcher::step::Step;
use tokio::sync::Barrier;

use crate::crash::kill_at;
use crate::support::LIMIT;
use crate::support::world::{World, in_each_world, request};

const SESSION: &str = "session: {paths: [.state]}";

async fn record(world: &World, bottle: &Slug) -> BottleRecord {
    world.operator.bucket(&BOTTLES).get(bottle.as_str()).await.unwrap().unwrap().value
}

/// What a stored transcript holds, unpacked.
async fn transcript(world: &World, name: &str) -> tempfile::TempDir {
    let mut bytes = Vec::new();
    world.operator.objects(TRANSCRIPTS).get(name, &mut bytes).await.unwrap().expect("it is stored");
    let place = tempfile::tempdir().unwrap();
    let limits = Limits { bytes: 1 << 30, entries: 1000 };
    archive::unpack(&bytes[..], place.path(), Path::new(""), Odd::Refuse, limits).unwrap();
    place
}

fn resume(id: &str, last: &BottleRecord) -> StartRequest {
    let session = last.session.as_ref().and_then(|session| session.id.clone());
    let resume = serde_json::json!({ "bottle": last.bottle, "session": session });
    StartRequest { resume: Some(serde_json::from_value(resume).unwrap()), ..request(id) }
}

in_each_world!(
    "multi_thread":
    a_launcher_killed_before_the_snapshot_loses_no_transcript,
    a_hostile_home_neither_leaks_nor_hangs,
    a_transcript_that_is_too_large_is_loud_and_stays_where_it_is,
    of_two_who_take_a_turn_at_once_one_gets_it,
);

async fn a_launcher_killed_before_the_snapshot_loses_no_transcript(world: World) {
    world.agent_with(&["sh", "-c", "mkdir -p ../.state; echo $BOT_BOTTLE >> ../.state/log"], SESSION, "");
    let mut events = world.events().await;
    world.start("r1").await;
    kill_at(Step::Settle, &world);
    let first = events.started().await;
    assert_eq!(record(&world, &first.bottle).await.session.unwrap().transcript, None);

    let launcher = world.launcher().await;
    assert_eq!(
        launcher.reconciled.transcripts,
        std::slice::from_ref(&first.bottle),
        "{:?}",
        launcher.reconciled
    );
    let lost = record(&world, &first.bottle).await;
    assert_eq!(lost.state, BottleState::Lost);
    let place = transcript(&world, &lost.session.as_ref().unwrap().transcript.clone().unwrap()).await;
    assert_eq!(
        std::fs::read_to_string(place.path().join(".state/log")).unwrap(),
        format!("{}\n", first.bottle)
    );
    // The request runs again from its beginning, and the lost bottle's session can go on all the same.
    let again = events.exited_of("r1").await;
    let place = transcript(&world, &again.transcript.unwrap()).await;
    assert_eq!(
        std::fs::read_to_string(place.path().join(".state/log")).unwrap(),
        format!("{}\n", again.bottle)
    );
    world.operator.publish(&resume("r2", &lost)).await.unwrap();
    let next = events.exited_of("r2").await;
    let place = transcript(&world, &next.transcript.unwrap()).await;
    let both = format!("{}\n{}\n", first.bottle, next.bottle);
    assert_eq!(std::fs::read_to_string(place.path().join(".state/log")).unwrap(), both);
    assert!(world.left().is_empty(), "{:?}", world.left());
    launcher.stop().await;
    world.end().await;
}

async fn a_hostile_home_neither_leaks_nor_hangs(world: World) {
    std::fs::write(world.home.path().join("of-the-host"), "a file of the host").unwrap();
    let host = world.home.path().display();
    let script = format!(
        "mkdir -p ../.state/deep; cd ../.state; echo mine > log; ln -s {host}/of-the-host link; ln -s {host} way
         ln -s / deep/root; mkfifo pipe deep/pipe; python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"s\")'
         chmod 4755 log; ln -s ../../../../../../etc/passwd deep/up"
    );
    world.agent_with(&["sh", "-c", &script], SESSION, "");
    let launcher = world.launcher().await;
    let exited = world.run("r1").await;
    assert_eq!((exited.code, exited.note), (0, None));
    let place = transcript(&world, &exited.transcript.unwrap()).await;
    let mut found: Vec<_> =
        std::fs::read_dir(place.path().join(".state")).unwrap().map(|e| e.unwrap().file_name()).collect();
    found.sort();
    assert_eq!(found, ["deep", "log"]);
    assert_eq!(std::fs::read_dir(place.path().join(".state/deep")).unwrap().count(), 0);

    // The directory itself can be made a link as well.
    world.agent_with(&["sh", "-c", &format!("ln -s {host} ../.state")], SESSION, "");
    let exited = world.run("r2").await;
    let place = transcript(&world, &exited.transcript.unwrap()).await;
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
    launcher.stop().await;
    world.end().await;
}

async fn a_transcript_that_is_too_large_is_loud_and_stays_where_it_is(world: World) {
    world.agent_with(&["sh", "-c", "mkdir ../.state; truncate -s 1T ../.state/hole"], SESSION, "");
    let launcher = world.launcher_with(|config| config.transcript = 1 << 20, launcher::world::nobody()).await;
    let exited = world.run("r1").await;
    assert_eq!((exited.code, exited.state, &exited.transcript), (0, StateKept::Kept, &None));
    assert!(exited.note.as_ref().unwrap().contains("more than 1 MiB"), "{exited:?}");
    let kept = record(&world, &exited.bottle).await;
    assert!(kept.note.as_ref().unwrap().contains("more than 1 MiB"), "{kept:?}");
    assert!(world.left()[0].join("home/.state/hole").exists());
    launcher.stop().await;

    // It is kept as what a failure left is: reconciliation leaves it alone.
    let launcher = world.launcher().await;
    assert_eq!(launcher.reconciled, Default::default());
    assert_eq!(world.left().len(), 1);
    let mut events = world.events().await;
    world.operator.publish(&resume("r2", &kept)).await.unwrap();
    let failed = events.failed().await;
    assert_eq!(failed.kind, FailureKind::Session);
    assert!(failed.reason.contains("no transcript") && failed.reason.contains("--fresh"), "{failed:?}");
    launcher.stop().await;
    world.end().await;
}

async fn of_two_who_take_a_turn_at_once_one_gets_it(world: World) {
    world.agent_with(&["sh", "-c", "mkdir -p ../.state; echo turn >> ../.state/log"], SESSION, "");
    let both = Arc::new(Barrier::new(2));
    let (meets, turns) = (both.clone(), Arc::new(std::sync::atomic::AtomicBool::new(false)));
    let armed = turns.clone();
    // Both have looked the session up, and found that nobody has it, before either goes on.
    let observer: launcher::Observer = Arc::new(move |_, step| {
        let waits = step == Step::Record && armed.load(std::sync::atomic::Ordering::SeqCst);
        let meets = meets.clone();
        Box::pin(async move {
            if waits {
                meets.wait().await;
            }
        })
    });
    let launcher = world.launcher_with(|_| (), observer).await;
    let first = world.run("r1").await;
    turns.store(true, std::sync::atomic::Ordering::SeqCst);
    let last = record(&world, &first.bottle).await;
    let mut events = world.events().await;
    for id in ["r2", "r3"] {
        world.operator.publish(&resume(id, &last)).await.unwrap();
    }
    let failed = events.failed().await;
    assert_eq!((failed.kind, failed.step.as_deref()), (FailureKind::Session, Some("record")), "{failed:?}");
    let started = tokio::time::timeout(LIMIT, events.started()).await.unwrap();
    let next = record(&world, &started.bottle).await.session.unwrap();
    assert_eq!((next.turns, next.resumed_from), (2, Some(first.bottle.clone())));
    let last = record(&world, &first.bottle).await;
    assert_eq!(last.session.unwrap().resumed_as, Some(started.bottle));
    launcher.stop().await;
    world.end().await;
}
