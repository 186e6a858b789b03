//! Every hiding place once more: pushed by a real client, through the whole gate, to a real upstream, which has nothing of it
//! afterwards (G4).

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use base::clock::Clock;
use base::lifecycle::{Ending, Lifecycle};
use bus::keys::Keys;
use bus::layout::Layout;
use bus::role::Role;
use bus::server::{Options as ServerOptions, Server};
use bus::{Bus, Connect};
use gitgate::Config;
use handover::gitgate::GateLimits;
use handover::sidecar::Uplink;
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::sync::watch;

use crate::hiding::every_place;
use crate::ssh::Sshd;
use crate::world::{BOTTLE, Options, REPO, World, token, tool};

/// A gate between the author of a world and its other repository, which is upstream here.
struct Way {
    url: String,
    life: Lifecycle,
    server: Server,
    _sshd: Sshd,
    _folders: [tempfile::TempDir; 2],
}

impl Way {
    async fn open(world: &World) -> Self {
        let (home, spool) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let keys = Keys::init(home.path()).unwrap();
        let options = ServerOptions { binary: Some(tool("nats-server")), ..ServerOptions::new(home.path()) };
        let server = Server::start(options).await.unwrap();
        let connect = |credentials| Bus::connect(Connect::new(server.url(), credentials));
        let admin = connect(keys.mint(Role::Admin, None).unwrap()).await.unwrap();
        bus::provision(&admin, &Layout::default()).await.unwrap();
        let bottle = keys.mint_bottle(&BOTTLE.parse().unwrap(), Duration::from_secs(3600)).unwrap();
        let bus = watch::channel(Some(connect(bottle).await.unwrap())).1;
        let sshd = Sshd::start().await;
        let life = Lifecycle::new();
        let config = Config {
            bottle: BOTTLE.parse().unwrap(),
            repos: [(REPO.to_owned(), sshd.repo(&world.path("mirror")))].into(),
            uplink: Uplink::default(),
            spool: spool.path().to_owned(),
            git: "/usr/bin/git".into(),
            ssh: Some("/usr/bin/ssh".into()),
            helper: PathBuf::from(env!("CARGO_BIN_EXE_bot-bottle-gitgate")),
            limits: GateLimits::default(),
        };
        let judge = Arc::new(world.judge(Options::default()));
        let gate = gitgate::build(config, judge, bus, Clock::System, &life).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://127.0.0.1:{}/{REPO}", listener.local_addr().unwrap().port());
        gate.run(vec![listener]);
        Self { url, life, server, _sshd: sshd, _folders: [home, spool] }
    }

    /// Pushes one object of the author's; whether it was taken, and what the client said.
    async fn push(&self, world: &World, tip: &str, name: &str) -> (bool, String) {
        self.push_with(world, &[], tip, name).await
    }

    /// The same with push options.
    async fn push_with(&self, world: &World, options: &[&str], tip: &str, name: &str) -> (bool, String) {
        let mut command = Command::new("git");
        command
            .arg("push")
            .args(options.iter().flat_map(|option| ["-o", option]))
            .args([&self.url, &format!("{tip}:{name}")])
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", world.path("empty"))
            .env("GIT_DIR", world.path("author"))
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let done = tokio::time::timeout(Duration::from_secs(60), command.output()).await;
        let done = done.expect("the push ends in time").unwrap();
        (done.status.success(), String::from_utf8_lossy(&done.stderr).into_owned())
    }

    async fn close(self) {
        self.life.stop();
        assert_eq!(self.life.run(Duration::from_secs(30)).await, Ending::Clean);
        self.server.stop().await;
    }
}

/// Every object and every ref that upstream has.
fn upstream(world: &World) -> String {
    let objects = ["cat-file", "--batch-all-objects", "--batch-check=%(objectname)"];
    world.git("mirror", &objects, b"") + &world.git("mirror", &["for-each-ref"], b"")
}

#[tokio::test]
async fn nothing_of_any_hiding_place_reaches_upstream() {
    let mut world = World::new();
    let way = Way::open(&world).await;
    let before = upstream(&world);
    let (mut found, mut malformed) = (0, 0);
    for (number, (name, hide)) in every_place().enumerate() {
        let Some((space, tip)) = hide(&mut world, &token(9000 + number as u64)).tip else {
            // No client sends what no ref reaches.
            continue;
        };
        let (taken, said) = way.push(&world, &tip, &format!("{space}case-{number}")).await;
        assert!(!taken, "{name}: {said}");
        assert!(!said.contains(&token(9000 + number as u64)), "{name}: {said}");
        assert_eq!(upstream(&world), before, "{name}");
        if said.contains("what looks like") { found += 1 } else { malformed += 1 }
    }
    // What is in no object, and what tools are told to pass over.
    let (secret, clean) = (token(9900), world.file("x.txt", b"x\n"));
    let excused = world.file("x.txt", format!("{secret} # gitleaks:allow\n").as_bytes());
    let attributes = world.blob(b"* binary -diff -text\n");
    let text = world.blob(secret.as_bytes());
    let tree =
        world.tree(&[("100644", ".gitattributes", attributes.as_str()), ("100644", "x", text.as_str())]);
    let main = world.main();
    let hidden = world.commit(&tree, &[&main], "work\n");
    let (branch, tag) = (format!("refs/heads/a/{secret}"), format!("refs/tags/{secret}"));
    for (options, tip, name) in [
        (vec![], &clean, branch.as_str()),
        (vec![], &clean, &tag),
        (vec![secret.as_str()], &clean, "refs/heads/a"),
        (vec![&secret[..20], &secret[20..]], &clean, "refs/heads/a"),
        (vec![], &excused, "refs/heads/a"),
        (vec![], &hidden, "refs/heads/a"),
    ] {
        let (taken, said) = way.push_with(&world, &options, tip, name).await;
        assert!(!taken && said.contains("remote:"), "{options:?} {name}: {said}");
        assert_eq!(upstream(&world), before, "{options:?} {name}");
    }
    // The others are objects that no git takes, which are refused before anybody looks for a secret.
    assert!(found >= 55, "{found} were found, {malformed} refused otherwise");
    let clean = world.file("clean.txt", b"nothing\n");
    let (taken, said) = way.push(&world, &clean, "refs/heads/agent/clean").await;
    assert!(taken && upstream(&world).contains(&clean), "{said}");
    way.close().await;
}
