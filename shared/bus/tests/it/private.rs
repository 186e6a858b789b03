//! The private server as a process.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use bus::keys::{BottleMinter, Keys, KeysError};
use bus::role::Role;
use bus::server::{Options, Server, ServerError, find};
use bus::{Bus, Connect};
use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::support::{World, options, slug, soon};

#[tokio::test]
async fn it_is_found_while_it_runs_refused_twice_and_gone_after_stop() {
    let world = World::start().await;
    let home = world.home.path();
    let running = find(home).unwrap().unwrap();
    assert_eq!((running.url.as_str(), Some(running.pid)), (world.server.url(), world.server.pid()));
    assert!(running.url.starts_with("nats://127.0.0.1:"));
    let second = Server::start(options(home)).await.err().unwrap();
    assert!(matches!(second, ServerError::InUse { .. }), "{second}");
    let pid = running.pid;
    world.server.stop().await;
    assert_eq!(find(home).unwrap(), None);
    assert!(!Path::new(&format!("/proc/{pid}")).exists());
}

/// Otherwise Ctrl-C would end it together with, and so before, those who still need it.
#[tokio::test]
async fn it_is_no_member_of_its_owners_process_group() {
    let world = World::start().await;
    let pid = world.server.pid().and_then(|pid| rustix::process::Pid::from_raw(pid.cast_signed()));
    assert_eq!(rustix::process::getpgid(pid).ok(), pid);
}

#[tokio::test]
async fn what_it_writes_is_for_its_owner_only() {
    let world = World::start().await;
    let mut open = Vec::new();
    let mut dirs = vec![world.home.path().join("bus")];
    while let Some(dir) = dirs.pop() {
        let mode = dir.metadata().unwrap().permissions().mode();
        // The store's own files are made by the server; nobody else can reach them through this directory.
        if mode & 0o077 != 0 {
            open.push(dir.clone());
        }
        for entry in std::fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.ends_with("store") {
                dirs.push(path);
            } else if path.extension().is_some_and(|e| e == "nk" || e == "conf" || e == "json")
                && path.metadata().unwrap().permissions().mode() & 0o077 != 0
            {
                open.push(path);
            }
        }
    }
    assert_eq!(open, Vec::<std::path::PathBuf>::new());
}

#[tokio::test]
async fn keys_stay_the_same_and_a_launcher_needs_only_one() {
    let home = tempfile::tempdir().unwrap();
    assert!(matches!(Keys::load(home.path()), Err(KeysError::Missing { .. })));
    Keys::init(home.path()).unwrap();
    let dir = home.path().join("bus/keys");
    let before = std::fs::read(dir.join("operator.nk")).unwrap();
    let keys = Keys::init(home.path()).unwrap();
    assert_eq!(std::fs::read(dir.join("operator.nk")).unwrap(), before);
    let server = Server::start(options(home.path())).await.unwrap();
    bus::provision(
        &Bus::connect(Connect::new(server.url(), keys.mint(Role::Admin, None).unwrap())).await.unwrap(),
        &bus::layout::Layout::default(),
    )
    .await
    .unwrap();
    for name in
        ["operator", "system", "host", "role-admin", "role-supervisor", "role-launcher", "role-operator"]
    {
        std::fs::remove_file(dir.join(format!("{name}.nk"))).unwrap();
    }
    let minter = BottleMinter::load(home.path()).unwrap();
    let minted = minter.mint(&slug("me-00000"), std::time::Duration::from_secs(60)).unwrap();
    assert_eq!(minted.name(), "me-00000");
    Bus::connect(Connect::new(server.url(), minted)).await.unwrap();
    std::fs::set_permissions(dir.join("role-bottle.nk"), std::fs::Permissions::from_mode(0o640)).unwrap();
    let error = base::error::chain(&BottleMinter::load(home.path()).err().unwrap());
    assert!(error.contains("others may read it: chmod 600"), "{error}");
}

