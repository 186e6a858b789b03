//! A namespace backend on a home of its own, and bottles in it.

pub(crate) mod world;

use std::collections::BTreeMap;
use std::io::Read as _;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Command as Process;
use std::sync::OnceLock;
use std::time::Duration;

use base::id::Slug;
use boundary::order::Command;
use launcher::backend::namespace::{Namespace, NamespaceConfig};
use launcher::backend::{AGENT_HOME, Backend, Boundary, BoundarySpec, Outcome, RunEnd};
use launcher::limits::Limits;
use launcher::state::StateRoot;

pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// The init program, built on first use.
pub(crate) fn init_program() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let built = BUILT.get_or_init(|| {
        let done =
            Process::new(env!("CARGO")).args(["build", "-q", "-p", "bot-bottle-init"]).status().unwrap();
        assert!(done.success(), "bot-bottle-init does not build");
        // target/debug/deps/<this test>
        let test = std::env::current_exe().unwrap();
        test.ancestors().nth(2).unwrap().join("bot-bottle-init")
    });
    built.clone()
}

pub(crate) struct Host {
    pub(crate) backend: Namespace,
    pub(crate) state: StateRoot,
    _home: Option<tempfile::TempDir>,
}

impl Host {
    pub(crate) fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let host = Self::at(home.path());
        Self { _home: Some(home), ..host }
    }

    pub(crate) fn at(home: &Path) -> Self {
        let state = StateRoot::below(home);
        let backend = Namespace::new(NamespaceConfig {
            bubblewrap: PathBuf::from("/usr/bin/bwrap"),
            init: init_program(),
            state: state.clone(),
        });
        Self { backend: backend.unwrap(), state, _home: None }
    }

    pub(crate) async fn bottle(&self, name: &str) -> Box<dyn Boundary> {
        self.limited_bottle(name, Limits::default()).await
    }

    pub(crate) async fn limited_bottle(&self, name: &str, limits: Limits) -> Box<dyn Boundary> {
        let bottle: Slug = name.parse().unwrap();
        self.state.of(&bottle).create().unwrap();
        let ports = vec![SocketAddr::from(([127, 0, 0, 1], 9099))];
        let spec = BoundarySpec { bottle, limits, ports, programs: Vec::new() };
        self.backend.create(spec).await.unwrap()
    }
}

pub(crate) fn command(argv: &[&str]) -> Command {
    Command {
        argv: argv.iter().map(|&word| word.to_owned()).collect(),
        env: BTreeMap::from([("PATH".to_owned(), "/usr/local/bin:/usr/bin:/bin".to_owned())]),
        cwd: AGENT_HOME.to_owned(),
    }
}

/// Runs a command during the launch.
pub(crate) async fn exec(bottle: &mut Box<dyn Boundary>, argv: &[&str]) -> Outcome {
    bottle.exec(command(argv), String::new(), LIMIT).await.unwrap()
}

/// What a Python script prints; it must end well.
pub(crate) async fn python(bottle: &mut Box<dyn Boundary>, script: &str) -> String {
    let outcome = exec(bottle, &["/usr/bin/python3", "-c", script]).await;
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    outcome.stdout.trim().to_owned()
}

/// Runs a program as the agent to its end; returns its end and its standard output.
pub(crate) async fn run(mut bottle: Box<dyn Boundary>, argv: &[&str]) -> (RunEnd, String) {
    let (mut output, writer) = std::io::pipe().unwrap();
    start(&mut bottle, argv, writer.into()).await;
    let end = tokio::time::timeout(LIMIT, bottle.wait()).await.unwrap();
    let mut text = String::new();
    output.read_to_string(&mut text).unwrap();
    (end, text)
}

/// Starts a program as the agent; both of its output streams go to `output`.
pub(crate) async fn start(bottle: &mut Box<dyn Boundary>, argv: &[&str], output: OwnedFd) {
    let null = std::fs::File::open("/dev/null").unwrap();
    let streams = [null.into(), output.try_clone().unwrap(), output];
    bottle.run(command(argv), streams).await.unwrap();
}
