//! The audit trail on a real bus (invariant 7).
#![cfg(test)]

mod by_hand;
mod support;

use std::process::Command;

use bus::layout::AUDIT;
use bus::message::Message as _;
use bus::message::audit::Decision;
use bus::message::egress::Log;
use bus::message::proposal::Resolved;
use bus::message::revision::PolicyRunning;
use bus::role::Role;
use supervisor::audit::{Anchor, AuditError, Digest, Why};

use support::{World, blocked, bottle, failed, log, parse, soon, sources};

#[tokio::test]
async fn every_event_is_one_record_and_what_cannot_be_read_is_one_too() {
    let world = World::start().await;
    let (launcher, sidecar) = (world.role(Role::Launcher).await, world.bottle().await);
    launcher.publish(&failed(1)).await.unwrap();
    let writing = world.write().await;
    sidecar.publish(&blocked("x1")).await.unwrap();
    sidecar.publish(&log(2, 3)).await.unwrap();
    let running = PolicyRunning { v: Default::default(), bottle: bottle(), running: 2, refused: None };
    sidecar.publish(&running).await.unwrap();
    let raw = world.sidecar().await;
    raw.publish("egress.blocked.me-00000", "{\"v\":9}".into()).await.unwrap();
    raw.flush().await.unwrap();
    let lines = world.until_recorded(5).await;
    let told: Vec<_> = lines
        .iter()
        .map(|line| parse(line))
        .filter(|record| record.source.is_some())
        .map(|record| (record.subject(), record.decision.name(), record.bottle.map(String::from)))
        .collect();
    let me = || Some("me-00000".to_owned());
    let expected = [
        ("audit.launcher".to_owned(), "failed", None),
        ("audit.egress".to_owned(), "blocked", me()),
        ("audit.egress".to_owned(), "allowed", me()),
        ("audit.egress".to_owned(), "policy_running", me()),
        ("audit.egress".to_owned(), "unreadable", me()),
    ];
    assert_eq!(told, expected);
    let hostile = lines.iter().map(|line| parse(line).decision).find_map(|decision| match decision {
        Decision::Blocked { path, .. } => Some(path),
        _ => None,
    });
    assert_eq!(hostile.as_deref(), Some("/\\u{1b}[2J"));
    assert_eq!(sources(&lines), [1, 2, 3, 4, 5]);
    let report = world.verify(&lines, &world.place().anchors().unwrap());
    assert_eq!((report.fault, report.unsealed), (None, 0));
    writing.stop().await;
}

#[tokio::test]
async fn how_a_proposal_ended_is_a_record() {
    let world = World::start().await;
    let writing = world.write().await;
    let resolved: Resolved = serde_json::from_value(serde_json::json!({
        "v": 1, "bottle": "me-00000", "proposal": "p1", "outcome": "expired", "reason": "nobody\nanswered",
        "at": "2026-11-21T12:00:00Z",
    }))
    .unwrap();
    world.role(Role::Supervisor).await.publish(&resolved).await.unwrap();
    let lines = world.until_recorded(1).await;
    let record = parse(&lines[1]);
    assert_eq!(
        (record.subject(), record.source.unwrap().stream),
        ("audit.supervisor".into(), "PROPOSALS".into())
    );
    let Decision::Resolved { reason, answer: None, .. } = record.decision else { panic!("{lines:?}") };
    assert_eq!(reason.as_deref(), Some("nobody\\nanswered"));
    writing.stop().await;
}

#[tokio::test]
async fn a_killed_writer_loses_nothing_and_records_nothing_twice() {
    const EVENTS: u64 = 600;
    let world = World::start().await;
    let launcher = world.role(Role::Launcher).await;
    let publish = async {
        for n in 1..=EVENTS {
            launcher.publish(&failed(n)).await.unwrap();
        }
    };
    let kill = async {
        let operator = world.role(Role::Operator).await;
        let mut trail =
            operator.follow::<supervisor::audit::Stored>(AUDIT, ">", bus::Since::All).await.unwrap();
        // Each process is killed in the middle of recording: some records after its first.
        for records in [1, 2, 7, 40, 90] {
            let mut process = world.process();
            for _ in 0..records {
                soon("a record", trail.next()).await.unwrap();
            }
            process.kill().await.unwrap();
        }
    };
    tokio::join!(publish, kill);
    let writing = world.write().await;
    let lines = world.until_recorded(EVENTS).await;
    writing.stop().await;
    assert_eq!(sources(&lines), (1..=EVENTS).collect::<Vec<_>>());
    assert_eq!(world.verify(&lines, &world.place().anchors().unwrap()).fault, None);
}

#[tokio::test]
async fn two_writers_make_one_chain() {
    const EVENTS: u64 = 300;
    let world = World::start().await;
    let launcher = world.role(Role::Launcher).await;
    let one = world.write().await;
    let (_, place) = support::other_place(&world, "other");
    let other = world.write_at(place).await.unwrap();
    for n in 1..=EVENTS {
        launcher.publish(&failed(n)).await.unwrap();
    }
    let lines = world.until_recorded(EVENTS).await;
    one.stop().await;
    other.stop().await;
    assert_eq!(sources(&lines), (1..=EVENTS).collect::<Vec<_>>());
    assert_eq!(world.verify(&lines, &[]).fault, None);
}

