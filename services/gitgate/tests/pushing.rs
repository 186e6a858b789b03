//! Pushes of every kind: what reaches upstream, what the person reads, and what is left behind.

use std::sync::Arc;

use futures::FutureExt as _;
use tokio::sync::watch;

use crate::bench::Verdict;
use crate::client::{Client, Said, gits};
use crate::world::{Event, World, limited};

async fn cloned(world: &World, git: &std::path::Path) -> Client {
    let client = Client::new(git);
    client.git(".", &["clone", "--quiet", &world.url("tools"), "work"]).await;
    client
}

#[tokio::test]
async fn every_kind_of_push_reaches_upstream_as_plain_git_would_bring_it() {
    for git in gits() {
        let world = World::new().await;
        let client = cloned(&world, &git).await;
        let first = client.commit("work", "three", "third\n").await;
        // A new branch, a tag of it, and main moved on.
        client.git("work", &["tag", "-a", "-m", "more", "v2"]).await;
        client.git("work", &["push", "origin", "HEAD:refs/heads/new", "v2", "main"]).await;
        let refs = world.upstream.refs("tools").await;
        for name in ["refs/heads/new", "refs/heads/main"] {
            assert!(refs.contains(&format!("{first} {name}")), "{refs}");
        }
        let tag = client.git("work", &["rev-parse", "v2"]).await;
        assert!(refs.contains(&format!("{tag} refs/tags/v2")), "{refs}");
        let (push, objects) = world.gate.bench.last();
        assert_eq!((push.updates.len(), push.default_branch.unwrap().as_str()), (3, "refs/heads/main"));
        // A commit, a tree, a blob, and a tag; not one that upstream had.
        assert_eq!(objects.len(), 4, "{objects:?}");
        // Another history, by force.
        client.git("work", &["commit", "--quiet", "--amend", "-m", "other"]).await;
        let other = client.git("work", &["rev-parse", "HEAD"]).await;
        client.refused("work", &["push", "origin", "HEAD:new"]).await;
        client.git("work", &["push", "--force", "origin", "HEAD:new"]).await;
        assert!(world.upstream.refs("tools").await.contains(&format!("{other} refs/heads/new")));
        // A branch at a commit that upstream has; then its removal, with nothing to send.
        client.git("work", &["push", "origin", "HEAD~1:refs/heads/same"]).await;
        assert_eq!(world.gate.bench.last().0.quarantine, None);
        client.git("work", &["push", "origin", ":same", ":old"]).await;
        let refs = world.upstream.refs("tools").await;
        assert!(!refs.contains("same") && !refs.contains("old"), "{refs}");
        // Nothing at all.
        let said = client.said("work", &["push", "origin", "HEAD:new"]).await;
        assert!(said.is_well && said.err.contains("Everything up-to-date"), "{}", said.err);
        world.upstream.git("tools", &["fsck", "--strict", "--no-dangling"]).await;
        assert!(world.quarantined().is_empty());
        // Whoever clones next gets the same from the gate as from upstream.
        client.git(".", &["clone", "--quiet", "--mirror", &world.url("tools"), "again"]).await;
        let again = client.git("again", &["for-each-ref", "--format=%(objectname) %(refname)"]).await;
        assert_eq!(again, refs);
    }
}

#[tokio::test]
async fn the_first_push_to_an_empty_repository_makes_its_branch() {
    for git in gits() {
        let world = World::new().await;
        let client = Client::new(&git);
        let said = client.said(".", &["clone", &world.url("empty"), "work"]).await;
        assert!(said.is_well && said.err.contains("empty repository"), "{}", said.err);
        let commit = client.commit("work", "one", &format!("{}\n", git.display())).await;
        let name = format!("HEAD:refs/heads/b{}", git.components().count());
        client.git("work", &["push", "--quiet", "origin", &name]).await;
        assert!(world.upstream.refs("empty").await.contains(&commit));
    }
}

#[tokio::test]
async fn a_push_from_a_shallow_or_a_partial_clone_is_like_any_other() {
    let world = World::new().await;
    for (number, git) in gits().into_iter().enumerate() {
        for (kind, option) in [("shallow", "--depth=1"), ("partial", "--filter=blob:none")] {
            let client = Client::new(&git);
            client.git(".", &["clone", "--quiet", option, &world.url("tools"), "work"]).await;
            let name = format!("{kind}{number}");
            let commit = client.commit("work", &name, "more\n").await;
            client.git("work", &["push", "--quiet", "origin", &format!("HEAD:refs/heads/{name}")]).await;
            assert!(world.upstream.refs("tools").await.contains(&format!("{commit} refs/heads/{name}")));
        }
    }
    world.upstream.git("tools", &["fsck", "--strict", "--connectivity-only"]).await;
}

