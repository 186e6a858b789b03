//! What a bottle may use (L13), and how this host can hold it to that.

mod choose;
mod group;

use std::path::PathBuf;
use std::time::Duration;

use base::id::Slug;
use rustix::process::Resource;

pub use choose::{Hierarchy, choose};
pub(crate) use group::Group;

/// A bottle's limits; what is absent is unlimited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of memory, all processes together.
    pub memory: Option<u64>,
    /// Thousandths of a processor.
    pub cpu_millis: Option<u64>,
    /// Processes and threads at once.
    pub processes: Option<u64>,
    /// Whether `processes` is only the launcher's default. Such a one is held by a control group or not at all: without
    /// a group it would count the operator's own processes too, who may well have more.
    pub processes_assumed: bool,
    /// Bytes of each temporary file system, and of the home.
    pub disk: Option<u64>,
}

/// Bytes of memory that a bottle gets whose files say nothing.
pub const MEMORY: u64 = 4 << 30;
/// Processes and threads of such a bottle.
pub const PROCESSES: u64 = 1024;
/// How long such a bottle may run.
pub const WALL: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Bytes that its home may take.
pub const HOME: u64 = 16 << 30;
/// Bytes of memory that a sidecar may fill; by itself it needs a tenth.
pub(crate) const SIDECAR_MEMORY: u64 = 512 << 20;

/// Processes and threads of a sidecar: its runtime may start 512 threads that wait for the disk or for names.
const SIDECAR_PROCESSES: u64 = 1024;

/// How far a limit of the disk holds.
pub(crate) const DISK_NOTE: &str =
    "disk: the home is measured every few seconds, so that a fast writer may be over the limit for a moment";

/// How a set of limits is enforced on this host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Enforcement {
    /// Control groups to make, with the settings to write into each.
    pub groups: Vec<GroupPlan>,
    /// Limits that each process sets on itself.
    pub own: Vec<(Resource, u64)>,
    /// What is enforced only in part or not at all, one sentence each.
    pub notes: Vec<String>,
}

/// One control group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupPlan {
    /// Its directory.
    pub path: PathBuf,
    /// File name → what is written into it.
    pub settings: Vec<(&'static str, String)>,
}

/// The period over which processor time is counted, in microseconds.
const PERIOD: u64 = 100_000;

/// No process of a bottle leaves its memory in a file, nor in the hands of a program that collects such files: at 0
/// the kernel would still start that program, and only 1, which no file can keep to, stops both (core(5)).
pub(crate) const NO_CORE: (Resource, u64) = (Resource::Core, 1);

/// Decides how to enforce `limits` for the bottle `name` where `hierarchy` was found.
#[must_use]
pub fn plan(limits: &Limits, hierarchy: &Hierarchy, name: &str) -> Enforcement {
    let mut plan = Enforcement { own: vec![NO_CORE], ..Enforcement::default() };
    let mut v2 = Vec::new();
    for wanted in Wanted::of(limits) {
        match hierarchy {
            Hierarchy::V2 { controllers, .. } if controllers.iter().any(|c| c == wanted.controller()) => {
                v2.extend(wanted.v2());
            }
            Hierarchy::V1 { bases } if bases.contains_key(wanted.controller()) => {
                let path = bases[wanted.controller()].join(PARENT).join(name);
                plan.groups.push(GroupPlan { path, settings: wanted.v1() });
            }
            _ => wanted.without_group(&mut plan),
        }
    }
    if let (Hierarchy::V2 { base, .. }, false) = (hierarchy, v2.is_empty()) {
        plan.groups.push(GroupPlan { path: base.join(PARENT).join(name), settings: v2 });
    }
    if limits.disk.is_some() {
        plan.notes.push(DISK_NOTE.to_owned());
    }
    plan
}

/// Decides how to enforce the limits of a sidecar: groups of its own where `hierarchy` has them, and always what it can
/// set on itself.
pub(crate) fn of_a_sidecar(
    hierarchy: &Hierarchy,
    bottle: &Slug,
    (sidecar, memory): (&str, u64),
) -> Enforcement {
    let limits = Limits {
        memory: Some(memory),
        processes: Some(SIDECAR_PROCESSES),
        processes_assumed: true,
        ..Limits::default()
    };
    // No slug has a dot.
    let mut plan = plan(&limits, hierarchy, &format!("{bottle}.{sidecar}"));
    plan.own = vec![NO_CORE, (Resource::Data, memory)];
    plan.notes = plan.notes.into_iter().map(|note| format!("{sidecar} {note}")).collect();
    plan
}

/// The directory under which the groups of all bottles are.
pub(crate) const PARENT: &str = "bot-bottle";

#[derive(Clone, Copy)]
enum Wanted {
    Memory(u64),
    Cpu(u64),
    Processes { count: u64, assumed: bool },
}

impl Wanted {
    fn of(limits: &Limits) -> impl Iterator<Item = Self> {
        let all = [
            limits.memory.map(Self::Memory),
            limits.cpu_millis.map(Self::Cpu),
            limits.processes.map(|count| Self::Processes { count, assumed: limits.processes_assumed }),
        ];
        all.into_iter().flatten()
    }

