//! What a request's claim tells the launcher that gets the request next (invariant 10).

use bus::layout::{BOTTLES, REQUESTS};
use bus::message::record::{BottleState, ClaimState, End, RequestClaim};
use bus::message::run::{Exited, FailureKind};

use crate::support::world::{World, in_each_world};

in_each_world!(
    "current_thread":
    a_request_that_keeps_killing_its_launcher_is_given_up,
    a_second_try_that_is_handed_back_does_not_count,
    an_end_that_a_launcher_noted_and_did_not_tell_is_told_by_the_next_one,
);

/// The claim on `r1` of a launcher that died, which had this home's identity.
fn claim(world: &World, bottle: &str, attempt: u64, end: Option<End>) -> RequestClaim {
    let id = std::fs::read_to_string(world.home.path().join("launcher/id")).unwrap();
    RequestClaim {
        v: Default::default(),
        request: "r1".parse().unwrap(),
        bottle: bottle.parse().unwrap(),
        launcher: id.trim().parse().unwrap(),
        attempt,
        state: ClaimState::Claimed,
        end,
    }
}

async fn a_request_that_keeps_killing_its_launcher_is_given_up(world: World) {
    world.agent(&["true"], "");
    let launcher = world.launcher_with(|config| config.attempts = 2, launcher::world::nobody()).await;
    launcher.stop().await;
    let claim = claim(&world, "tester-00000", 2, None);
    world.as_launcher().await.bucket(&REQUESTS).create("r1", &claim).await.unwrap();
    let mut events = world.events().await;
    world.start("r1").await;
    let launcher = world.launcher_with(|config| config.attempts = 2, launcher::world::nobody()).await;
    assert_eq!(events.failed().await.kind, FailureKind::Attempts);
    launcher.stop().await;
    world.end().await;
}

async fn a_second_try_that_is_handed_back_does_not_count(world: World) {
    world.agent(&["sleep", "1000"], "");
    world.launcher().await.stop().await;
    let claims = world.as_launcher().await.bucket(&REQUESTS);
    claims.create("r1", &claim(&world, "tester-00000", 1, None)).await.unwrap();
    let mut events = world.events().await;
    world.start("r1").await;
    let launcher = world.launcher().await;
    assert_eq!(events.started().await.attempt, 2);
    launcher.stop().await;
    let claim = claims.get("r1").await.unwrap().unwrap().value;
    assert_eq!((claim.state, claim.attempt), (ClaimState::Claimed, 1));
    world.end().await;
}

async fn an_end_that_a_launcher_noted_and_did_not_tell_is_told_by_the_next_one(world: World) {
    world.agent(&["sh", "-c", "exit 5"], "");
    let launcher = world.launcher().await;
    let exited = Exited { request: "r1".parse().unwrap(), ..world.run("r0").await };
    launcher.stop().await;
    // As it is where a launcher died after the note, and another found the bottle.
    let bus = world.as_launcher().await;
    let (bottles, name) = (bus.bucket(&BOTTLES), exited.bottle.as_str());
    let mut record = bottles.get(name).await.unwrap().unwrap();
    (record.value.state, record.value.code) = (BottleState::Lost, None);
    bottles.update(name, &record.value, record.revision).await.unwrap();
    let claim = claim(&world, name, 1, Some(End::Exited(Box::new(exited.clone()))));
    bus.bucket(&REQUESTS).create("r1", &claim).await.unwrap();

    let mut events = world.events().await;
    world.start("r1").await;
    let launcher = world.launcher().await;
    assert_eq!(events.exited().await, exited);
    let record = bottles.get(name).await.unwrap().unwrap().value;
    assert_eq!((record.state, record.code), (BottleState::Exited, Some(5)), "{record:?}");
    // Only the next request makes a bottle.
    world.start("r2").await;
    assert_eq!(events.started().await.request.as_str(), "r2");
    let claim = bus.bucket(&REQUESTS).get("r1").await.unwrap().unwrap().value;
    assert_eq!((claim.state, claim.end), (ClaimState::Done, None));
    assert_eq!(events.exited().await.code, 5);
    launcher.stop().await;
    world.end().await;
}
