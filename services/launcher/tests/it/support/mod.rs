//! A backend on a home of its own, and bottles in it.

pub(crate) mod world;

use std::collections::BTreeMap;
use std::io::Read as _;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Command as Process;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use base::id::Slug;
use boundary::order::Command;
use engine::Engine;
use launcher::backend::docker::{Docker, DockerConfig, EngineAddress, ImageChoice};
use launcher::backend::namespace::{Namespace, NamespaceConfig};
use launcher::backend::{
    AGENT_HOME, AgentUser, Backend, BackendError, Boundary, BoundarySpec, Outcome, Progress, RunEnd,
};
use launcher::limits::Limits;
use launcher::state::StateRoot;
use manifest::settings::RuntimeName;

pub(crate) const LIMIT: Duration = Duration::from_secs(60);

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

/// Makes a test on each backend out of each of these functions, which take a [`Host`].
macro_rules! on_each_backend {
    ($($name:ident),* $(,)?) => {
        mod namespace {
            $(#[tokio::test]
            async fn $name() {
                super::$name(crate::support::Host::new()).await;
            })*
        }
        mod docker {
            $(#[tokio::test]
            async fn $name() {
                let Some(host) = crate::support::Host::docker() else { return };
                super::$name(host).await;
            })*
        }
    };
}
pub(crate) use on_each_backend;

/// The same for an agent that is an ordinary user and for one that is root.
macro_rules! for_each_agent {
    ($($name:ident),* $(,)?) => {
        mod namespace {
            $(mod $name {
                use launcher::backend::AgentUser;
                #[tokio::test]
                async fn ordinary() {
                    super::super::$name(crate::support::Host::of(AgentUser::Ordinary)).await;
                }
                #[tokio::test]
                async fn root() {
                    super::super::$name(crate::support::Host::of(AgentUser::Root)).await;
                }
            })*
        }
        mod docker {
            $(mod $name {
                use launcher::backend::AgentUser;
                #[tokio::test]
                async fn ordinary() {
                    let Some(host) = crate::support::Host::docker_of(AgentUser::Ordinary) else { return };
                    super::super::$name(host).await;
                }
                #[tokio::test]
                async fn root() {
                    let Some(host) = crate::support::Host::docker_of(AgentUser::Root) else { return };
                    super::super::$name(host).await;
                }
            })*
        }
    };
}
pub(crate) use for_each_agent;

/// The same for containers under gVisor.
macro_rules! under_gvisor {
    ($($name:ident),* $(,)?) => {
        mod gvisor {
            $(#[tokio::test]
            async fn $name() {
                let Some(host) = crate::support::Host::gvisor() else { return };
                super::$name(host).await;
            })*
        }
    };
}
pub(crate) use under_gvisor;

pub(crate) struct Host {
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) state: StateRoot,
    pub(crate) user: AgentUser,
    /// Of containers.
    pub(crate) runtime: Option<RuntimeName>,
    home: Option<tempfile::TempDir>,
}

impl Host {
    pub(crate) fn new() -> Self {
        Self::of(AgentUser::Ordinary)
    }

    /// One whose agents are such a user.
    pub(crate) fn of(user: AgentUser) -> Self {
        let home = tempfile::tempdir().unwrap();
        let state = StateRoot::below(home.path());
        let backend = Arc::new(namespace(&state, user));
        Self { backend, state, user, runtime: None, home: Some(home) }
    }

    pub(crate) fn at(home: &Path) -> Self {
        let (state, user) = (StateRoot::below(home), AgentUser::Ordinary);
        let backend = Arc::new(namespace(&state, user));
        Self { backend, state, user, runtime: None, home: None }
    }

    /// One whose bottles are containers of the engine that all tests share; nothing where there is none.
    pub(crate) fn docker() -> Option<Self> {
        Self::docker_of(AgentUser::Ordinary)
    }

    /// The same with agents that are such a user.
    pub(crate) fn docker_of(user: AgentUser) -> Option<Self> {
        let home = tempfile::tempdir().unwrap();
        let host = Self::docker_at(home.path(), Engine::shared()?.socket(), user);
        Some(Self { home: Some(home), ..host })
    }

    /// One under gVisor.
    pub(crate) fn gvisor() -> Option<Self> {
        let home = tempfile::tempdir().unwrap();
        let host = Self::docker_at(home.path(), Engine::with_gvisor()?.socket(), AgentUser::Ordinary);
        Some(Self { home: Some(home), runtime: Some(RuntimeName::Runsc), ..host })
    }

    pub(crate) fn docker_at(home: &Path, engine: &Path, user: AgentUser) -> Self {
        Self::docker_with(home, |config| {
            config.engine = EngineAddress::of(Some(&format!("unix://{}", engine.display())));
            config.user = user;
        })
    }

    /// One that is told something else about its engine.
    pub(crate) fn docker_with(home: &Path, change: impl FnOnce(&mut DockerConfig)) -> Self {
        let state = StateRoot::below(home);
        let mut config = DockerConfig {
            engine: EngineAddress::of(None),
            init: init_program(),
            state: state.clone(),
            owner: launcher::identity::lasting(home).unwrap(),
            images: ImageChoice::default(),
            user: AgentUser::Ordinary,
            runtime: None,
        };
        change(&mut config);
        let user = config.user;
        let sidecars = Arc::new(namespace(&state, user));
        let backend = Arc::new(Docker::new(config, sidecars).unwrap());
        Self { backend, state, user, runtime: None, home: None }
    }

    /// Where it is, if it is one of its own.
    pub(crate) fn home(&self) -> &Path {
        self.home.as_ref().unwrap().path()
    }

    pub(crate) async fn bottle(&self, name: &str) -> Box<dyn Boundary> {
        self.limited_bottle(name, Limits::default()).await
    }

    pub(crate) async fn limited_bottle(&self, name: &str, limits: Limits) -> Box<dyn Boundary> {
        self.try_limited_bottle(name, limits).await.unwrap()
    }

    pub(crate) async fn try_bottle(&self, name: &str) -> Result<Box<dyn Boundary>, BackendError> {
        self.try_limited_bottle(name, Limits::default()).await
    }

    async fn try_limited_bottle(
        &self,
        name: &str,
        limits: Limits,
    ) -> Result<Box<dyn Boundary>, BackendError> {
        let bottle: Slug = name.parse().unwrap();
        self.state.of(&bottle).create().unwrap();
        let ports = vec![SocketAddr::from(([127, 0, 0, 1], 9099))];
        let spec = BoundarySpec {
            bottle,
            limits,
            ports,
            programs: Vec::new(),
            image: None,
            runtime: self.runtime,
            progress: Progress::default(),
        };
        self.backend.create(spec).await
    }
}

fn namespace(state: &StateRoot, user: AgentUser) -> Namespace {
    let config = NamespaceConfig {
        bubblewrap: PathBuf::from("/usr/bin/bwrap"),
        init: init_program(),
        state: state.clone(),
        user,
    };
    Namespace::new(config).unwrap()
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
