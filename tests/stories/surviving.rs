//! The story of asking, told with each of its processes killed in the middle, and with the bus gone for a while
//! (invariants 3, 7 and 10).
//!
//! Where the story is when it happens comes from a seed, which a failure shows. `BOT_BOTTLE_SEED` chooses it,
//! `BOT_BOTTLE_ROUNDS` tells each story with so many seeds from there on, `BOT_BOTTLE_AWAY` is for how many seconds the
//! bus is gone. `make chaos` has more and longer of all of them.

#![expect(clippy::print_stderr, reason = "a failure shows the seed, and what a person met on the way")]

pub(crate) mod chance;
mod person;
mod tale;
mod trail;

use std::time::Duration;

use base::id::Slug;
use bus::Bus;
use bus::keys::Keys;
use bus::message::run::ExitReason;
use bus::role::Role;
use harness::{Apart, Backend, Part, World, all_ended, below, on_each_backend};
use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::{mpsc, watch};

use chance::{Chance, absence, seeds};
use tale::{End, Step};

/// The longest that a story may take, its restarts and the silence before a redelivery among it.
const WHOLE: Duration = Duration::from_secs(180);

/// Waits for a step; whether it comes.
async fn step(steps: &mut mpsc::UnboundedReceiver<Step>, wanted: Step) -> bool {
    while let Some(step) = steps.recv().await {
        if step == wanted {
            return true;
        }
    }
    false
}

/// Tells the story while something happens to it at one of its steps. `happens` gets there first of all.
async fn told(
    (home, bus, answers): (&std::path::Path, &Bus, watch::Receiver<bool>),
    at: Step,
    happens: impl Future<Output = ()>,
) -> End {
    let (reached, mut steps) = mpsc::unbounded_channel();
    let happens = async {
        assert!(step(&mut steps, at).await, "the story never came to {at:?}");
        happens.await;
    };
    let story = async { tokio::join!(Box::pin(tale::tell(home, bus.clone(), answers, reached)), happens) };
    let ended = tokio::time::timeout(WHOLE + absence(), story).await;
    ended.unwrap_or_else(|_| panic!("the story has not come to its end")).0
}

/// What must hold of a story that ended well, however often it began: the last bottle's agent got what it was granted and
/// nothing else, and each of its requests is recorded.
async fn ended_well(home: &harness::Home, (operator, admin): (&Bus, &Bus), end: &End) {
    assert_eq!((end.exited.reason, end.exited.code), (ExitReason::Completed, 0), "{}", end.words);
    let words: Vec<&str> = end.words.lines().collect();
    let [refused, granted, meanwhile, kept, counts] = words.as_slice() else { panic!("{}", end.words) };
    assert_eq!(*refused, "403");
    assert_eq!(*granted, "modified GET to http://new.example.com/docs and below the documentation is enough");
    assert_eq!(*meanwhile, "(200, 403)");
    assert_eq!(*kept, "200 200 403 403");
    let records = trail::complete(home, operator, end).await;
    let (allowed, refused) = trail::requests(&records, &end.exited.bottle);
    assert_eq!(*counts, format!("{allowed} {refused}"), "the trail is not what the agent was let do");
    trail::settled(operator, admin, end).await;
}

/// One of the services that run apart is killed once, at any step.
async fn one_is_killed(on: Backend, part: Part, most_bottles: usize) {
    for seed in seeds() {
        let mut chance = Chance::of(seed);
        let (at, after) = (chance.one_of(&Step::ALL), chance.up_to(400));
        let restart = chance.up_to(2000);
        eprintln!(
            "BOT_BOTTLE_SEED={seed}: the {part:?} is killed {after:?} after {at:?}, and back {restart:?} later"
        );
        let mut world = Apart::up_on(on).await;
        let (port, _origin) = crate::deciding::origin().await;
        tale::write(&world.home, port);
        let (operator, admin) = (world.connect(Role::Operator).await, world.connect(Role::Admin).await);
        let home = world.home.path().to_owned();
        let end = told((&home, &operator, watch::channel(true).1), at, async {
            tokio::time::sleep(after).await;
            world.kill(part, restart).await;
        })
        .await;
        assert!((1..=most_bottles).contains(&end.bottles.len()), "{:?}\n{}", end.bottles, world.log());
        ended_well(&world.home, (&operator, &admin), &end).await;
        down(world).await;
    }
}

async fn down(world: Apart) {
    let log = world.log();
    let home = world.down().await;
    all_ended(&home.marker).await;
    trail::nothing_is_left(&home, &log);
}

on_each_backend!(
    a_bus_that_is_killed_loses_nothing,
    a_supervisor_that_is_killed_loses_nothing,
    a_launcher_that_is_killed_begins_the_story_again,
    services_that_are_killed_together_begin_the_story_again,
    a_proxy_that_is_killed_ends_its_bottle,
    a_door_that_is_killed_ends_its_bottle,
    a_bus_that_is_gone_between_refusal_and_approval_widens_nothing_and_loses_nothing,
);

async fn a_bus_that_is_killed_loses_nothing(on: Backend) {
    one_is_killed(on, Part::Bus, 1).await;
}

async fn a_supervisor_that_is_killed_loses_nothing(on: Backend) {
    one_is_killed(on, Part::Supervisor, 1).await;
}

async fn a_launcher_that_is_killed_begins_the_story_again(on: Backend) {
    one_is_killed(on, Part::Launcher, 2).await;
}

