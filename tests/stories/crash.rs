//! The services are killed in the middle of a run (invariant 10).

use harness::{Backend, World, all_ended, marked, on_each_backend, soon};
use policy::EgressPolicy;
use tokio::io::{AsyncBufReadExt as _, BufReader};

on_each_backend!(a_kill_leaves_nothing_that_cleanup_does_not_remove);

async fn a_kill_leaves_nothing_that_cleanup_does_not_remove(on: Backend) {
    let mut world = World::up_on(on).await;
    world.home.write("sleeper", &["sh", "-c", "echo up; exec sleep 600"], &EgressPolicy::default());
    let mut start = world.home.command(&["start", "sleeper", "--yes"]).spawn().unwrap();
    let mut words = BufReader::new(start.stdout.take().unwrap()).lines();
    assert_eq!(soon("its first word", words.next_line()).await.unwrap().as_deref(), Some("up"));
    assert!(!marked(&world.home.marker).is_empty(), "the search for processes finds none that run");
    start.start_kill().unwrap();
    soon("the watcher's end", start.wait()).await.unwrap();

    world.kill().await;
    all_ended(&world.home.marker).await;
    assert_eq!(world.home.path().join("state").read_dir().unwrap().count(), 1);
    world.run(&["cleanup"]).await.expect_code(0).expect_out("removed sleeper-");
    assert_eq!(world.home.path().join("state").read_dir().unwrap().count(), 0);
    world.run(&["cleanup"]).await.expect_code(0).expect_out("nothing was left");
}