#[tokio::test]
async fn the_bus_may_die_while_it_is_written() {
    const EVENTS: u64 = 200;
    let world = World::start().await;
    let launcher = world.role(Role::Launcher).await;
    let writing = world.write().await;
    for n in 1..=EVENTS {
        if n % 60 == 0 {
            world.kill_server();
        }
        launcher.publish(&failed(n)).await.unwrap();
    }
    let lines = world.until_recorded(EVENTS).await;
    writing.stop().await;
    assert_eq!(sources(&lines), (1..=EVENTS).collect::<Vec<_>>());
    assert_eq!(world.verify(&lines, &world.place().anchors().unwrap()).fault, None);
}

/// The stream is deleted and made anew with the records up to an old checkpoint: all that is there fits.
#[tokio::test]
async fn a_rolled_back_trail_is_noticed_by_who_saw_more() {
    let world = World::start().await;
    let launcher = world.role(Role::Launcher).await;
    launcher.publish(&failed(1)).await.unwrap();
    let writing = world.write().await;
    let old = world.until_recorded(1).await;
    launcher.publish(&failed(2)).await.unwrap();
    let new = world.until_recorded(2).await;
    writing.stop().await;
    // What the operator's tools remember, without the supervisor's own file.
    let report = world.verify(&new, &[]);
    let seen = report.checkpoint.unwrap();
    assert_eq!(seen, Anchor { sequence: new.len() as u64, hash: Digest::of(new.last().unwrap()) });

    let admin = world.admin().await;
    soon("the deletion", admin.request("$JS.API.STREAM.DELETE.AUDIT", "".into())).await.unwrap();
    world.provision().await;
    let supervisor = world.role(Role::Supervisor).await;
    for (last, line) in old.iter().enumerate() {
        let subject = parse(line).subject();
        supervisor.append(AUDIT, &subject, line.clone().into(), last as u64).await.unwrap();
    }
    let there = world.trail().await;
    assert_eq!(world.verify(&there, &[]).fault, None);
    let fault = world.verify(&there, &[seen]).fault.unwrap();
    assert_eq!(fault.sequence, old.len() as u64 + 1);
    assert_eq!(fault.why, Why::Truncated { seen: seen.sequence });

    // Nor does a supervisor go on with it.
    let refused = world.write_at(world.place()).await.err().unwrap();
    assert!(matches!(refused, AuditError::Broken { .. }), "{refused}");
    assert_eq!(world.trail().await, there);

    // Nor when it is as long again, and another.
    for last in there.len() as u64..seen.sequence {
        supervisor.append(AUDIT, "audit.egress", old[1].clone().into(), last).await.unwrap();
    }
    let refused = world.write_at(world.place()).await.err().unwrap();
    assert!(refused.to_string().contains("is another than it was"), "{refused}");
}

#[tokio::test]
async fn a_batch_that_is_too_long_is_cut_and_one_that_stays_so_is_hashed() {
    let world = World::start().await;
    let sidecar = world.bottle().await;
    // 200 paths of 1,024 characters, as the proxy cuts them: 1.8 MB when they are inert.
    sidecar.publish(&log(200, 1024)).await.unwrap();
    let mut long = Log { batch: 2, ..log(3000, 1) };
    long.lines.iter_mut().for_each(|line| line.host = "\u{202e}".repeat(30));
    sidecar.publish(&long).await.unwrap();
    let writing = world.write().await;
    let lines = world.until_recorded(2).await;
    writing.stop().await;
    let kept: Vec<_> = lines
        .iter()
        .filter_map(|line| match parse(line).decision {
            Decision::Allowed { lines, .. } => Some(format!("{} lines", lines.len())),
            Decision::Unreadable { reason, .. } => Some(reason),
            _ => None,
        })
        .collect();
    assert_eq!(kept, ["200 lines", "it is too large to record"]);
}

#[tokio::test]
async fn events_that_are_gone_are_a_record() {
    let world = World::start().await;
    let launcher = world.role(Role::Launcher).await;
    for n in 1..=5 {
        launcher.publish(&failed(n)).await.unwrap();
    }
    let admin = world.admin().await;
    soon("the purge", admin.request("$JS.API.STREAM.PURGE.EVENTS", r#"{"seq":4}"#.into())).await.unwrap();
    let writing = world.write().await;
    let lines = world.until_recorded(5).await;
    writing.stop().await;
    assert_eq!(sources(&lines), [3, 4, 5]);
    let gap = Decision::Gap { stream: "EVENTS".into(), from: 1, through: 3 };
    assert_eq!(parse(&lines[1]).decision, gap);
}

#[test]
fn the_key_is_the_owners_alone_and_is_not_made_twice() {
    let home = tempfile::tempdir().unwrap();
    let place = supervisor::audit::Place::of(home.path());
    let key = place.key().unwrap().public();
    assert_eq!(place.key().unwrap().public(), key);
    let file = home.path().join("audit/key");
    let mode = |file: &std::path::Path| {
        std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(file).unwrap()) & 0o777
    };
    assert_eq!((mode(&file), mode(&home.path().join("audit"))), (0o600, 0o700));
    assert!(Command::new("chmod").arg("644").arg(&file).status().unwrap().success());
    let refused = place.key().err().unwrap();
    assert!(base::error::chain(&refused).contains("others may read it"), "{refused}");
    std::fs::remove_file(&file).unwrap();
    std::fs::write(place.checkpoints(), "").unwrap();
    let refused = place.key().err().unwrap().to_string();
    assert!(refused.contains("there is a trail that it signed"), "{refused}");
}