    fn controller(self) -> &'static str {
        match self {
            Self::Memory(_) => "memory",
            Self::Cpu(_) => "cpu",
            Self::Processes { .. } => "pids",
        }
    }

    fn v2(self) -> Vec<(&'static str, String)> {
        match self {
            Self::Memory(bytes) => {
                vec![("memory.max", bytes.to_string()), ("memory.swap.max", "0".to_owned())]
            }
            Self::Cpu(millis) => vec![("cpu.max", format!("{} {PERIOD}", quota(millis)))],
            Self::Processes { count, .. } => vec![("pids.max", count.to_string())],
        }
    }

    fn v1(self) -> Vec<(&'static str, String)> {
        match self {
            Self::Memory(bytes) => vec![("memory.limit_in_bytes", bytes.to_string())],
            Self::Cpu(millis) => {
                vec![
                    ("cpu.cfs_period_us", PERIOD.to_string()),
                    ("cpu.cfs_quota_us", quota(millis).to_string()),
                ]
            }
            Self::Processes { count, .. } => vec![("pids.max", count.to_string())],
        }
    }

    fn without_group(self, plan: &mut Enforcement) {
        let note = match self {
            Self::Memory(bytes) => {
                plan.own.push((Resource::Data, bytes));
                "memory: no control group can be made here, so the limit holds for each process by itself"
            }
            Self::Cpu(_) => "cpu: no control group can be made here, so processor time is not limited",
            Self::Processes { assumed: true, .. } => {
                "processes: no control group can be made here, so the default limit does not hold"
            }
            Self::Processes { count, assumed: false } => {
                plan.own.push((Resource::Nproc, count));
                "processes: no control group can be made here, so the limit counts every process of the same host user"
            }
        };
        plan.notes.push(note.to_owned());
    }
}

fn quota(cpu_millis: u64) -> u64 {
    // The kernel refuses less than a millisecond.
    (cpu_millis * (PERIOD / 1000)).max(1000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    const ALL: Limits = Limits {
        memory: Some(1 << 30),
        cpu_millis: Some(1500),
        processes: Some(64),
        processes_assumed: false,
        disk: None,
    };

    #[test]
    fn one_group_holds_everything_on_version_two() {
        let controllers = ["cpu", "memory", "pids"].map(str::to_owned).to_vec();
        let found = plan(&ALL, &Hierarchy::V2 { base: "/g".into(), controllers }, "a-00000");
        let settings: Vec<_> = found.groups[0].settings.iter().map(|(k, v)| format!("{k}={v}")).collect();
        assert_eq!(found.groups[0].path, PathBuf::from("/g/bot-bottle/a-00000"));
        assert_eq!(
            settings,
            ["memory.max=1073741824", "memory.swap.max=0", "cpu.max=150000 100000", "pids.max=64"]
        );
        assert!(found.notes.is_empty());
    }

    #[test]
    fn one_group_for_each_controller_on_version_one() {
        let bases = BTreeMap::from([("memory".to_owned(), "/m".into()), ("pids".to_owned(), "/p".into())]);
        let found = plan(&ALL, &Hierarchy::V1 { bases }, "a-00000");
        let paths: Vec<_> = found.groups.iter().map(|group| group.path.display().to_string()).collect();
        assert_eq!(paths, ["/m/bot-bottle/a-00000", "/p/bot-bottle/a-00000"]);
        assert_eq!(found.notes.len(), 1, "{:?}", found.notes);
    }

    #[test]
    fn a_sidecar_has_groups_of_its_own() {
        let bottle = "a-00000".parse().unwrap();
        let controllers = ["memory", "pids"].map(str::to_owned).to_vec();
        let found = of_a_sidecar(
            &Hierarchy::V2 { base: "/g".into(), controllers },
            &bottle,
            ("egress", SIDECAR_MEMORY),
        );
        assert_eq!(found.groups[0].path, PathBuf::from("/g/bot-bottle/a-00000.egress"));
        let settings: Vec<_> = found.groups[0].settings.iter().map(|(k, v)| format!("{k}={v}")).collect();
        assert_eq!(settings, ["memory.max=536870912", "memory.swap.max=0", "pids.max=1024"]);
        assert!(found.notes.is_empty());
        let without = of_a_sidecar(&Hierarchy::None, &bottle, ("egress", SIDECAR_MEMORY));
        assert_eq!(without.own, [(Resource::Core, 1), (Resource::Data, 512 << 20)]);
        insta::assert_snapshot!(without.notes.join("\n"), @r"
        egress memory: no control group can be made here, so the limit holds for each process by itself
        egress processes: no control group can be made here, so the default limit does not hold
        ");
    }

    #[test]
    fn what_cannot_be_enforced_is_said() {
        let found = plan(&Limits { disk: Some(1), ..ALL }, &Hierarchy::None, "a-00000");
        assert!(found.groups.is_empty());
        for (note, word) in found.notes.iter().zip(["memory", "cpu", "processes", "disk"]) {
            assert!(note.starts_with(word), "{note}");
        }
        assert_eq!(found.notes.len(), 4);
        assert_eq!(found.own, [(Resource::Core, 1), (Resource::Data, 1 << 30), (Resource::Nproc, 64)]);
        let assumed = plan(&Limits { processes_assumed: true, ..ALL }, &Hierarchy::None, "a-00000");
        assert!(assumed.own.iter().all(|(resource, _)| *resource != Resource::Nproc));
        assert!(assumed.notes.iter().any(|note| note.contains("default limit does not hold")));
    }
}