#[tokio::test]
async fn a_server_that_keeps_dying_is_given_up() {
    let world = World::start().await;
    for _ in 0..=bus::server::RESTARTS {
        let pid = soon("a process", async {
            loop {
                if let Some(pid) = world.server.pid() {
                    break pid;
                }
                tokio::task::yield_now().await;
            }
        })
        .await;
        world.kill_server();
        soon("its death", async {
            while world.server.pid() == Some(pid) {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
    let reason = soon("giving up", world.server.lost()).await;
    assert_eq!(reason, "nats-server died 6 times within 60s");
    assert_eq!(find(world.home.path()).unwrap(), None);
}

#[tokio::test]
async fn a_server_that_does_not_come_up_says_why() {
    let home = tempfile::tempdir().unwrap();
    Keys::init(home.path()).unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let options = Options { port: Some(port), ..options(home.path()) };
    let error = soon("the failure", Server::start(options)).await.err().unwrap().to_string();
    assert!(error.contains("address already in use"), "{error}");
    assert_eq!(find(home.path()).unwrap(), None);
}

/// The configuration for clusters is one that the server accepts; certificates are left out.
#[tokio::test]
async fn the_cluster_configuration_is_valid() {
    let home = tempfile::tempdir().unwrap();
    Keys::init(home.path()).unwrap();
    let dir = home.path().join("bus");
    let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/nats");
    std::fs::copy(deploy.join("cluster.conf"), dir.join("cluster.conf")).unwrap();
    for name in ["tls.conf", "tls-cluster.conf"] {
        assert!(deploy.join(name).exists());
        std::fs::write(dir.join(name), "").unwrap();
    }
    let checked = tokio::process::Command::new(crate::support::binary())
        .args(["-t", "-c"])
        .arg(dir.join("cluster.conf"))
        .env("NODE_NAME", "nats-1")
        .output()
        .await
        .unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
}

/// The owner is this very test program, run again as a process of its own and killed without warning.
#[tokio::test]
async fn a_killed_owner_takes_the_server_with_it_and_the_next_one_starts() {
    const OWNED: &str = "BOT_BOTTLE_TEST_OWNED_HOME";
    const READY: &str = "it runs\n";
    if let Some(home) = std::env::var_os(OWNED) {
        let _server = Server::start(options(Path::new(&home))).await.unwrap();
        // What goes through `println!` is captured.
        std::io::stdout().write_all(READY.as_bytes()).unwrap();
        std::future::pending::<()>().await;
    }
    let home = tempfile::tempdir().unwrap();
    Keys::init(home.path()).unwrap();
    let mut owner = tokio::process::Command::new("/proc/self/exe")
        .args(["--exact", "private::a_killed_owner_takes_the_server_with_it_and_the_next_one_starts"])
        .env(OWNED, home.path())
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(owner.stdout.take().unwrap()).lines();
    soon("the server", async {
        while !lines.next_line().await.unwrap().expect("the owner ended").ends_with(READY.trim_end()) {}
    })
    .await;
    let running = find(home.path()).unwrap().unwrap();
    assert_eq!(Some(running.owner), owner.id());
    owner.kill().await.unwrap();
    let next = soon("the next server", Server::start(options(home.path()))).await.unwrap();
    assert_ne!(next.pid(), Some(running.pid));
    // A process that nobody has waited for yet has no command line any more.
    let former = std::fs::read(format!("/proc/{}/cmdline", running.pid)).unwrap_or_default();
    assert!(former.is_empty(), "the former server must be gone");
    next.stop().await;
}

#[tokio::test]
async fn a_missing_or_wrong_program_is_named_with_its_cure() {
    let home = tempfile::tempdir().unwrap();
    Keys::init(home.path()).unwrap();
    let missing = Options { binary: Some("/nowhere/nats-server".into()), ..Options::new(home.path()) };
    assert_eq!(
        Server::start(missing).await.err().unwrap().to_string(),
        "nats-server is not installed (looked in /nowhere/nats-server): run `deploy/tools/fetch`, or name it in BOT_BOTTLE_NATS_SERVER"
    );
    let program = home.path().join("old");
    // Written by another process: one that this one forks meanwhile would have it open for writing, and then it cannot be run.
    let write = "printf '#!/bin/sh\\necho nats-server: v2.10.22\\n' > \"$0\" && chmod 700 \"$0\"";
    assert!(std::process::Command::new("sh").args(["-c", write]).arg(&program).status().unwrap().success());
    let old = Options { binary: Some(program.clone()), ..Options::new(home.path()) };
    assert_eq!(
        Server::start(old).await.err().unwrap().to_string(),
        format!(
            "{} says \"2.10.22\": nats-server 2.11.0 or newer is needed; run `deploy/tools/fetch`",
            program.display()
        )
    );
}