#[tokio::test]
async fn a_large_push_arrives_whole() {
    let world = World::new().await;
    for git in gits() {
        let client = cloned(&world, &git).await;
        // More than a client sends at once: it asks first, and then sends in chunks.
        std::fs::write(client.path("work/noise"), crate::client::noise(3_000_000)).unwrap();
        let commit = client.commit("work", "more", "more\n").await;
        let name = format!("HEAD:refs/heads/large{}", git.components().count());
        client.git("work", &["push", "--quiet", "origin", &name]).await;
        assert!(world.upstream.refs("tools").await.contains(&commit));
    }
}

#[tokio::test]
async fn what_the_judge_refuses_does_not_exist_outside_and_is_gone_inside() {
    let world = World::new().await;
    for git in gits() {
        let client = cloned(&world, &git).await;
        let before = (world.upstream.refs("tools").await, world.upstream.objects("tools").await);
        let commit = client.commit("work", "secret", "not for you\n").await;
        world.gate.bench.refuses("a secret was found\n  secret:1 in commit x");
        let said =
            client.refused("work", &["push", "origin", "HEAD:refs/heads/x", "HEAD:refs/heads/y"]).await;
        assert!(said.contains("remote: the judge looks at it"), "{said}");
        assert!(said.contains("remote: a secret was found") && said.contains("remote:   secret:1"), "{said}");
        for name in ["x", "y"] {
            assert!(
                said.contains(&format!("[remote rejected] HEAD -> {name} (a secret was found)")),
                "{said}"
            );
        }
        assert_eq!((world.upstream.refs("tools").await, world.upstream.objects("tools").await), before);
        assert!(world.quarantined().is_empty());
        // Nor can it be asked for by its name.
        let said = client.said("work", &["fetch", &world.url("tools"), &commit]).await;
        let mirror = world.spool.path().join("mirrors/tools/git");
        let there = Client::new(&git)
            .command(".", &["cat-file", "-e", &commit])
            .env("GIT_DIR", mirror)
            .status()
            .await;
        assert!(!there.unwrap().success(), "{}", said.err);
    }
}

#[tokio::test]
async fn upstreams_refusal_is_the_agents_refusal_in_upstreams_words() {
    let world = World::new().await;
    world.upstream.hook("tools", "echo 'only on \u{1b}[31mfridays' >&2; exit 1");
    for git in gits() {
        let client = cloned(&world, &git).await;
        client.commit("work", "more", "more\n").await;
        let said = client.refused("work", &["push", "origin", "HEAD:refs/heads/x"]).await;
        assert!(said.contains("remote: upstream: only on \\u{1b}[31mfridays"), "{said}");
        assert!(said.contains("[remote rejected] HEAD -> x (pre-receive hook declined)"), "{said}");
        assert!(!world.upstream.refs("tools").await.contains("refs/heads/x"));
        assert!(world.quarantined().is_empty());
        client.git("work", &["fetch", "--quiet"]).await;
        assert_eq!(client.git("work", &["branch", "--remotes", "--list", "origin/x"]).await, "");
    }
}

#[tokio::test]
async fn who_pushes_over_somebody_elses_commit_is_told_to_fetch_first() {
    let world = World::new().await;
    let client = cloned(&world, &crate::client::git()).await;
    client.commit("work", "mine", "mine\n").await;
    // Before the gate looks.
    let theirs = world.upstream.moves("theirs").await;
    let said = client.refused("work", &["push", "origin", "main"]).await;
    assert!(said.contains("fetch first"), "{said}");
    client.git("work", &["pull", "--quiet", "--rebase"]).await;
    // While the judge looks.
    let upstream = world.upstream.path("tools");
    let moves = move || {
        let (upstream, theirs) = (upstream.clone(), theirs.clone());
        async move {
            let client = Client::new(&crate::client::git());
            let place = upstream.display().to_string();
            client.git(".", &["-C", &place, "update-ref", "refs/heads/main", &format!("{theirs}~1")]).await;
        }
        .boxed()
    };
    world.gate.bench.says(Verdict::After(Arc::new(moves)));
    for force in [&[][..], &["--force"]] {
        let call = [&["push"], force, &["origin", "main"]].concat();
        let before = world.upstream.refs("tools").await;
        let said = client.refused("work", &call).await;
        assert!(said.contains("fetch first"), "{said}");
        let after = world.upstream.refs("tools").await;
        assert!(!after.contains(&client.git("work", &["rev-parse", "HEAD"]).await), "{before} {after}");
        client.git("work", &["fetch", "--quiet"]).await;
        if force.is_empty() {
            world.upstream.git("tools", &["update-ref", "refs/heads/main", "refs/heads/old"]).await;
            world.upstream.moves("again").await;
            client.git("work", &["pull", "--quiet", "--rebase"]).await;
        }
    }
}

