//! Which control groups this process may make, decided from the host's file tree.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

/// The controllers that limits need.
const CONTROLLERS: [&str; 3] = ["memory", "cpu", "pids"];

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hierarchy {
    /// The unified hierarchy, with a group below which this process may make its own.
    V2 {
        /// That group.
        base: PathBuf,
        /// The controllers it can pass on.
        controllers: Vec<String>,
    },
    /// Separate hierarchies, each with such a group.
    V1 {
        /// Controller → group.
        bases: BTreeMap<String, PathBuf>,
    },
    /// None that this process may write to.
    None,
}

/// Looks below `root` (`/`, or a tree made by a test) for control groups to use: the unified hierarchy if it has any
/// of the needed controllers, else the separate ones.
///
/// The group chosen is the topmost one on this process's own path that it may write to: moving a process takes the
/// right to write to a common ancestor, and a group that holds processes cannot pass controllers on.
#[must_use]
pub fn choose(root: &Path) -> Hierarchy {
    let mounts = fs::read_to_string(root.join("proc/self/mounts")).unwrap_or_default();
    let own = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let mounts: Vec<Mount> = mounts.lines().filter_map(Mount::parse).collect();
    v2(root, &mounts, &own).or_else(|| v1(root, &mounts, &own)).unwrap_or(Hierarchy::None)
}

struct Mount<'a> {
    point: &'a str,
    kind: &'a str,
    options: &'a str,
}

impl<'a> Mount<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let mut words = line.split(' ').skip(1);
        Some(Self { point: words.next()?, kind: words.next()?, options: words.next()? })
    }
}

fn v2(root: &Path, mounts: &[Mount<'_>], own: &str) -> Option<Hierarchy> {
    let mount = mounts.iter().find(|mount| mount.kind == "cgroup2")?;
    let path = own.lines().find_map(|line| line.strip_prefix("0::"))?;
    let base = topmost_writable(&below(root, mount.point), path)?;
    let offered = fs::read_to_string(base.join("cgroup.controllers")).ok()?;
    let controllers: Vec<String> =
        offered.split_whitespace().filter(|c| CONTROLLERS.contains(c)).map(str::to_owned).collect();
    (!controllers.is_empty()).then_some(Hierarchy::V2 { base, controllers })
}

fn v1(root: &Path, mounts: &[Mount<'_>], own: &str) -> Option<Hierarchy> {
    let mut bases = BTreeMap::new();
    for controller in CONTROLLERS {
        let offers = |list: &str| list.split(',').any(|c| c == controller);
        let mount = mounts.iter().find(|mount| mount.kind == "cgroup" && offers(mount.options));
        let path = own.lines().find_map(|line| {
            let mut fields = line.splitn(3, ':').skip(1);
            fields.next().is_some_and(offers).then(|| fields.next())?
        });
        if let (Some(mount), Some(path)) = (mount, path)
            && let Some(base) = topmost_writable(&below(root, mount.point), path)
        {
            bases.insert(controller.to_owned(), base);
        }
    }
    (!bases.is_empty()).then_some(Hierarchy::V1 { bases })
}

fn topmost_writable(mount: &Path, own: &str) -> Option<PathBuf> {
    let own = mount.join(own.trim_start_matches('/'));
    let mut above: Vec<&Path> = own.ancestors().take_while(|path| path.starts_with(mount)).collect();
    above.reverse();
    let writable = |path: &Path| access(path, Access::WRITE_OK | Access::EXEC_OK).is_ok();
    above
        .into_iter()
        .find(|path| writable(path) && writable_file(&path.join("cgroup.procs")))
        .map(Path::to_owned)
}

fn writable_file(path: &Path) -> bool {
    access(path, Access::WRITE_OK).is_ok()
}

fn below(root: &Path, absolute: &str) -> PathBuf {
    root.join(absolute.trim_start_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    struct Tree(tempfile::TempDir);

    impl Tree {
        fn new(mounts: &str, own: &str) -> Self {
            let tree = Self(tempfile::tempdir().unwrap());
            tree.write("proc/self/mounts", mounts);
            tree.write("proc/self/cgroup", own);
            tree
        }

        fn write(&self, path: &str, text: &str) {
            let path = self.0.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }

        fn group(&self, path: &str, controllers: &str) {
            self.write(&format!("{path}/cgroup.procs"), "");
            self.write(&format!("{path}/cgroup.controllers"), controllers);
        }

        fn choose(&self) -> Hierarchy {
            choose(self.0.path())
        }
    }

    const UNIFIED: &str = "cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n";

    #[test]
    fn a_writable_root_is_chosen_on_version_two() {
        let tree = Tree::new(UNIFIED, "0::/system.slice/x.service\n");
        tree.group("sys/fs/cgroup", "cpuset cpu io memory pids\n");
        tree.group("sys/fs/cgroup/system.slice/x.service", "memory");
        let base = tree.0.path().join("sys/fs/cgroup");
        let controllers = ["cpu", "memory", "pids"].map(str::to_owned).to_vec();
        assert_eq!(tree.choose(), Hierarchy::V2 { base, controllers });
    }

    #[test]
    fn a_delegated_group_is_chosen_on_version_two() {
        let tree = Tree::new(UNIFIED, "0::/user.slice/u.service/app/x.scope\n");
        // Above the delegated group there is nothing to write to: without `cgroup.procs` it is no group for us.
        tree.write("sys/fs/cgroup/cgroup.controllers", "cpu memory pids");
        tree.group("sys/fs/cgroup/user.slice/u.service", "memory pids");
        tree.group("sys/fs/cgroup/user.slice/u.service/app/x.scope", "");
        let base = tree.0.path().join("sys/fs/cgroup/user.slice/u.service");
        let controllers = ["memory", "pids"].map(str::to_owned).to_vec();
        assert_eq!(tree.choose(), Hierarchy::V2 { base, controllers });
    }

    #[test]
    fn separate_hierarchies_are_chosen_one_by_one() {
        let mounts = "cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n\
                      cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\n\
                      cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,cpu,cpuacct 0 0\n";
        let tree = Tree::new(mounts, "4:memory:/a/b\n1:cpu,cpuacct:/\n0::/\n");
        tree.group("sys/fs/cgroup/unified", "");
        tree.group("sys/fs/cgroup/memory", "");
        tree.group("sys/fs/cgroup/cpu,cpuacct", "");
        let base = |name: &str| tree.0.path().join("sys/fs/cgroup").join(name);
        let bases =
            BTreeMap::from([("memory".to_owned(), base("memory")), ("cpu".to_owned(), base("cpu,cpuacct"))]);
        assert_eq!(tree.choose(), Hierarchy::V1 { bases });
    }

    #[test]
    fn nothing_writable_means_none() {
        let tree = Tree::new(UNIFIED, "0::/x\n");
        tree.write("sys/fs/cgroup/x/cgroup.controllers", "memory");
        fs::set_permissions(tree.0.path().join("sys"), fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(tree.choose(), Hierarchy::None);
        assert_eq!(Tree::new("", "").choose(), Hierarchy::None);
    }
}
