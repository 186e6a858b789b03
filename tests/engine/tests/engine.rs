//! What an engine for tests promises.
#![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing loudly")]

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use engine::{BASE_IMAGE, Engine, Options};

/// What the engine answers to a request without a body.
fn get(socket: &Path, path: &str) -> Option<String> {
    let mut connection = UnixStream::connect(socket).ok()?;
    connection.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    write!(connection, "GET {path} HTTP/1.0\r\n\r\n").ok()?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer).ok()?;
    Some(answer)
}

#[test]
fn has_the_base_image_and_survives_a_restart() {
    let Some(engine) = Engine::start(&Options { base: true, ..Options::default() }) else { return };
    let images = get(engine.socket(), "/images/json").unwrap();
    assert!(images.contains(BASE_IMAGE), "{images}");
    for end in [Engine::stop, Engine::kill] {
        end(&engine);
        assert_eq!(get(engine.socket(), "/_ping"), None);
        engine.start_again();
        assert!(get(engine.socket(), "/images/json").unwrap().contains(BASE_IMAGE));
    }
}

#[test]
fn leaves_nothing_behind() {
    let before = links();
    let Some(engine) = Engine::start(&Options { size: Some("64m".to_owned()), ..Options::default() }) else {
        return;
    };
    let place = engine.socket().parent().unwrap().to_owned();
    assert!(place.join("data").exists());
    assert!(!links().is_subset(&before), "an engine has a link of its own");
    drop(engine);
    assert!(!place.exists());
    let mounts = std::fs::read_to_string("/proc/mounts").unwrap();
    let name = place.file_name().unwrap().to_str().unwrap();
    assert!(!mounts.contains(name), "{mounts}");
    assert_eq!(processes_of(name), Vec::<String>::new());
}

/// The command lines that name a directory.
fn processes_of(directory: &str) -> Vec<String> {
    let entries = Path::new("/proc").read_dir().unwrap().flatten();
    let lines = entries.filter_map(|entry| std::fs::read_to_string(entry.path().join("cmdline")).ok());
    lines.filter(|line| line.contains(directory)).collect()
}

fn links() -> BTreeSet<String> {
    let all = Path::new("/sys/class/net").read_dir().unwrap().flatten();
    let names = all.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.starts_with("bbe")).collect()
}
