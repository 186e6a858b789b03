//! Reading streams.

use bus::layout;
use bus::message::event::Event;
use bus::message::run::Failed;
use bus::role::Role;
use bus::{Follow, Since};

use crate::examples::failed;
use crate::support::{World, soon};

async fn next(follow: &mut Follow<Event>) -> (u64, String) {
    let record = soon("an event", follow.next()).await.unwrap();
    let Ok(Event::Failed(Failed { request, .. })) = record.message else { panic!("{record:?}") };
    (record.sequence, request.to_string())
}

#[tokio::test]
async fn each_start_gives_what_it_says() {
    let world = World::start().await;
    let (launcher, operator) = (world.role(Role::Launcher).await, world.role(Role::Operator).await);
    let mut all = operator.follow::<Event>(layout::EVENTS, ">", Since::All).await.unwrap();
    assert!(all.stored().await.unwrap().is_none());
    launcher.publish(&failed("r1")).await.unwrap();
    launcher.publish(&failed("r2")).await.unwrap();
    let (sequence, first) = next(&mut all).await;
    assert_eq!((sequence, first.as_str()), (1, "r1"));
    let second = soon("an event", all.next()).await.unwrap();

    let mut now = operator.follow::<Event>(layout::EVENTS, ">", Since::Now).await.unwrap();
    let mut after = operator.follow::<Event>(layout::EVENTS, ">", Since::Sequence(1)).await.unwrap();
    let mut time = operator.follow::<Event>(layout::EVENTS, ">", Since::Time(second.at)).await.unwrap();
    let mut one = operator.follow::<Event>(layout::EVENTS, "bottle.failed.r3", Since::All).await.unwrap();
    assert_eq!(next(&mut after).await.1, "r2");
    assert_eq!(next(&mut time).await.1, "r2");
    let publish = async { launcher.publish(&failed("r3")).await.unwrap() };
    let read = async { tokio::join!(next(&mut now), next(&mut one), next(&mut after)) };
    let (three, _) = tokio::join!(read, publish);
    assert_eq!([three.0.1, three.1.1, three.2.1], ["r3", "r3", "r3"]);
}

#[tokio::test]
async fn a_reader_goes_on_where_it_was_when_the_server_is_killed() {
    const EVENTS: u64 = 700;
    let world = World::start().await;
    let (launcher, operator) = (world.role(Role::Launcher).await, world.role(Role::Operator).await);
    let mut follow = operator.follow::<Event>(layout::EVENTS, "bottle.failed.*", Since::All).await.unwrap();
    let publish = async {
        for n in 1..=EVENTS {
            if n == EVENTS / 2 {
                world.kill_server();
            }
            launcher.publish(&failed(&format!("r{n}"))).await.unwrap();
        }
    };
    let read = async {
        for n in 1..=EVENTS {
            assert_eq!(next(&mut follow).await, (n, format!("r{n}")));
        }
    };
    tokio::join!(publish, read);
}

#[tokio::test]
async fn a_stream_that_one_may_not_read_is_an_error() {
    let world = World::start().await;
    let launcher = world.role(Role::Launcher).await;
    let refused = match launcher.follow::<Event>(layout::EVENTS, ">", Since::All).await {
        Ok(mut follow) => soon("the refusal", follow.next()).await.err(),
        Err(error) => Some(error),
    };
    assert!(matches!(refused, Some(bus::BusError::Denied(_))), "{refused:?}");
}
