//! Storing once, and losing nothing.

use bus::layout;
use bus::message::event::Event;
use bus::role::Role;
use bus::{BusError, Since};

use crate::support::{World, blocked, slug, start_request};

#[tokio::test]
async fn a_second_publication_with_the_same_key_is_the_first_one() {
    let world = World::start().await;
    let operator = world.role(Role::Operator).await;
    let first = operator.publish(&start_request("r1")).await.unwrap();
    let second = operator.publish(&start_request("r1")).await.unwrap();
    assert!(!first.duplicate && second.duplicate);
    assert_eq!((first.stream.as_str(), first.sequence), (layout::START, second.sequence));
}

#[tokio::test]
async fn a_refused_publication_fails_at_once() {
    let world = World::start().await;
    let bottle = world.bottle(&slug("me-00000")).await;
    let begun = std::time::Instant::now();
    let error = bottle.publish(&start_request("r1")).await.unwrap_err();
    assert!(matches!(error, BusError::Denied(_)), "{error}");
    assert!(begun.elapsed() < bottle_patience(), "it waited for its deadline");
    let message = error.to_string();
    assert!(
        message.starts_with("me-00000 may not publish on bottle.start: docs/bus/permissions.md"),
        "{message}"
    );
}

fn bottle_patience() -> std::time::Duration {
    std::time::Duration::from_secs(8)
}

/// Killed without warning, several times, while messages are published: whatever was confirmed is there, once.
#[tokio::test]
async fn a_killed_server_loses_nothing_that_it_acknowledged() {
    const MESSAGES: u64 = 60;
    let world = World::start().await;
    let me = slug("me-00000");
    let bottle = world.bottle(&me).await;
    let operator = world.role(Role::Operator).await;
    for n in 0..MESSAGES {
        if n % 20 == 10 {
            world.kill_server();
        }
        let stored = bottle.publish(&blocked(&me, &format!("x{n}"))).await.unwrap();
        assert_eq!(stored.stream, layout::EVENTS);
    }
    let mut events = operator.follow::<Event>(layout::EVENTS, "egress.blocked.*", Since::All).await.unwrap();
    for n in 0..MESSAGES {
        let record = events.stored().await.unwrap().expect("an acknowledged message is missing");
        let Ok(Event::Blocked(event)) = record.message else { panic!("{record:?}") };
        assert_eq!(event.id.as_str(), format!("x{n}"));
    }
    assert!(events.stored().await.unwrap().is_none(), "a message was stored twice");
}
