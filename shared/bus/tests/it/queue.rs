//! Work that exactly one consumer takes.

use std::time::Duration;

use bus::BusError;
use bus::layout::{LAUNCHERS, Layout, Queue};
use bus::message::start::StartRequest;
use bus::role::Role;

use crate::permissions::Raw;
use crate::support::{World, soon, start_request};

const WAIT: Duration = Duration::from_secs(3);

/// A queue that gives a silent taker's job out again quickly.
fn impatient() -> Layout {
    Layout { queues: vec![Queue { ack_wait: WAIT, ..LAUNCHERS }], ..Layout::default() }
}

#[tokio::test]
async fn a_dead_takers_job_goes_to_another_and_a_finished_one_to_nobody() {
    let world = World::with(&impatient()).await;
    let operator = world.role(Role::Operator).await;
    operator.publish(&start_request("r1")).await.unwrap();
    {
        let dying = world.role(Role::Launcher).await;
        let mut queue = dying.work_queue::<StartRequest>(&LAUNCHERS).await.unwrap();
        let job = soon("the job", queue.next()).await.unwrap();
        assert_eq!((job.delivery, job.message.unwrap().id.as_str()), (1, "r1"));
    }
    let launcher = world.role(Role::Launcher).await;
    let mut queue = launcher.work_queue::<StartRequest>(&LAUNCHERS).await.unwrap();
    let job = soon("the job again", queue.next()).await.unwrap();
    assert_eq!((job.delivery, job.message.as_ref().unwrap().id.as_str()), (2, "r1"));
    job.done().await.unwrap();
    operator.publish(&start_request("r2")).await.unwrap();
    let job = soon("the next job", queue.next()).await.unwrap();
    assert_eq!(job.message.as_ref().unwrap().id.as_str(), "r2");
    job.done().await.unwrap();
    assert_eq!(left(&world).await, (0, 0));
}

#[tokio::test]
async fn a_closed_queue_keeps_nothing_that_was_on_its_way() {
    // A job that is only forgotten does not come back soon: the queue waits half a minute for it.
    let world = World::start().await;
    let operator = world.role(Role::Operator).await;
    let (one, two) = (world.role(Role::Launcher).await, world.role(Role::Launcher).await);
    let admin = world.role(Role::Admin).await;
    let mut closing = one.work_queue::<StartRequest>(&LAUNCHERS).await.unwrap();
    assert!(tokio::time::timeout(Duration::from_millis(50), closing.next()).await.is_err());
    operator.publish(&start_request("r1")).await.unwrap();
    soon("the job's way there", async { while left(&world).await != (0, 1) {} }).await;
    closing.close().await.unwrap();
    assert_eq!(admin.unfinished(&LAUNCHERS).await.unwrap(), 1);
    let mut queue = two.work_queue::<StartRequest>(&LAUNCHERS).await.unwrap();
    let job = soon("the job", queue.next()).await.unwrap();
    job.done().await.unwrap();
    assert_eq!(admin.unfinished(&LAUNCHERS).await.unwrap(), 0);
}

/// How many jobs wait, and how many are in hand.
async fn left(world: &World) -> (u64, u64) {
    let admin = Raw::connect(world.server.url(), &world.keys.mint(Role::Admin, None).unwrap()).await;
    let answer = admin.client.request("$JS.API.CONSUMER.INFO.START.launchers", "".into()).await.unwrap();
    let answer: serde_json::Value = serde_json::from_slice(&answer.payload).unwrap();
    (answer["num_pending"].as_u64().unwrap(), answer["num_ack_pending"].as_u64().unwrap())
}

#[tokio::test]
async fn a_parked_job_never_comes_back() {
    let world = World::with(&impatient()).await;
    let operator = Raw::connect(world.server.url(), &world.keys.mint(Role::Operator, None).unwrap()).await;
    operator.client.request("bottle.start", "not a start request".into()).await.unwrap();
    let launcher = world.role(Role::Launcher).await;
    let mut queue = launcher.work_queue::<StartRequest>(&LAUNCHERS).await.unwrap();
    let job = soon("the job", queue.next()).await.unwrap();
    let malformed = job.message.as_ref().unwrap_err();
    assert!(malformed.reason.contains("expected"), "{malformed}");
    job.park(&malformed.reason).await.unwrap();
    let again = tokio::time::timeout(WAIT * 2, queue.next()).await;
    assert!(again.is_err(), "a parked job came back");
    assert_eq!(left(&world).await, (0, 0));
}

#[tokio::test]
async fn a_job_that_is_kept_stays_and_one_put_back_returns() {
    let world = World::with(&impatient()).await;
    let operator = world.role(Role::Operator).await;
    operator.publish(&start_request("r1")).await.unwrap();
    let (one, two) = (world.role(Role::Launcher).await, world.role(Role::Launcher).await);
    let mut mine = one.work_queue::<StartRequest>(&LAUNCHERS).await.unwrap();
    let mut theirs = two.work_queue::<StartRequest>(&LAUNCHERS).await.unwrap();
    let job = soon("the job", mine.next()).await.unwrap();
    let work = tokio::time::timeout(WAIT * 3, theirs.next());
    let stolen = job.keep(WAIT / 4, work).await;
    assert!(stolen.is_err(), "a job in hand was given to another");
    job.later(Duration::from_millis(10)).await.unwrap();
    let job = soon("the job again", theirs.next()).await.unwrap();
    assert_eq!(job.delivery, 2);
    job.done().await.unwrap();
}

#[tokio::test]
async fn a_taker_outlives_the_server_and_a_dropped_wait_loses_nothing() {
    let world = World::with(&impatient()).await;
    let (operator, launcher) = (world.role(Role::Operator).await, world.role(Role::Launcher).await);
    let mut queue = launcher.work_queue::<StartRequest>(&LAUNCHERS).await.unwrap();
    assert!(tokio::time::timeout(Duration::from_millis(50), queue.next()).await.is_err());
    operator.publish(&start_request("r1")).await.unwrap();
    let job = soon("the job of the dropped wait", queue.next()).await.unwrap();
    assert_eq!(job.delivery, 1);
    world.kill_server();
    // A killed server may have forgotten that it gave the job out. Then it says nothing to its end, and the job comes
    // again; it is never lost.
    let ended = job.done().await;
    assert!(matches!(ended, Ok(()) | Err(BusError::Deadline { .. })), "{ended:?}");
    operator.publish(&start_request("r2")).await.unwrap();
    let mut seen = Vec::new();
    while seen.last().is_none_or(|id| id != "r2") {
        let job = soon("a job after the restart", queue.next()).await.unwrap();
        seen.push(job.message.as_ref().unwrap().id.to_string());
        job.done().await.unwrap();
    }
    let again: &[&str] = if ended.is_ok() { &["r2"] } else { &["r1", "r2"] };
    assert_eq!(seen, again);
}

#[tokio::test]
async fn provisioning_twice_changes_only_what_differs() {
    let world = World::start().await;
    let admin = world.role(Role::Admin).await;
    world.role(Role::Operator).await.publish(&start_request("r1")).await.unwrap();
    bus::provision(&admin, &Layout::default()).await.unwrap();
    bus::provision(&admin, &impatient()).await.unwrap();
    let launcher = world.role(Role::Launcher).await;
    let mut queue = launcher.work_queue::<StartRequest>(&LAUNCHERS).await.unwrap();
    drop(soon("the job", queue.next()).await.unwrap());
    let job = soon("the job after the new, short wait", queue.next()).await.unwrap();
    assert_eq!(job.delivery, 2);
}
