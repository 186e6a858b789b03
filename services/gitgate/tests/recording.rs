//! Every push leaves its record on the bus, whatever is away meanwhile.

use std::sync::Arc;

use futures::FutureExt as _;
use handover::gitgate::GateLimits;
use handover::sidecar::Uplink;
use tokio::sync::Notify;

use crate::bench::{SECRET, Verdict};
use crate::client::{Client, Said, git};
use crate::world::{Event, Running, World, limited, until};

async fn ready(world: &World) -> (Client, String) {
    let client = Client::new(&git());
    client.git(".", &["clone", "--quiet", &world.url("tools"), "work"]).await;
    let commit = client.commit("work", "more", "more\n").await;
    (client, commit)
}

#[tokio::test]
async fn a_push_and_a_refusal_are_on_the_bus_before_the_client_reads_of_them() {
    let world = World::new().await;
    let (client, commit) = ready(&world).await;
    client.git("work", &["push", "--quiet", "origin", "HEAD:refs/heads/x"]).await;
    world.gate.bench.refuses("no");
    client.refused("work", &["push", "origin", "HEAD:refs/heads/y"]).await;
    // A bus that takes its time is not waited for.
    limited(until(&world.spool.path().join("records"), || world.kept() == 0)).await;
    let events = world.host.events(2).await;
    let [Event::Accepted(accepted), Event::Rejected(rejected)] = events.as_slice() else {
        panic!("{events:?}")
    };
    assert_eq!((accepted.repo.as_str(), accepted.objects), ("tools", 3));
    let update = &accepted.refs[0];
    assert_eq!((update.name.as_str(), &update.old, &update.new), ("refs/heads/x", &None, &Some(commit)));
    assert_eq!((rejected.reason.as_str(), rejected.refs[0].name.as_str()), ("no", "refs/heads/y"));
}

#[tokio::test]
async fn no_record_holds_a_secret_that_was_put_into_a_name() {
    let world = World::new().await;
    let (client, _) = ready(&world).await;
    world.gate.bench.refuses(&format!("no\nnot {SECRET} either"));
    let named = format!("HEAD:refs/heads/{SECRET}");
    client.refused("work", &["push", "origin", &named, "HEAD:refs/heads/y"]).await;
    let events = world.host.events(1).await;
    let Event::Rejected(rejected) = &events[0] else { panic!("{events:?}") };
    assert!(rejected.refs.iter().any(|update| update.name == "refs/heads/y"));
    assert!(rejected.refs.iter().any(|update| update.name.starts_with("(withheld")), "{rejected:?}");
    assert!(rejected.reason.starts_with("no\n(withheld"), "{}", rejected.reason);
    assert!(!format!("{rejected:?}").contains(SECRET), "{rejected:?}");
}

#[tokio::test]
async fn without_a_bus_nothing_goes_upstream() {
    let mut world = World::new().await;
    let (client, _) = ready(&world).await;
    let before = world.upstream.refs("tools").await;
    world.host.go_away().await;
    let url = world.url("tools");
    // As soon as the gate has noticed.
    let said = limited(async {
        loop {
            let said = client.refused("work", &["push", &url, "HEAD:refs/heads/x"]).await;
            if said.contains("the push cannot be recorded") {
                return said;
            }
        }
    })
    .await;
    assert!(said.contains("fatal: remote error: the push cannot be recorded"), "{said}");
    assert_eq!(world.upstream.refs("tools").await, before);
    // Reading needs no record.
    client.git("work", &["fetch", "--quiet"]).await;
    world.host.come_back().await;
}

#[tokio::test]
async fn a_bus_that_goes_away_while_a_push_is_judged_stops_it_before_upstream() {
    let mut world = World::new().await;
    let (client, _) = ready(&world).await;
    let before = world.upstream.refs("tools").await;
    let (go, waits) = tokio::sync::watch::channel(false);
    world.gate.bench.says(Verdict::Wait(waits));
    let mut began = world.gate.bench.began.subscribe();
    began.mark_unchanged();
    let pushes = Said::of(client.command("work", &["push", "origin", "HEAD:refs/heads/x"]));
    let mut link = world.gate.link();
    let goes = async {
        limited(began.changed()).await.unwrap();
        world.host.go_away().await;
        limited(link.wait_for(|link| *link == bus::Link::Down)).await.unwrap();
        go.send_replace(true);
    };
    let (said, ()) = tokio::join!(pushes, goes);
    assert!(said.err.contains("remote: the push cannot be recorded"), "{}", said.err);
    assert_eq!(world.upstream.refs("tools").await, before);
    // The refusal itself waits on disk for the bus.
    assert_eq!(world.kept(), 1);
    world.host.come_back().await;
    let events = world.host.events(1).await;
    assert!(
        matches!(&events[0], Event::Rejected(rejected) if rejected.reason.contains("cannot be recorded"))
    );
}

