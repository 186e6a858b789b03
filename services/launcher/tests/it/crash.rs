//! A launcher is killed at each step (invariant 10). Needs bubblewrap, nats-server and Python.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use crate::support::world::{World, in_each_world, launcher_at};
use bus::message::record::BottleState;
use launcher::step::Step;

const HOME: &str = "BOT_BOTTLE_TEST_HOME";
const BUS: &str = "BOT_BOTTLE_TEST_BUS";
const STEP: &str = "BOT_BOTTLE_TEST_STEP";

/// Acts as a launcher that hangs at a step, when the test below starts it; does nothing otherwise.
#[tokio::test]
async fn victim() {
    let Ok(home) = std::env::var(HOME) else { return };
    let (url, hang) = (std::env::var(BUS).unwrap(), std::env::var(STEP).unwrap());
    base::logging::init(base::logging::Format::Text);
    let observer: launcher::Observer = Arc::new(move |_, step| {
        let hangs = step.as_str() == hang;
        Box::pin(async move {
            if hangs {
                eprintln!("reached");
                std::future::pending::<()>().await;
            }
        })
    });
    let _launcher = launcher_at(Path::new(&home), &url, |_| (), observer).await;
    std::future::pending::<()>().await;
}

in_each_world!(
    "multi_thread":
    a_launcher_killed_at_any_step_leaves_nothing_and_its_request_runs_again,
    what_of_one_bottle_cannot_be_removed_stands_in_nobodys_way,
);

// The supervisor answers while this test waits for another process.
async fn a_launcher_killed_at_any_step_leaves_nothing_and_its_request_runs_again(world: World) {
    world.agent(&["true"], "limits: {memory: 512M, processes: 100}");
    for step in &Step::ALL[1..] {
        let id = format!("killed-at-{step}");
        let mut events = world.events().await;
        world.start(&id).await;
        kill_at(*step, &world);
        let recorded = recorded(world.home.path());

        let launcher = world.launcher().await;
        let started = events.started_of(&id, 2).await;
        assert_eq!(events.exited().await.bottle, started.bottle, "{step}");
        for process in &recorded.processes {
            assert!(!runs(process), "{step}: {process} is left");
        }
        for group in &recorded.groups {
            assert!(!Path::new(group).exists(), "{step}: {group} is left");
        }
        assert!(world.left().is_empty(), "{step}: {:?}", world.left());
        assert_eq!(launcher.reconciled.removed.len(), usize::from(*step != Step::Record), "{step}");
        for lost in &launcher.reconciled.lost {
            let bottles = world.operator.bucket(&bus::layout::BOTTLES);
            assert_eq!(bottles.get(lost.as_str()).await.unwrap().unwrap().value.state, BottleState::Lost);
        }
        launcher.stop().await;
    }
    world.end().await;
}

async fn what_of_one_bottle_cannot_be_removed_stands_in_nobodys_way(world: World) {
    world.agent(&["true"], "");
    let state = launcher::state::StateRoot::below(world.home.path());
    for name in ["gone-00000", "stuck-00000"] {
        let state = state.of(&name.parse().unwrap());
        state.create().unwrap();
        std::fs::write(state.owner(), "").unwrap();
    }
    let stuck = state.of(&"stuck-00000".parse().unwrap());
    std::fs::write(stuck.path().join("namespace.json"), "no record").unwrap();
    let launcher = world.launcher().await;
    assert_eq!(launcher.reconciled.removed, ["gone-00000".parse().unwrap()]);
    let [reason] = launcher.reconciled.remains.as_slice() else { panic!("{:?}", launcher.reconciled) };
    assert!(reason.starts_with("cannot remove what is left of stuck-00000: "), "{reason}");
    assert_eq!(world.run("r1").await.code, 0);
    launcher.stop().await;
    assert_eq!(world.left(), [stuck.path()]);
    world.end().await;
}

/// Runs a launcher until it reaches a step, and kills it there.
pub(crate) fn kill_at(step: Step, world: &World) {
    let (output, writer) = std::io::pipe().unwrap();
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::victim", "--nocapture"])
        .env(HOME, world.home.path())
        .env(BUS, world.url())
        .env(STEP, step.as_str())
        .stderr(writer)
        .spawn()
        .unwrap();
    let reached = BufReader::new(output).lines().map_while(Result::ok).any(|line| {
        eprintln!("victim: {line}");
        line == "reached"
    });
    assert!(reached, "{step} was not reached");
    victim.kill().unwrap();
    victim.wait().unwrap();
}

#[derive(Default)]
struct Recorded {
    processes: Vec<serde_json::Value>,
    groups: Vec<String>,
}

/// Whether that very process runs. One that was killed may wait for its new parent to take notice, and a later one may
/// have its number.
fn runs(process: &serde_json::Value) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", process["pid"])).unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    fields.first().is_some_and(|state| !matches!(*state, "Z" | "X"))
        && fields.get(19) == Some(&process["started"].to_string().as_str())
}

/// What the killed launcher had made, by its own records.
fn recorded(home: &Path) -> Recorded {
    let mut all = Recorded::default();
    for state in std::fs::read_dir(home.join("state")).into_iter().flatten().flatten() {
        let Ok(text) = std::fs::read_to_string(state.path().join("namespace.json")) else { continue };
        let owned: serde_json::Value = serde_json::from_str(&text).unwrap();
        all.processes.extend(owned["processes"].as_array().unwrap().iter().cloned());
        all.groups.extend(
            owned["groups"].as_array().unwrap().iter().map(|group| group.as_str().unwrap().to_owned()),
        );
    }
    all
}
