//! How upstream is reached, and what an agent is told when it is not.

use handover::gitgate::GateLimits;
use handover::sidecar::Uplink;

use crate::client::{Client, git};
use crate::https::Https;
use crate::ssh::{Sshd, key};
use crate::upstream::Upstream;
use crate::world::{Host, Running, World};

/// A gate in front of something else than usual.
async fn gate(
    host: &Host,
    repo: gitgate::config::RepoConfig,
    spool: &tempfile::TempDir,
    uplink: Uplink,
) -> Running {
    let mut gate = Running::start(host, [("tools", repo)], spool.path(), GateLimits::default(), uplink).await;
    gate.is_connected().await;
    gate
}

/// Clones and pushes a commit.
async fn works(gate: &Running, upstream: &Upstream, name: &str) {
    let client = Client::new(&git());
    client.git(".", &["clone", "--quiet", &gate.url("tools"), "work"]).await;
    let commit = client.commit("work", name, "more\n").await;
    client.git("work", &["push", "--quiet", "origin", &format!("HEAD:refs/heads/{name}")]).await;
    assert!(upstream.refs("tools").await.contains(&format!("{commit} refs/heads/{name}")));
}

/// Neither clone nor push work, and both say why.
async fn is_refused(gate: &Running, why: &str) {
    let client = Client::new(&git());
    client.git(".", &["init", "--quiet", "work"]).await;
    client.commit("work", "one", "one\n").await;
    let url = gate.url("tools");
    for call in [&["fetch", &url][..], &["push", &url, "HEAD:refs/heads/x"]] {
        let said = client.refused("work", call).await;
        assert!(
            said.contains("fatal: remote error: upstream did not answer") && said.contains(why),
            "{said}"
        );
    }
}

#[tokio::test]
async fn keys_of_every_usual_kind_log_in() {
    let (host, upstream) = tokio::join!(Host::new(), Upstream::new());
    for kind in ["rsa", "ecdsa", "ed25519"] {
        let sshd = Sshd::with_kind(kind).await;
        let spool = tempfile::tempdir().unwrap();
        let gate = gate(&host, sshd.repo(&upstream.path("tools")), &spool, Uplink::default()).await;
        works(&gate, &upstream, kind).await;
    }
}

#[tokio::test]
async fn a_server_with_another_host_key_is_not_talked_to() {
    let (host, upstream, sshd) = tokio::join!(Host::new(), Upstream::new(), Sshd::start());
    let spool = tempfile::tempdir().unwrap();
    let other = key().public_key().to_openssh().unwrap();
    assert_ne!(other, sshd.host_key());
    let repo = sshd.repo_with(&upstream.path("tools"), &other, sshd.key());
    let before = upstream.refs("tools").await;
    is_refused(&gate(&host, repo, &spool, Uplink::default()).await, "Host key verification failed").await;
    assert_eq!(upstream.refs("tools").await, before);
}

#[tokio::test]
async fn a_key_that_upstream_does_not_know_is_refused() {
    let (host, upstream, sshd) = tokio::join!(Host::new(), Upstream::new(), Sshd::start());
    let spool = tempfile::tempdir().unwrap();
    let own = key().to_openssh(ssh_key::LineEnding::LF).unwrap().to_string();
    let repo = sshd.repo_with(&upstream.path("tools"), sshd.host_key(), &own);
    is_refused(&gate(&host, repo, &spool, Uplink::default()).await, "Permission denied (publickey)").await;
}

#[tokio::test]
async fn an_upstream_that_is_gone_is_not_replaced_by_what_it_was() {
    let mut world = World::new().await;
    let client = Client::new(&git());
    client.git(".", &["clone", "--quiet", &world.url("tools"), "work"]).await;
    client.commit("work", "more", "more\n").await;
    world.sshd.go_away().await;
    for call in [&["fetch"][..], &["push", "origin", "HEAD:refs/heads/x"], &["ls-remote"]] {
        let said = client.refused("work", call).await;
        assert!(said.contains("upstream did not answer, so nothing of tools is shown or taken"), "{said}");
    }
    assert_eq!(world.gate.bench.count(), 0);
}

#[tokio::test]
async fn https_with_a_token_that_is_in_no_file_and_no_argument() {
    let (host, upstream) = tokio::join!(Host::new(), Upstream::new());
    let server = Https::start(upstream.path("tools").parent().unwrap()).await;
    let spool = tempfile::tempdir().unwrap();
    let uplink = Uplink { authorities: Some(server.authority()), ..Uplink::default() };
    let gate = gate(&host, server.repo("tools"), &spool, uplink).await;
    works(&gate, &upstream, "by-https").await;
    assert!(server.users.lock().unwrap().iter().all(|user| user == "oauth2"));
    let mut folders = vec![spool.path().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            } else {
                let text = String::from_utf8_lossy(&std::fs::read(entry.path()).unwrap()).into_owned();
                assert!(!text.contains(server.token()), "{}", entry.path().display());
            }
        }
    }
}

#[tokio::test]
async fn https_upstreams_that_are_not_trusted_or_do_not_trust() {
    let (host, upstream) = tokio::join!(Host::new(), Upstream::new());
    let server = Https::start(upstream.path("tools").parent().unwrap()).await;
    let spool = tempfile::tempdir().unwrap();
    // An authority that nobody has named.
    is_refused(&gate(&host, server.repo("tools"), &spool, Uplink::default()).await, "certificate").await;
    // A token that is not the right one.
    let spool = tempfile::tempdir().unwrap();
    let uplink = Uplink { authorities: Some(server.authority()), ..Uplink::default() };
    let wrong = ["wr", "ong"].concat();
    is_refused(
        &gate(&host, server.repo_with("tools", &wrong), &spool, uplink).await,
        "Authentication failed",
    )
    .await;
}

#[tokio::test]
async fn a_repository_that_the_bottle_does_not_have_is_named_in_the_answer() {
    let world = World::new().await;
    let client = Client::new(&git());
    let said = client.refused(".", &["clone", &world.url("other"), "x"]).await;
    assert!(said.contains("remote: this bottle has no repository other; it has: empty, tools"), "{said}");
    // A client without the smart protocol.
    let mut dumb = client.command(".", &["clone", &world.url("tools"), "x"]);
    let said = crate::client::Said::of({
        dumb.env("GIT_SMART_HTTP", "0");
        dumb
    })
    .await;
    assert!(
        !said.is_well && said.err.contains("remote: the git gate speaks git's smart HTTP only"),
        "{}",
        said.err
    );
}

#[tokio::test]
async fn a_gate_that_is_started_again_goes_on_with_its_mirrors() {
    let World { host, upstream, sshd, spool, gate: first } = World::new().await;
    works(&first, &upstream, "before").await;
    assert_eq!(first.stop().await, base::lifecycle::Ending::Clean);
    // What was killed in the middle leaves such things.
    let mirror = spool.path().join("mirrors/tools/git");
    std::fs::write(mirror.join("packed-refs.lock"), "").unwrap();
    std::fs::create_dir_all(mirror.join("refs/heads")).unwrap();
    std::fs::write(mirror.join("refs/heads/main.lock"), "").unwrap();
    std::fs::create_dir_all(spool.path().join("quarantine/push.left")).unwrap();
    upstream.moves("meanwhile").await;
    let again = gate(&host, sshd.repo(&upstream.path("tools")), &spool, Uplink::default()).await;
    assert_eq!(std::fs::read_dir(spool.path().join("quarantine")).unwrap().count(), 0);
    works(&again, &upstream, "after").await;
}
