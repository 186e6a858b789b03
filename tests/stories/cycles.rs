//! Starts of containers that are killed at any moment leave nothing on their engine or its host (invariant 10).
//!
//! Who is killed, and when, comes from a seed, which a failure shows. `BOT_BOTTLE_SEED` chooses it, `BOT_BOTTLE_CYCLES` is how
//! often something is killed; `make chaos` does it a hundred times.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use bus::layout::LAUNCHERS;
use bus::role::Role;
use engine::{Engine, Options};
use harness::{Apart, Backend, Part, all_ended, containers, docker, mentioning, soon};
use policy::EgressPolicy;
use rustix::process::{Pid, Signal, kill_process};

use crate::surviving::chance::{Chance, number, seeds};

const CYCLES: u64 = 10;
const PAUSE: Duration = Duration::from_millis(20);
/// The longest until the last bottle is over: a request whose launcher was killed comes back after a silence of 30 seconds.
const REST: Duration = Duration::from_secs(180);

/// What is killed.
#[derive(Clone, Copy, Debug)]
enum Victim {
    /// The launcher, with whatever it has running; another one is there at once.
    Launcher,
    /// The container, as somebody does who may use its engine.
    Container,
    /// The first process of the container.
    Init,
    /// The command that asked for the start.
    Command,
}

impl Victim {
    const ALL: [Self; 4] = [Self::Launcher, Self::Container, Self::Init, Self::Command];
}

/// An engine of its own, whose host has what it has for this story alone.
struct Place {
    engine: Engine,
    world: Apart,
}

impl Place {
    /// Begins a start, and kills.
    async fn cycle(&mut self, victim: Victim, after: Duration) {
        let mut command = self.world.home.command(&["start", "cycled", "--yes", "--headless"]);
        let mut start = command.env("NATS_URL", &self.world.url).spawn().unwrap();
        match victim {
            Victim::Launcher => {
                tokio::time::sleep(after).await;
                self.world.kill(Part::Launcher, Duration::ZERO).await;
            }
            Victim::Container | Victim::Init => {
                let container = soon("a container", self.container()).await;
                tokio::time::sleep(after / 4).await;
                self.kill(victim, &container).await;
            }
            Victim::Command => tokio::time::sleep(after).await,
        }
        start.start_kill().unwrap();
        soon("the command's end", start.wait()).await.unwrap();
    }

    async fn container(&self) -> String {
        loop {
            let found = containers(self.engine.socket(), self.world.home.path()).await;
            if let Some(found) = found.into_iter().next() {
                return found;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Kills a container or its first process, unless it has ended by itself meanwhile.
    async fn kill(&self, victim: Victim, container: &str) {
        let docker = |arguments: &[&str]| {
            let mut command = tokio::process::Command::new("docker");
            command.arg("--host").arg(harness::host(self.engine.socket())).args(arguments).arg(container);
            command.kill_on_drop(true);
            async move { soon("the engine", command.output()).await.unwrap().stdout }
        };
        if let Victim::Container = victim {
            docker(&["kill"]).await;
            return;
        }
        let pid = docker(&["inspect", "--format", "{{.State.Pid}}"]).await;
        let pid = String::from_utf8_lossy(&pid).trim().parse().ok().and_then(Pid::from_raw);
        // It is 0 before it has one and after it had.
        pid.map(|pid| kill_process(pid, Signal::KILL));
    }

    /// Waits until every start is done with.
    async fn rests(&self) {
        let admin = self.world.connect(Role::Admin).await;
        let done = async {
            while admin.unfinished(&LAUNCHERS).await.unwrap() > 0 {
                tokio::time::sleep(PAUSE * 10).await;
            }
        };
        tokio::time::timeout(REST, done).await.unwrap_or_else(|_| panic!("{}", self.world.log()));
    }
}

/// What the engine has, and what its host has for it: one line for each thing.
async fn inventory(engine: &Engine) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for list in [
        &["ps", "--all", "--no-trunc"][..],
        &["image", "ls", "--all", "--no-trunc"],
        &["volume", "ls"],
        &["network", "ls", "--no-trunc"],
    ] {
        let found = docker(engine.socket(), &[list, &["--quiet"]].concat()).await;
        all.extend(found.lines().map(|id| format!("{} {id}", list[0])));
    }
    let place = engine.socket().parent().unwrap();
    let script = "cat /proc/self/mountinfo | cut -d' ' -f5 | grep \"^$0\"
        ls -d \"$0\"/data/overlay2/* \"$0\"/data/containers/* \"$0\"/data/image/*/layerdb/*/* 2>/dev/null
        ls -d \"$0\"/exec/containerd/daemon/io.containerd.runtime.*/*/* 2>/dev/null
        find /sys/fs/cgroup -type d -path \"*/${0##*/}/*\"";
    let kept = engine.within("sh").args(["-c", script]).arg(place).output().unwrap();
    all.extend(String::from_utf8_lossy(&kept.stdout).lines().map(str::to_owned));
    all
}

#[tokio::test]
async fn starts_that_are_killed_at_any_moment_leave_nothing() {
    let Some(engine) = Engine::start(&Options { base: true, ..Options::default() }) else { return };
    let world = Apart::up_on(Backend::of(&engine)).await;
    // Whoever is not killed ends soon by itself.
    world.home.write("cycled", &["sleep", "1"], &EgressPolicy::default());
    let mut place = Place { engine, world };
    let before = inventory(&place.engine).await;
    assert!(before.len() > 5, "{before:?}");
    let seed = seeds().next().unwrap();
    let mut chance = Chance::of(seed);
    for cycle in 0..number("BOT_BOTTLE_CYCLES").unwrap_or(CYCLES) {
        let (victim, after) = (chance.one_of(&Victim::ALL), chance.up_to(1500));
        eprintln!("BOT_BOTTLE_SEED={seed}: in cycle {cycle} the {victim:?} is killed after {after:?}");
        place.cycle(victim, after).await;
    }
    place.rests().await;
    let Place { engine, world } = place;
    let home = world.down().await;
    all_ended(&home.marker).await;
    // The engine's own helpers end a moment after what they ran.
    let mut left = 100;
    loop {
        let after = inventory(&engine).await;
        let new: Vec<_> = after.difference(&before).collect();
        if new.is_empty() {
            break;
        }
        left -= 1;
        assert!(left > 0, "the engine or its host has more than before: {new:#?}");
        tokio::time::sleep(PAUSE * 10).await;
    }
    // What was killed was kept for a person to look at.
    home.run(&["cleanup", "--all"]).await.expect_code(0);
    assert_eq!(home.path().join("state").read_dir().unwrap().count(), 0);
    nothing_is_left(home.path());
    drop(engine);
}

/// No process, mount or control group of the home and of its bottles.
fn nothing_is_left(home: &Path) {
    let home = home.to_str().unwrap();
    assert_eq!(mentioning(home), Vec::<u32>::new());
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(home), "{mounts}");
    let groups = std::process::Command::new("find").args(["/sys/fs/cgroup", "-name", "*cycled-*"]).output();
    assert_eq!(String::from_utf8(groups.unwrap().stdout).unwrap(), "");
}
