//! A supervisor that is killed at any point.

use std::process::Stdio;

use bus::message::revision::PolicyChangeReply;
use bus::role::Role;
use tokio::process::{Child, Command};

use crate::support::{self, World, add, ask, change, hosts, replace};

/// Killed after it stored a revision and before it pushed it: the next one pushes it.
#[tokio::test]
async fn a_revision_that_was_only_stored_is_pushed_by_the_next_supervisor() {
    let world = World::start().await;
    let mut sidecar = world.sidecar().await;
    world.store(1, &["a.example"]).await;
    world.store(2, &["b.example"]).await;
    let (supervisor, pushed) = tokio::join!(world.supervise(support::SOON), sidecar.runs());
    assert_eq!((pushed.revision, hosts(&pushed)), (2, vec!["b.example"]));
    supervisor.stop().await;
}

/// Killed after the sidecar refused a revision and before the old policy was restored: the next one restores it.
#[tokio::test]
async fn a_refusal_that_nobody_heard_is_dealt_with_by_the_next_supervisor() {
    let world = World::start().await;
    let mut sidecar = world.sidecar().await;
    world.store(1, &["a.example"]).await;
    world.store(2, &["b.example"]).await;
    let (supervisor, refused) = tokio::join!(world.supervise(support::SOON), sidecar.refuses(1));
    assert_eq!(refused.revision, 2);
    let back = sidecar.runs().await;
    assert_eq!((back.revision, hosts(&back)), (3, vec!["a.example"]));
    supervisor.stop().await;
}

fn process(world: &World) -> Child {
    let credentials = world.home.path().join("supervisor.creds");
    let minted = world.keys.mint(Role::Supervisor, None).unwrap();
    std::fs::write(&credentials, minted.to_file().expose()).unwrap();
    Command::new(env!("CARGO_BIN_EXE_bot-bottle-supervisor"))
        .env("NATS_URL", world.server.url())
        .env("BOT_BOTTLE_CREDENTIALS", credentials)
        .env("BOT_BOTTLE_HOME", world.home.path())
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

/// The program itself, killed without warning between two changes; numbers go on where they were.
#[tokio::test]
async fn a_killed_process_leaves_everything_in_the_bucket() {
    let world = World::start().await;
    let operator = world.role(Role::Operator).await;
    let mut sidecar = world.sidecar().await;
    let first = change(0, replace(&["a.example"]));
    let mut supervisor = process(&world);
    let reply = async {
        // It answers once it has started.
        loop {
            match operator.request(&first, support::SOON).await {
                Err(bus::BusError::NoResponders { .. }) => tokio::task::yield_now().await,
                reply => break reply.unwrap(),
            }
        }
    };
    let (reply, pushed) = support::soon("the first", async { tokio::join!(reply, sidecar.runs()) }).await;
    assert_eq!((reply, pushed.revision), (PolicyChangeReply::Running { revision: 1 }, 1));
    supervisor.kill().await.unwrap();

    let mut supervisor = process(&world);
    let pushed = sidecar.runs().await;
    assert_eq!((pushed.revision, hosts(&pushed)), (1, vec!["a.example"]));
    let second = change(1, add("b.example"));
    let (reply, _) = tokio::join!(ask(&operator, &second), sidecar.runs_at_least(2));
    assert_eq!(reply, PolicyChangeReply::Running { revision: 2 });
    assert_eq!(world.stored().await, (2, vec!["a.example".to_owned(), "b.example".to_owned()]));

    let pid =
        supervisor.id().and_then(|pid| i32::try_from(pid).ok()).and_then(rustix::process::Pid::from_raw);
    rustix::process::kill_process(pid.unwrap(), rustix::process::Signal::TERM).unwrap();
    let ended = support::soon("the end", supervisor.wait()).await.unwrap();
    assert!(ended.success(), "{ended}");
}
