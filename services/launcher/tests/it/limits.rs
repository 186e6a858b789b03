//! Limits that hold for real, with the control groups that this host has.

use crate::support::{Host, LIMIT, exec, python};
use launcher::limits::{Hierarchy, Limits};

/// Without control groups (an unprivileged user without delegation) the limits are noted as not enforced instead.
pub(crate) fn has_groups() -> bool {
    launcher::limits::choose(std::path::Path::new("/")) != Hierarchy::None
}

#[tokio::test]
async fn memory_and_processes_are_limited() {
    let host = Host::new();
    let limits =
        Limits { memory: Some(256 << 20), processes: Some(32), disk: Some(1 << 20), ..Limits::default() };
    // Control groups are named after the bottle, and other tests run at the same time.
    let name = base::id::Slug::random(&"limited".parse().unwrap());
    let mut bottle = host.limited_bottle(name.as_str(), limits).await;
    if !has_groups() {
        assert!(bottle.notes().iter().any(|note| note.starts_with("memory")));
        return;
    }
    let hog = exec(&mut bottle, &["/usr/bin/python3", "-c", "x = bytearray(1 << 30); print(len(x))"]).await;
    assert_ne!(hog.code, Some(0), "a gibibyte fitted into 256 MiB: {hog:?}");
    let forks = "
import os, time
made = 0
try:
    while made < 200:
        if os.fork() == 0: time.sleep(20); os._exit(0)
        made += 1
except OSError: pass
print(made < 32)
";
    assert_eq!(python(&mut bottle, forks).await, "True");
    let full = "
try:
    open('/tmp/x', 'wb').write(bytes(2 << 20)); print('written')
except OSError as e: print(e.strerror)
";
    assert_eq!(python(&mut bottle, full).await, "No space left on device");
    bottle.kill();
    bottle.wait().await;
    host.backend.destroy(&name).await.unwrap();
}

#[tokio::test]
async fn control_groups_are_removed() {
    let host = Host::new();
    let limits = Limits { memory: Some(256 << 20), cpu_millis: Some(500), ..Limits::default() };
    let name = base::id::Slug::random(&"limited".parse().unwrap());
    let mut bottle = host.limited_bottle(name.as_str(), limits).await;
    let groups = exec(&mut bottle, &["cat", "/proc/self/cgroup"]).await;
    assert_eq!(groups.code, Some(0));
    let recorded = std::fs::read_to_string(host.state.of(&name).path().join("namespace.json")).unwrap();
    let recorded: serde_json::Value = serde_json::from_str(&recorded).unwrap();
    let paths: Vec<String> = serde_json::from_value(recorded["groups"].clone()).unwrap();
    assert_eq!(!paths.is_empty(), has_groups());
    assert!(paths.iter().all(|path| std::path::Path::new(path).exists()));
    // As after a crash: nobody ended the bottle, and its group is not empty.
    std::mem::forget(bottle);
    tokio::time::timeout(LIMIT, host.backend.destroy(&name)).await.unwrap().unwrap();
    assert!(paths.iter().all(|path| !std::path::Path::new(path).exists()), "{paths:?}");
}
