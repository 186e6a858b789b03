//! A launcher is stopped while it launches. Needs bubblewrap, nats-server and Python.

use std::sync::Arc;

use bus::layout::{BOTTLES, REQUESTS};
use bus::message::record::BottleState;
use bus::message::run::FailureKind;
use launcher::step::Step;
use tokio::sync::Notify;

use crate::support::LIMIT;
use crate::support::world::{World, in_each_world};

const ROUTE: &str = "egress: {routes: [{host: api.example, auth: {scheme: Bearer, token_ref: UNSET}}]}";

/// Starts `r1`, and stops its launcher when that is at the sidecars.
async fn stopped_while_it_launches(world: &World) {
    let (reached, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (told, waited) = (reached.clone(), go_on.clone());
    let observer: launcher::Observer = Arc::new(move |_, step| {
        let (told, waited) = (told.clone(), waited.clone());
        Box::pin(async move {
            if step == Step::Sidecars {
                told.notify_one();
                waited.notified().await;
            }
        })
    });
    let launcher = world.launcher_with(|_| (), observer).await;
    world.start("r1").await;
    tokio::time::timeout(LIMIT, reached.notified()).await.unwrap();
    tokio::join!(launcher.stop(), async { go_on.notify_one() });
    assert!(world.left().is_empty(), "{:?}", world.left());
}

async fn states(world: &World) -> Vec<BottleState> {
    let bottles = world.operator.bucket(&BOTTLES);
    let mut states = Vec::new();
    for key in bottles.keys().await.unwrap() {
        states.push(bottles.get(&key).await.unwrap().unwrap().value.state);
    }
    states
}

in_each_world!(
    "current_thread":
    a_program_that_has_not_started_does_not_start_and_the_next_launcher_runs_it,
    what_fails_while_its_launcher_stops_is_told_by_the_next_one,
);

async fn a_program_that_has_not_started_does_not_start_and_the_next_launcher_runs_it(world: World) {
    world.agent(&["true"], "");
    let mut events = world.events().await;
    stopped_while_it_launches(&world).await;
    assert_eq!(states(&world).await, [BottleState::Lost]);
    assert!(world.operator.bucket(&REQUESTS).get("r1").await.unwrap().is_none(), "the try counts");

    let launcher = world.launcher().await;
    let started = events.started().await;
    let exited = events.exited().await;
    assert_eq!((started.attempt, &started.bottle, exited.code), (1, &exited.bottle, 0));
    launcher.stop().await;
    world.end().await;
}

async fn what_fails_while_its_launcher_stops_is_told_by_the_next_one(world: World) {
    world.agent(&["true"], ROUTE);
    let mut events = world.events().await;
    stopped_while_it_launches(&world).await;
    assert_eq!(states(&world).await, [BottleState::Lost]);

    let launcher = world.launcher().await;
    let failed = events.failed().await;
    assert_eq!(failed.kind, FailureKind::Secret);
    let bottle = failed.bottle.unwrap();
    let record = world.operator.bucket(&BOTTLES).get(bottle.as_str()).await.unwrap().unwrap().value;
    assert_eq!(record.state, BottleState::Failed, "{record:?}");
    launcher.stop().await;
    world.end().await;
}
