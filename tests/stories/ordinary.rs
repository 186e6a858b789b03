//! Somebody who is not root and may ask the engine, being of its socket's group: most people at their own machine (L4, L13).

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use harness::{Backend, Home, all_ended, on_each_backend, program, soon};
use policy::EgressPolicy;
use rustix::process::geteuid;
use tempfile::TempDir;
use tokio::process::Command;

/// A user whom this machine has no name for.
const USER: u32 = 54_321;

on_each_backend!(an_ordinary_user_runs_agents_and_cleans_up_after_a_crash);

/// What such a user can reach: the programs, their tools and, as a member of its group, the engine's socket. Wherever those
/// are, this is somewhere that everybody can go.
struct Reach(TempDir);

impl Reach {
    fn of(on: Backend) -> Self {
        let place = tempfile::Builder::new().prefix("bot-bottle-ordinary-").tempdir().unwrap();
        fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let built = program("bot-bottle").parent().unwrap().to_owned();
        let programs = fs::read_dir(&built).unwrap().map(|entry| entry.unwrap().path());
        let is_program = |path: &PathBuf| {
            path.extension().is_none()
                && path.file_name().unwrap().as_encoded_bytes().starts_with(b"bot-bottle")
        };
        for path in programs.filter(is_program) {
            bring(&path, &place.path().join("target/debug").join(path.file_name().unwrap()));
        }
        let init = "static/bot-bottle-init";
        bring(&built.join(init), &place.path().join("target/debug").join(init));
        let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools/bin");
        for tool in ["nats-server", "gitleaks"] {
            bring(&tools.join(tool), &place.path().join(".tools/bin").join(tool));
        }
        if let Backend::Docker(socket) = on {
            fs::hard_link(socket, place.path().join("docker.sock")).unwrap();
        }
        Self(place)
    }

    /// A command line of that user's, with a home that is theirs.
    fn command(&self, home: &Home, arguments: &[&str]) -> Command {
        let socket = self.0.path().join("docker.sock");
        let group = fs::metadata(&socket).map_or(USER, |socket| socket.gid());
        let mut command = Command::new("setpriv");
        command
            .args([format!("--reuid={USER}"), format!("--regid={USER}"), format!("--groups={group}")])
            .args(["--inh-caps=-all", "--"])
            .arg(self.0.path().join("target/debug/bot-bottle"))
            .args(arguments);
        for (name, value) in home.command(&[]).as_std().get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.env("HOME", home.path()).env("DOCKER_HOST", format!("unix://{}", socket.display()));
        command.current_dir(home.path()).stdin(std::process::Stdio::null());
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).kill_on_drop(true);
        command
    }

    /// Runs one to its end; what it wrote. It has to end with that code.
    async fn run(&self, home: &Home, arguments: &[&str], code: i32) -> String {
        let output = soon("a command's end", self.command(home, arguments).output()).await.unwrap();
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        said
    }
}

/// The same file at another place, or a copy of it where that is on another disk.
fn bring(from: &Path, to: &Path) {
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    if fs::hard_link(from, to).is_err() {
        fs::copy(from, to).unwrap();
    }
}

/// Gives a home and what is in it away.
fn give(path: &Path) {
    chown(path, Some(USER), Some(USER)).unwrap();
    if path.is_dir() {
        fs::read_dir(path).unwrap().for_each(|entry| give(&entry.unwrap().path()));
    }
}

async fn an_ordinary_user_runs_agents_and_cleans_up_after_a_crash(on: Backend) {
    if !geteuid().is_root() {
        engine::skip("only root can become another user");
        return;
    }
    let (home, reach) = (Home::on(on), Reach::of(on));
    let words = "test $(id -u) -gt 0 && echo kept > kept && cat kept; test ! -w /etc && echo closed; grep CapEff /proc/self/status";
    home.write("worker", &["sh", "-c", words], &EgressPolicy::default());
    home.write("sleeper", &["sh", "-c", "echo up; exec sleep 600"], &EgressPolicy::default());
    fs::set_permissions(home.path(), fs::Permissions::from_mode(0o700)).unwrap();
    give(home.path());
    reach.run(&home, &["doctor"], 0).await;
    reach.run(&home, &["init", "--bare"], 0).await;
    let said = reach.run(&home, &["start", "worker", "--yes"], 0).await;
    assert!(said.contains("kept\nclosed\nCapEff:\t0000000000000000\n"), "{said}");

    let mut up = reach.command(&home, &["up"]).spawn().unwrap();
    let list = async { while !reach.command(&home, &["list"]).output().await.unwrap().status.success() {} };
    soon("services", list).await;
    let mut start = reach.command(&home, &["start", "sleeper", "--yes"]).spawn().unwrap();
    let words = start.stdout.take().unwrap();
    let mut words = tokio::io::BufReader::new(words);
    let mut word = String::new();
    soon("its first word", tokio::io::AsyncBufReadExt::read_line(&mut words, &mut word)).await.unwrap();
    assert_eq!(word, "up\n");
    // Both at once, as when a machine's memory is full.
    up.start_kill().unwrap();
    start.start_kill().unwrap();
    soon("their end", async { (up.wait().await, start.wait().await) }).await.0.unwrap();
    let said = reach.run(&home, &["cleanup"], 0).await;
    assert!(said.contains("removed sleeper-"), "{said}");
    all_ended(&home.marker).await;
    assert_eq!(home.path().join("state").read_dir().unwrap().count(), 0);
    on.has_nothing_of(home.path()).await;
}