#[tokio::test]
async fn a_record_that_the_bus_could_not_take_is_sent_by_the_next_gate() {
    let World { mut host, upstream, sshd, spool, gate } = World::new().await;
    let client = Client::new(&git());
    client.git(".", &["clone", "--quiet", &gate.url("tools"), "work"]).await;
    let commit = client.commit("work", "more", "more\n").await;
    // Upstream takes it only once the bus is away.
    let signs = tempfile::tempdir().unwrap();
    let (asked, go) = (signs.path().join("asked"), signs.path().join("go"));
    let script = format!("touch {}; while ! test -e {}; do sleep 0.05; done", asked.display(), go.display());
    upstream.hook("tools", &script);
    let mut link = gate.link();
    let pushes = Said::of(client.command("work", &["push", "origin", "HEAD:refs/heads/x"]));
    let goes = async {
        until(signs.path(), || asked.exists()).await;
        host.go_away().await;
        limited(link.wait_for(|link| *link == bus::Link::Down)).await.unwrap();
        std::fs::write(&go, "").unwrap();
    };
    let (said, ()) = tokio::join!(pushes, goes);
    assert!(said.is_well, "{}", said.err);
    assert!(upstream.refs("tools").await.contains(&commit));
    let kept = || std::fs::read_dir(spool.path().join("records")).unwrap().count();
    assert_eq!(kept(), 1);
    gate.stop().await;
    host.come_back().await;
    let repos = [("tools", sshd.repo(&upstream.path("tools")))];
    let again = Running::start(&host, repos, spool.path(), GateLimits::default(), Uplink::default()).await;
    let events = host.events(1).await;
    assert!(
        matches!(&events[0], Event::Accepted(accepted) if accepted.refs[0].new.as_ref() == Some(&commit))
    );
    until(&spool.path().join("records"), || kept() == 0).await;
    again.stop().await;
}

#[tokio::test]
async fn what_became_of_a_push_that_a_killed_gate_had_sent_is_found_out_from_upstream() {
    let World { host, upstream, sshd, spool, gate } = World::new().await;
    let client = Client::new(&git());
    client.git(".", &["clone", "--quiet", &gate.url("tools"), "work"]).await;
    let commit = client.commit("work", "more", "more\n").await;
    // The gate ends while upstream thinks about it; upstream takes the first push and not the second.
    let thought = Arc::new(Notify::new());
    let (done, records) = (Arc::clone(&thought), spool.path().join("records"));
    gate.bench.says(Verdict::After(Arc::new(move || {
        done.notify_one();
        async {}.boxed()
    })));
    let signs = tempfile::tempdir().unwrap();
    let asked = signs.path().join("asked");
    upstream.hook("tools", &format!("touch {}; sleep 600", asked.display()));
    let mut pushes = client.command("work", &["push", "origin", "HEAD:refs/heads/x"]).spawn().unwrap();
    limited(thought.notified()).await;
    until(signs.path(), || asked.exists()).await;
    let intents = std::fs::read_dir(&records).unwrap().flatten().map(|entry| entry.file_name());
    assert!(intents.into_iter().all(|name| name.to_string_lossy().ends_with(".intent")));
    gate.kill().await;
    pushes.kill().await.unwrap();
    // A copy, as if there had been a second push of another branch.
    let intent = std::fs::read_dir(&records).unwrap().next().unwrap().unwrap().path();
    let text = std::fs::read_to_string(&intent).unwrap();
    let mut other: serde_json::Value = serde_json::from_str(&text).unwrap();
    other["refs"][0]["name"] = "refs/heads/y".into();
    other["at"] = "2026-01-01T00:00:00.001Z".into();
    std::fs::write(records.join("another.intent"), other.to_string()).unwrap();
    upstream.hook("tools", "exit 0");
    let direct = format!("file://{}", upstream.path("tools").display());
    client.git("work", &["push", "--quiet", &direct, "HEAD:refs/heads/x"]).await;
    let repos = [("tools", sshd.repo(&upstream.path("tools")))];
    let again = Running::start(&host, repos, spool.path(), GateLimits::default(), Uplink::default()).await;
    let events = host.events(2).await;
    let accepted = events.iter().any(|event| matches!(event, Event::Accepted(accepted) if accepted.refs[0].name == "refs/heads/x" && accepted.refs[0].new.as_ref() == Some(&commit)));
    let rejected = events.iter().any(|event| matches!(event, Event::Rejected(rejected) if rejected.refs[0].name == "refs/heads/y" && rejected.reason.contains("answer was lost")));
    assert!(accepted && rejected, "{events:?}");
    again.stop().await;
}
