//! Clone, fetch and pull: what plain git gets from upstream, the gate gives too.

use crate::client::{Client, gits};
use crate::world::World;

/// The refs and objects of a clone.
async fn state(client: &Client, place: &str) -> (String, Vec<String>) {
    let refs = client.git(place, &["for-each-ref", "--format=%(objectname) %(refname) %(symref)"]).await;
    let all = ["cat-file", "--batch-all-objects", "--batch-check=%(objectname)"];
    let mut objects: Vec<_> = client.git(place, &all).await.lines().map(str::to_owned).collect();
    objects.sort();
    (refs, objects)
}

#[tokio::test]
async fn every_way_to_clone_gives_what_upstream_itself_gives() {
    let world = World::new().await;
    let direct = format!("file://{}", world.upstream.path("tools").display());
    for git in gits() {
        for version in ["0", "1", "2"] {
            let client = Client::new(&git);
            for (number, options) in [
                &[][..],
                &["--mirror"],
                &["--depth=1"],
                &["--filter=blob:none", "--no-checkout"],
                &["--single-branch", "--branch=old"],
                &["--depth=2", "--branch=v1"],
            ]
            .into_iter()
            .enumerate()
            {
                let version = format!("protocol.version={version}");
                let call = |url: String, into: String| {
                    let start = ["-c".to_owned(), version.clone(), "clone".to_owned(), "--quiet".to_owned()];
                    let options = options.iter().map(|&option| option.to_owned());
                    start.into_iter().chain(options).chain([url, into]).collect::<Vec<_>>()
                };
                let (ours, theirs) = (format!("ours{number}"), format!("theirs{number}"));
                for call in [call(world.url("tools"), ours.clone()), call(direct.clone(), theirs.clone())] {
                    client.git(".", &call.iter().map(String::as_str).collect::<Vec<_>>()).await;
                }
                let (gated, plain) = (state(&client, &ours).await, state(&client, &theirs).await);
                assert_eq!(gated, plain, "{} {version} {options:?}", git.display());
                for place in [ours, theirs] {
                    std::fs::remove_dir_all(client.path(&place)).unwrap();
                }
            }
        }
    }
}

#[tokio::test]
async fn a_fetch_brings_what_upstream_has_by_now_and_nothing_that_is_gone() {
    let world = World::new().await;
    for git in gits() {
        let client = Client::new(&git);
        client.git(".", &["clone", "--quiet", &world.url("tools.git"), "work"]).await;
        let name = format!("by-{}", git.display().to_string().replace('/', "-"));
        let commit = world.upstream.moves(&name).await;
        client.git("work", &["pull", "--quiet"]).await;
        assert_eq!(client.git("work", &["rev-parse", "HEAD"]).await, commit);
        world.upstream.git("tools", &["update-ref", "refs/heads/gone", &commit]).await;
        client.git("work", &["fetch", "--quiet", "--prune"]).await;
        world.upstream.git("tools", &["update-ref", "-d", "refs/heads/gone"]).await;
        client.git("work", &["fetch", "--quiet", "--prune"]).await;
        let refs = client.git("work", &["for-each-ref", "--format=%(refname)", "refs/remotes"]).await;
        assert!(!refs.contains("gone"), "{refs}");
        // A directory of branches takes the place of a branch.
        world.upstream.git("tools", &["update-ref", "-d", "refs/heads/old"]).await;
        world.upstream.git("tools", &["update-ref", "refs/heads/old/er", &commit]).await;
        client.git("work", &["fetch", "--quiet", "--prune"]).await;
        assert_eq!(client.git("work", &["rev-parse", "origin/old/er"]).await, commit);
        world.upstream.git("tools", &["update-ref", "-d", "refs/heads/old/er"]).await;
        world.upstream.git("tools", &["update-ref", "refs/heads/old", &commit]).await;
    }
}

#[tokio::test]
async fn heads_default_branch_follows_upstreams() {
    let world = World::new().await;
    let client = Client::new(&crate::client::git());
    world.upstream.git("tools", &["symbolic-ref", "HEAD", "refs/heads/old"]).await;
    client.git(".", &["clone", "--quiet", &world.url("tools"), "work"]).await;
    assert_eq!(client.git("work", &["symbolic-ref", "HEAD"]).await, "refs/heads/old");
}

#[tokio::test]
async fn equal_looks_at_the_same_time_are_one() {
    let world = World::new().await;
    let client = Client::new(&crate::client::git());
    let url = world.url("tools");
    client.git(".", &["ls-remote", &url]).await;
    let before = world.sshd.calls().len();
    let call = ["ls-remote", url.as_str()];
    let ask = || client.git(".", &call);
    let asks: Vec<_> = (0..10).map(|_| ask()).collect();
    futures::future::join_all(asks).await;
    let looks = world.sshd.calls().len() - before;
    assert!((1..10).contains(&looks), "{looks} looks for ten questions at the same time");
}

#[tokio::test]
async fn a_repository_of_sha256_is_served_like_any_other() {
    let (host, upstream, sshd) =
        tokio::join!(crate::world::Host::new(), crate::upstream::Upstream::new(), crate::ssh::Sshd::start());
    for name in ["new", "bare"] {
        upstream.make(name, &["--object-format=sha256"]).await;
    }
    let client = Client::new(&crate::client::git());
    client.git(".", &["init", "--quiet", "--object-format=sha256", "work"]).await;
    client.commit("work", "zero", "0\n").await;
    client
        .git(
            "work",
            &[
                "push",
                "--quiet",
                &format!("file://{}", upstream.path("new").display()),
                "HEAD:refs/heads/main",
            ],
        )
        .await;
    let spool = tempfile::tempdir().unwrap();
    let repos = ["new", "bare"].map(|name| (name, sshd.repo(&upstream.path(name))));
    let mut gate =
        crate::world::Running::start(&host, repos, spool.path(), Default::default(), Default::default())
            .await;
    gate.is_connected().await;
    for (number, git) in gits().into_iter().enumerate() {
        let client = Client::new(&git);
        client.git(".", &["init", "--quiet", "--object-format=sha256", "work"]).await;
        let commit = client.commit("work", "one", &format!("{number}\n")).await;
        assert_eq!(commit.len(), 64);
        // Which has nothing that would tell its format.
        client
            .git("work", &["push", "--quiet", &gate.url("bare"), &format!("HEAD:refs/heads/b{number}")])
            .await;
        assert!(upstream.refs("bare").await.contains(&commit));
        let branch = format!("HEAD:refs/heads/b{number}");
        client.git("work", &["push", "--quiet", &gate.url("new"), &branch]).await;
        assert!(upstream.refs("new").await.contains(&commit));
        client.git(".", &["clone", "--quiet", "--branch", &branch[16..], &gate.url("new"), "again"]).await;
        assert_eq!(client.git("again", &["rev-parse", "HEAD"]).await, commit);
    }
}