#[tokio::test]
async fn calls_share_one_connection_to_upstream() {
    let world = World::new().await;
    let client = cloned(&world, &crate::client::git()).await;
    let before = world.sshd.connections();
    for name in ["a", "b", "c"] {
        client.commit("work", name, name).await;
        client.git("work", &["push", "--quiet", "origin", &format!("HEAD:refs/heads/{name}")]).await;
    }
    assert_eq!(world.sshd.connections(), before);
    // And lose nothing by it: what asks for refs still speaks the newest protocol.
    let calls = world.sshd.calls();
    let reads: Vec<_> = calls.iter().filter(|call| call.contains("git-upload-pack")).collect();
    assert!(!reads.is_empty() && reads.iter().all(|call| call.starts_with("version=2 ")), "{reads:?}");
}

#[tokio::test]
async fn an_upstream_that_cannot_take_all_or_none_gets_one_ref_at_a_time() {
    let world = World::new().await;
    world.upstream.git("tools", &["config", "receive.advertiseAtomic", "false"]).await;
    let client = cloned(&world, &crate::client::git()).await;
    let commit = client.commit("work", "more", "more\n").await;
    let said = client.refused("work", &["push", "origin", "HEAD:refs/heads/a", "HEAD:refs/heads/b"]).await;
    assert!(said.contains("remote: upstream did not take this push"), "{said}");
    assert!(said.contains("does not support --atomic push"), "{said}");
    assert!(!world.upstream.refs("tools").await.contains(&commit));
    client.git("work", &["push", "--quiet", "origin", "HEAD:refs/heads/a"]).await;
    assert!(world.upstream.refs("tools").await.contains(&format!("{commit} refs/heads/a")));
}

#[tokio::test]
async fn push_options_are_judged_and_passed_on() {
    let world = World::new().await;
    world.upstream.hook("tools", "echo \"$GIT_PUSH_OPTION_COUNT $GIT_PUSH_OPTION_0\" >&2");
    for git in gits() {
        let client = cloned(&world, &git).await;
        client.commit("work", "more", &format!("{}\n", git.display())).await;
        let name = format!("HEAD:refs/heads/o{}", git.components().count());
        let said = client.said("work", &["push", "-o", "ci.skip", "origin", &name]).await;
        assert!(said.is_well && said.err.contains("remote: upstream: 1 ci.skip"), "{}", said.err);
        assert_eq!(world.gate.bench.last().0.options, ["ci.skip"]);
    }
}

#[tokio::test]
async fn a_client_waits_for_a_person_and_one_that_leaves_ends_the_wait() {
    let world = World::new().await;
    for git in gits() {
        let client = cloned(&world, &git).await;
        let commit = client.commit("work", "more", &format!("{}\n", git.display())).await;
        let (go, waits) = watch::channel(false);
        world.gate.bench.says(Verdict::Wait(waits));
        let mut began = world.gate.bench.began.subscribe();
        began.mark_unchanged();
        let name = format!("HEAD:refs/heads/w{}", git.components().count());
        // One leaves.
        let mut leaves = client.command("work", &["push", "origin", &name]).process_group(0).spawn().unwrap();
        limited(began.changed()).await.unwrap();
        let mut dropped = world.gate.bench.dropped.subscribe();
        dropped.mark_unchanged();
        let group = rustix::process::Pid::from_raw(leaves.id().unwrap().cast_signed()).unwrap();
        rustix::process::kill_process_group(group, rustix::process::Signal::KILL).unwrap();
        leaves.wait().await.unwrap();
        limited(dropped.changed()).await.unwrap();
        assert!(!world.upstream.refs("tools").await.contains(&commit));
        // One waits.
        let waits = Said::of(client.command("work", &["push", "origin", &name]));
        let decides = async {
            limited(began.changed()).await.unwrap();
            go.send_replace(true);
        };
        let (said, ()) = tokio::join!(waits, decides);
        assert!(said.is_well, "{}", said.err);
        assert!(world.upstream.refs("tools").await.contains(&commit));
    }
    let events = world.host.events(4).await;
    let told: Vec<_> = events
        .iter()
        .map(|event| match event {
            Event::Accepted(_) => "accepted",
            Event::Rejected(rejected) => rejected.reason.as_str(),
        })
        .collect();
    let left = "the client went away before the push was judged";
    assert_eq!(told[..2], [left, "accepted"]);
    assert!(world.quarantined().is_empty());
}