async fn services_that_are_killed_together_begin_the_story_again(on: Backend) {
    for seed in seeds() {
        let mut chance = Chance::of(seed);
        let (at, after, restart) = (chance.one_of(&Step::ALL), chance.up_to(400), chance.up_to(2000));
        eprintln!("BOT_BOTTLE_SEED={seed}: all is killed {after:?} after {at:?}, and back {restart:?} later");
        let mut world = World::up_on(on).await;
        let (port, _origin) = crate::deciding::origin().await;
        tale::write(&world.home, port);
        let home = world.home.path().to_owned();
        let server = bus::server::find(&home).unwrap().unwrap();
        let connect = async |role| {
            let credentials = Keys::load(&home).unwrap().mint(role, None).unwrap();
            Bus::connect(bus::Connect::new(&server.url, credentials)).await.unwrap()
        };
        let (operator, admin) = (connect(Role::Operator).await, connect(Role::Admin).await);
        let end = told((&home, &operator, watch::channel(true).1), at, async {
            tokio::time::sleep(after).await;
            world.kill().await;
            tokio::time::sleep(restart).await;
            world.up_again(server.url.rsplit_once(':').unwrap().1).await;
        })
        .await;
        assert!((1..=2).contains(&end.bottles.len()), "{:?}\n{}", end.bottles, world.log());
        ended_well(&world.home, (&operator, &admin), &end).await;
        let log = world.log();
        let home = world.down().await;
        trail::nothing_is_left(&home, &log);
    }
}

/// A sidecar that is killed while its agent waits for an answer ends its bottle, and the request with it.
async fn a_sidecar_is_killed(on: Backend, name: &str) {
    for seed in seeds() {
        let mut chance = Chance::of(seed);
        let (at, after) = (chance.one_of(&[Step::Refused, Step::Waits]), chance.up_to(1000));
        eprintln!("BOT_BOTTLE_SEED={seed}: the {name} is killed {after:?} after {at:?}");
        let world = Apart::up_on(on).await;
        let (port, _origin) = crate::deciding::origin().await;
        tale::write(&world.home, port);
        let (operator, admin) = (world.connect(Role::Operator).await, world.connect(Role::Admin).await);
        let end = told((world.home.path(), &operator, watch::channel(false).1), at, async {
            tokio::time::sleep(after).await;
            let found = below(world.launcher().unwrap(), name);
            let [pid] = found.as_slice() else { panic!("{found:?} are {name}") };
            kill_process(Pid::from_raw(i32::try_from(*pid).unwrap()).unwrap(), Signal::KILL).unwrap();
        })
        .await;
        assert_eq!(end.exited.reason, ExitReason::SidecarLost, "{}", world.log());
        assert_eq!(end.bottles.as_slice(), std::slice::from_ref(&end.exited.bottle), "it is not run again");
        trail::settled(&operator, &admin, &end).await;
        let records = trail::complete(&world.home, &operator, &end).await;
        is_recorded_as_lost(&records, &end.exited.bottle);
        let log = world.log();
        let home = world.down().await;
        all_ended(&home.marker).await;
        home.run(&["cleanup", "--all"]).await.expect_code(0).expect_out(end.exited.bottle.as_str());
        trail::nothing_is_left(&home, &log);
    }
}

/// The end of the bottle, and of what it had asked for.
fn is_recorded_as_lost(records: &[serde_json::Value], bottle: &Slug) {
    let mut exits = trail::decisions(records, "exited").filter(|record| record["bottle"] == bottle.as_str());
    assert_eq!(exits.next().map(|exit| &exit["decision"]["reason"]), Some(&"sidecar_lost".into()));
    for ended in trail::decisions(records, "resolved") {
        assert_eq!(ended["decision"]["outcome"], "expired", "{ended}");
        assert_eq!(ended["decision"]["reason"], "the bottle is over", "{ended}");
    }
}

async fn a_proxy_that_is_killed_ends_its_bottle(on: Backend) {
    a_sidecar_is_killed(on, "egress").await;
}

async fn a_door_that_is_killed_ends_its_bottle(on: Backend) {
    a_sidecar_is_killed(on, "door").await;
}

async fn a_bus_that_is_gone_between_refusal_and_approval_widens_nothing_and_loses_nothing(on: Backend) {
    for seed in seeds() {
        let mut chance = Chance::of(seed);
        // Nobody answers before it is gone.
        let (answer, answers) = watch::channel(false);
        let (at, after, away) = (chance.one_of(&[Step::Refused, Step::Waits]), chance.up_to(200), absence());
        eprintln!("BOT_BOTTLE_SEED={seed}: the bus goes {after:?} after {at:?}, for {away:?}");
        let mut world = Apart::up_on(on).await;
        let (port, _origin) = crate::deciding::origin().await;
        tale::write(&world.home, port);
        let (operator, admin) = (world.connect(Role::Operator).await, world.connect(Role::Admin).await);
        let home = world.home.path().to_owned();
        let end = told((&home, &operator, answers), at, async {
            tokio::time::sleep(after).await;
            world.stop_bus().await;
            answer.send_replace(true);
            world.home.run(&["proposals", "list"]).await.expect_code(69);
            tokio::time::sleep(away).await;
            world.start_bus().await;
        })
        .await;
        assert_eq!(end.bottles.as_slice(), std::slice::from_ref(&end.exited.bottle), "{}", world.log());
        ended_well(&world.home, (&operator, &admin), &end).await;
        down(world).await;
    }
}
