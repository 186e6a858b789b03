//! What a sidecar may use. Needs bubblewrap; the limits of groups need control groups.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use base::id::Slug;
use launcher::backend::{Sidecar, SidecarSpec};

use crate::limits::has_groups;
use crate::support::{Host, LIMIT};

/// A sidecar that is this Python script.
async fn sidecar(host: &Host, bottle: &Slug, script: &str) -> Box<dyn Sidecar> {
    let state = host.state.of(bottle);
    state.create().unwrap();
    let program = state.path().join("program");
    std::fs::write(&program, format!("#!/usr/bin/python3\n{script}")).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let spec = SidecarSpec { has_spool: true, ..SidecarSpec::new(bottle.clone(), "egress", program) };
    host.backend.start_sidecar(spec).await.unwrap()
}

/// How it ended, and what its log says.
async fn ended(host: &Host, bottle: &Slug, script: &str) -> (String, String) {
    let mut sidecar = sidecar(host, bottle, script).await;
    let how = tokio::time::timeout(LIMIT, sidecar.wait()).await.unwrap();
    let log = std::fs::read_to_string(host.state.of(bottle).log("egress")).unwrap();
    host.backend.destroy(bottle).await.unwrap();
    (how, log)
}

fn name() -> Slug {
    // Control groups are named after the bottle, and other tests run at the same time.
    Slug::random(&"limited".parse().unwrap())
}

#[tokio::test]
async fn a_log_that_is_flooded_keeps_its_end_and_its_size() {
    let (host, bottle) = (Host::new(), name());
    let script = "import sys\nfor n in range(200): print('x' * 100_000, file=sys.stderr)\nprint('last words', file=sys.stderr)";
    let (how, log) = ended(&host, &bottle, script).await;
    assert!(how.ends_with("(exit status: 0)"), "{how}");
    assert!(log.starts_with("… older lines are in the file") && log.ends_with("\nlast words\n"));
    let logs = std::fs::read_dir(host.state.of(&bottle).path()).unwrap().map(|entry| entry.unwrap().path());
    let sizes: u64 = logs.filter(|path| path.is_file()).map(|path| path.metadata().unwrap().len()).sum();
    assert!(sizes < 9 << 20, "{sizes} bytes of logs");
}

#[tokio::test]
async fn a_sidecar_cannot_fill_its_hosts_memory_or_process_table() {
    let (host, bottle) = (Host::new(), name());
    let forks = "
import os, sys, time
made = 0
try:
    while made < 3000:
        if os.fork() == 0: time.sleep(60); os._exit(0)
        made += 1
except OSError: pass
print(made < 1024, file=sys.stderr)
";
    // Shared memory is nothing that a process's own limit counts.
    let hog = "
import mmap
memory = mmap.mmap(-1, 1 << 30)
for place in range(0, 1 << 30, 4096): memory[place] = 1
";
    let files = "
import sys
for path in ('/tmp/x', '/dev/x', '/x', '/usr/x'):
    try:
        open(path, 'wb').write(bytes(100 << 20)); print('wrote', path, file=sys.stderr)
    except OSError as error: pass
";
    assert_eq!(ended(&host, &bottle, files).await.1, "");
    if !has_groups() {
        let sidecar = sidecar(&host, &name(), "").await;
        assert!(sidecar.notes().iter().any(|note| note.starts_with("egress memory")));
        return;
    }
    let bottle = name();
    assert_eq!(ended(&host, &bottle, forks).await.1, "True\n");
    let bottle = name();
    let (how, _) = ended(&host, &bottle, hog).await;
    assert!(how.contains("137") || how.contains("signal: 9"), "a gibibyte fitted into 512 MiB: {how}");
}

#[tokio::test]
async fn a_sidecar_without_a_spool_can_write_nowhere_on_the_host() {
    let (host, bottle) = (Host::new(), name());
    let state = host.state.of(&bottle);
    state.create().unwrap();
    let script = "
import os, sys
print(os.getcwd(), os.path.exists('/spool'), file=sys.stderr)
for path in ('x', '/spool/x', '/usr/x', '/etc/x'):
    try:
        open(path, 'w'); print('wrote', path, file=sys.stderr)
    except OSError: pass
";
    let program = state.path().join("program");
    std::fs::write(&program, format!("#!/usr/bin/python3\n{script}")).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let spec = SidecarSpec::new(bottle.clone(), "door", program);
    let mut sidecar = host.backend.start_sidecar(spec).await.unwrap();
    tokio::time::timeout(LIMIT, sidecar.wait()).await.unwrap();
    assert_eq!(std::fs::read_to_string(state.log("door")).unwrap(), "/ False\n");
    host.backend.destroy(&bottle).await.unwrap();
}

#[tokio::test]
async fn its_groups_are_its_own_and_are_removed() {
    let (host, bottle) = (Host::new(), name());
    let mut sidecar = sidecar(&host, &bottle, "import time; time.sleep(1000)").await;
    let recorded = std::fs::read_to_string(host.state.of(&bottle).path().join("namespace.json")).unwrap();
    let recorded: serde_json::Value = serde_json::from_str(&recorded).unwrap();
    let groups: Vec<String> = serde_json::from_value(recorded["groups"].clone()).unwrap();
    assert_eq!(!groups.is_empty(), has_groups());
    let pid = recorded["processes"][0]["pid"].to_string();
    for group in &groups {
        assert!(group.ends_with(&format!("/{bottle}.egress")), "{group}");
        let members = std::fs::read_to_string(Path::new(group).join("cgroup.procs")).unwrap();
        assert!(members.lines().any(|line| line == pid), "{pid} is not in {group}: {members:?}");
    }
    sidecar.kill();
    sidecar.wait().await;
    host.backend.destroy(&bottle).await.unwrap();
    assert!(groups.iter().all(|group| !Path::new(group).exists()), "{groups:?}");
}
