//! Whatever is published on `bottle.start` is answered once, and never comes back.

use bus::keys::Keys;
use bus::message::event::Event;
use bus::message::run::FailureKind;
use bus::message::{Message, Version};
use bus::role::Role;
use bus::{Bus, Connect, Since, layout};
use harness::{Backend, World, on_each_backend, soon};
use policy::EgressPolicy;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A start request with a field that none has: a definition smuggled into a message.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Odd {
    v: Version<1>,
    id: String,
    agent: String,
    egress: EgressPolicy,
}

impl Message for Odd {
    const PATTERN: &'static str = "bottle.start";

    fn subject(&self) -> String {
        Self::PATTERN.to_owned()
    }
}

async fn operator(world: &World) -> Bus {
    let server = bus::server::find(world.home.path()).unwrap().unwrap();
    let credentials = Keys::load(world.home.path()).unwrap().mint(Role::Operator, None).unwrap();
    Bus::connect(Connect::new(server.url, credentials)).await.unwrap()
}

on_each_backend!(a_message_with_a_definition_in_it_is_parked);

async fn a_message_with_a_definition_in_it_is_parked(on: Backend) {
    let world = World::up_on(on).await;
    world.home.write("quiet", &["true"], &EgressPolicy::default());
    let bus = operator(&world).await;
    let mut events = bus.follow::<Event>(layout::EVENTS, "bottle.>", Since::Now).await.unwrap();
    let odd = Odd { v: Version, id: "odd-1".into(), agent: "quiet".into(), egress: EgressPolicy::default() };
    bus.publish(&odd).await.unwrap();
    let failed = soon("its failure", events.next()).await.unwrap();
    let Ok(Event::Failed(failed)) = failed.message else { panic!("{failed:?}") };
    assert_eq!(failed.kind, FailureKind::Malformed);
    assert!(failed.reason.contains("egress"), "{}", failed.reason);

    // A launcher that comes later finds nothing to do: the message is gone for good.
    world.run(&["start", "quiet", "--yes"]).await.expect_code(0);
    let failures = world.run(&["events", "--no-follow"]).await.out.matches("bottle.failed").count();
    assert_eq!(failures, 1);
    world.down().await;
}
