//! How long the registry remembers a bottle. Needs bubblewrap, nats-server and Python.

use base::id::Slug;
use bus::layout::BOTTLES;
use bus::message::record::{BottleRecord, BottleState};
use bus::message::run::StateKept;
use bus::message::start::StopRequest;
use launcher::state::StateRoot;

use crate::support::LIMIT;
use crate::support::world::{World, in_each_world};

/// Its state, and whether the registry forgets it by itself.
async fn remembered(world: &World, bottle: &Slug) -> (BottleState, bool) {
    let found = world.operator.bucket(&BOTTLES).get(bottle.as_str()).await.unwrap().unwrap();
    (found.value.state, found.expires)
}

in_each_world!(
    "current_thread":
    a_bottle_is_listed_as_long_as_its_state_is_kept,
    what_others_note_of_a_bottle_that_runs_stays,
);

async fn a_bottle_is_listed_as_long_as_its_state_is_kept(world: World) {
    let launcher = world.launcher().await;
    let mut events = world.events().await;
    world.agent(&["true"], "");
    let removed = world.run("r1").await;
    world.agent(&["false"], "");
    let kept = world.run("r2").await;
    assert_eq!((removed.state, kept.state), (StateKept::Removed, StateKept::Kept));
    world.agent(&["no-such-program"], "");
    world.start("r3").await;
    let failed = events.failed().await.bottle.unwrap();
    launcher.stop().await;
    assert_eq!(remembered(&world, &removed.bottle).await, (BottleState::Exited, true));
    assert_eq!(remembered(&world, &failed).await, (BottleState::Failed, true));

    // Two more: of this launcher, killed while its bottle ran; and of another, whose state is not here.
    let bus = world.as_launcher().await;
    let bottles = bus.bucket(&BOTTLES);
    let record = bottles.get(kept.bottle.as_str()).await.unwrap().unwrap().value;
    let mut running =
        BottleRecord { bottle: "lost-00000".parse().unwrap(), state: BottleState::Running, ..record };
    bottles.create("lost-00000", &running).await.unwrap();
    running.launcher = "another".parse().unwrap();
    bottles.create("other-00000", &running).await.unwrap();
    for _ in 0..2 {
        world.launcher().await.stop().await;
        assert_eq!(remembered(&world, &kept.bottle).await, (BottleState::Exited, false));
        assert_eq!(remembered(&world, &"lost-00000".parse().unwrap()).await, (BottleState::Lost, true));
        assert_eq!(remembered(&world, &"other-00000".parse().unwrap()).await, (BottleState::Running, false));
    }
    StateRoot::below(world.home.path()).of(&kept.bottle).remove().await.unwrap();
    world.launcher().await.stop().await;
    assert_eq!(remembered(&world, &kept.bottle).await, (BottleState::Exited, true));
    world.end().await;
}

async fn what_others_note_of_a_bottle_that_runs_stays(world: World) {
    world.agent(&["sleep", "1000"], "");
    let launcher = world.launcher().await;
    let mut events = world.events().await;
    world.start("r1").await;
    let bottle = events.started().await.bottle;
    let bus = world.as_launcher().await;
    let bottles = bus.bucket(&BOTTLES);
    // As whoever delivers what a sidecar had recorded.
    let mut record = bottles.get(bottle.as_str()).await.unwrap().unwrap();
    assert_eq!(record.value.state, BottleState::Running);
    record.value.note = Some("a word of somebody else".to_owned());
    bottles.update(bottle.as_str(), &record.value, record.revision).await.unwrap();
    let stop = StopRequest { v: Default::default(), bottle: bottle.clone(), grace_ms: None };
    world.operator.request(&stop, LIMIT).await.unwrap();
    events.exited().await;
    let record = bottles.get(bottle.as_str()).await.unwrap().unwrap().value;
    let note = record.note.unwrap_or_default();
    assert!(record.state == BottleState::Exited && note.contains("a word of somebody else"), "{note}");
    launcher.stop().await;
    world.end().await;
}
