//! A bus, a supervisor that stores everything, and a home with agents; launchers in it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base::clock::Clock;
use base::lifecycle::Lifecycle;
use bus::keys::{BottleMinter, Keys};
use bus::layout::{LAUNCHERS, Layout, Queue};
use bus::message::revision::{PolicyChange, PolicyChangeReply};
use bus::message::run::{Exited, Failed, Started};
use bus::message::start::StartRequest;
use bus::role::Role;
use bus::server::{Options, Server};
use bus::{Bus, Connect, Subscription};
use engine::Engine;
use launcher::backend::AgentUser;
use launcher::backend::docker::{Docker, DockerConfig, EngineAddress, ImageChoice};
use launcher::backend::namespace::Namespace;
use launcher::backends::Backends;
use launcher::probe::ProbeTargets;
use launcher::state::StateRoot;
use launcher::{Deps, Launcher, LauncherConfig, Observer};

use super::{LIMIT, init_program};
use crate::docker::containers;

/// After how long of silence a request is given out again.
const ACK_WAIT: Duration = Duration::from_secs(2);

/// Makes a test in each world out of each of these functions: one whose bottles are boxes, and one whose bottles are containers.
macro_rules! in_each_world {
    ($flavor:literal: $($name:ident),* $(,)?) => {
        mod namespace {
            $(#[tokio::test(flavor = $flavor)]
            async fn $name() {
                super::$name(crate::support::world::World::new().await).await;
            })*
        }
        mod docker {
            $(#[tokio::test(flavor = $flavor)]
            async fn $name() {
                let Some(world) = crate::support::world::World::docker().await else { return };
                super::$name(world).await;
            })*
        }
    };
}
pub(crate) use in_each_world;

/// The file in a home that names the socket of the engine that its bottles are on. Launchers of other processes read it, too.
const ENGINE: &str = "engine-of-the-test";

pub(crate) struct World {
    pub(crate) home: tempfile::TempDir,
    /// What has its bottles, where those are containers.
    pub(crate) engine: Option<&'static Engine>,
    pub(crate) operator: Bus,
    url: String,
    life: Lifecycle,
    server: Option<Server>,
}

/// One launcher of this process.
pub(crate) struct Running {
    life: Lifecycle,
    pub(crate) reconciled: launcher::reconcile::Reconciled,
}

impl World {
    pub(crate) async fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let keys = Keys::init(home.path()).unwrap();
        let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.tools/bin/nats-server");
        let binary = tools.exists().then_some(tools);
        let server = Server::start(Options { binary, ..Options::new(home.path()) }).await.unwrap();
        let url = server.url().to_owned();
        let queues = vec![Queue { ack_wait: ACK_WAIT, ..LAUNCHERS }];
        let admin = connect(&url, &keys, Role::Admin).await;
        bus::provision(&admin, &Layout { queues, ..Layout::default() }).await.unwrap();
        programs(home.path());
        let life = Lifecycle::new();
        supervise(connect(&url, &keys, Role::Supervisor).await, &life).await;
        let operator = connect(&url, &keys, Role::Operator).await;
        Self { home, engine: None, operator, url, life, server: Some(server) }
    }

    /// One whose bottles are containers of the engine that all tests share; nothing where there is none.
    pub(crate) async fn docker() -> Option<Self> {
        let engine = Engine::shared()?;
        let world = Self { engine: Some(engine), ..Self::new().await };
        world.write(ENGINE, engine.socket().to_str().unwrap());
        Some(world)
    }

    /// Writes an agent `tester` whose bottle runs this command.
    pub(crate) fn agent(&self, argv: &[&str], more: &str) {
        self.agent_with(argv, "prompt: stdin", more);
    }

    /// The same, with one more option of the provider.
    pub(crate) fn agent_with(&self, argv: &[&str], option: &str, more: &str) {
        let argv = serde_json::to_string(argv).unwrap();
        let provider = format!("agent_provider: {{template: command, argv: {argv}, {option}}}\n");
        self.write("bottles/dev.md", &format!("---\n{provider}{more}\n---\n"));
        self.write("agents/tester.md", "---\nbottle: dev\n---\n");
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.home.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub(crate) async fn launcher(&self) -> Running {
        self.launcher_with(|_| (), launcher::world::nobody()).await
    }

    pub(crate) async fn launcher_with(
        &self,
        change: impl FnOnce(&mut LauncherConfig),
        observer: Observer,
    ) -> Running {
        launcher_at(self.home.path(), &self.url, change, observer).await
    }

    /// What a victim process needs to be a launcher here.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) async fn as_launcher(&self) -> Bus {
        connect(&self.url, &Keys::load(self.home.path()).unwrap(), Role::Launcher).await
    }

    pub(crate) async fn start(&self, id: &str) {
        self.operator.publish(&request(id)).await.unwrap();
    }

    pub(crate) async fn events(&self) -> Events {
        let operator = &self.operator;
        Events {
            started: operator.subscribe("bottle.started.*").await.unwrap(),
            exited: operator.subscribe("bottle.exited.*").await.unwrap(),
            failed: operator.subscribe("bottle.failed.*").await.unwrap(),
        }
    }

    /// Starts a request and waits for its end.
    pub(crate) async fn run(&self, id: &str) -> Exited {
        let mut events = self.events().await;
        self.start(id).await;
        events.exited().await
    }

    /// Nothing of any bottle is on the disk but what was kept on purpose.
    pub(crate) fn left(&self) -> Vec<PathBuf> {
        let state = std::fs::read_dir(self.home.path().join("state")).into_iter().flatten().flatten();
        state.map(|entry| entry.path()).collect()
    }

    pub(crate) async fn end(mut self) {
        self.life.stop();
        self.life.run(LIMIT).await;
        self.server.take().unwrap().stop().await;
        if let Some(engine) = self.engine {
            assert_eq!(containers(engine, self.home.path()), Vec::<String>::new(), "containers are left");
        }
    }
}

impl Running {
    pub(crate) async fn stop(self) {
        self.life.stop();
        assert_eq!(self.life.run(LIMIT).await, base::lifecycle::Ending::Clean);
    }
}

pub(crate) struct Events {
    started: Subscription<Started>,
    exited: Subscription<Exited>,
    failed: Subscription<Failed>,
}

impl Events {
    pub(crate) async fn started(&mut self) -> Started {
        tokio::time::timeout(LIMIT, self.started.next()).await.unwrap().unwrap().message.unwrap()
    }

    /// The start of that try of a request; what else is told is passed over.
    pub(crate) async fn started_of(&mut self, request: &str, attempt: u64) -> Started {
        loop {
            let started = self.started().await;
            if started.request.as_str() == request && started.attempt == attempt {
                return started;
            }
        }
    }

    pub(crate) async fn exited(&mut self) -> Exited {
        let failed = async { self.failed.next().await.unwrap().message.unwrap() };
        let exited = async { self.exited.next().await.unwrap().message.unwrap() };
        tokio::select! {
            exited = tokio::time::timeout(LIMIT, exited) => exited.unwrap(),
            failed = failed => panic!("{failed:?}"),
        }
    }

    /// The end of that request's run; other ends are passed over.
    pub(crate) async fn exited_of(&mut self, request: &str) -> Exited {
        loop {
            let exited = self.exited().await;
            if exited.request.as_str() == request {
                return exited;
            }
        }
    }

    pub(crate) async fn failed(&mut self) -> Failed {
        tokio::time::timeout(LIMIT, self.failed.next()).await.unwrap().unwrap().message.unwrap()
    }
}

/// A launcher on a home, which may be another process's world.
pub(crate) async fn launcher_at(
    home: &Path,
    url: &str,
    change: impl FnOnce(&mut LauncherConfig),
    observer: Observer,
) -> Running {
    let mut config = LauncherConfig::new(home.to_owned(), home.join("programs"), url.to_owned());
    config.ack_wait = ACK_WAIT;
    config.targets = ProbeTargets::canaries_only();
    config.environment = Default::default();
    change(&mut config);
    let keys = Keys::load(home).unwrap();
    let deps = Deps {
        bus: connect(url, &keys, Role::Launcher).await,
        minter: BottleMinter::load(home).unwrap(),
        backends: backends(&config),
        clock: Clock::System,
        observer,
    };
    let life = Lifecycle::new();
    let (launcher, reconciled) = Launcher::build(config, deps, &life).await.unwrap();
    launcher.run();
    Running { life, reconciled }
}

/// Those of the release, or only containers where the home names an engine.
fn backends(config: &LauncherConfig) -> Backends {
    let Ok(socket) = std::fs::read_to_string(config.home.join(ENGINE)) else {
        return Backends::of(config).unwrap();
    };
    let docker = DockerConfig {
        engine: EngineAddress::of(Some(&format!("unix://{socket}"))),
        init: init_program(),
        state: StateRoot::below(&config.home),
        owner: launcher::identity::lasting(&config.home).unwrap(),
        images: ImageChoice::default(),
        user: AgentUser::Ordinary,
        runtime: None,
    };
    let sidecars = Arc::new(Namespace::new(config.namespace()).unwrap());
    Backends::only(Arc::new(Docker::new(docker, sidecars).unwrap()))
}

pub(crate) fn request(id: &str) -> StartRequest {
    serde_json::from_value(serde_json::json!({"v": 1, "id": id, "agent": "tester", "task": "the task"}))
        .unwrap()
}

async fn connect(url: &str, keys: &Keys, role: Role) -> Bus {
    Bus::connect(Connect::new(url, keys.mint(role, None).unwrap())).await.unwrap()
}

fn programs(home: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    let programs = home.join("programs");
    std::fs::create_dir(&programs).unwrap();
    std::os::unix::fs::symlink(init_program(), programs.join("bot-bottle-init")).unwrap();
    let sidecar = include_str!("sidecar.py");
    for (name, text) in [
        ("bot-bottle-egress", sidecar),
        ("bot-bottle-door", sidecar),
        ("bot-bottle-gitgate", sidecar),
        ("bot-bottle-deploy-keys", include_str!("deploy_keys.py")),
        ("gitleaks", "#!/bin/sh\n"),
    ] {
        let program = programs.join(name);
        std::fs::write(&program, text).unwrap();
        std::fs::set_permissions(program, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
}

/// Says that every first revision is stored.
async fn supervise(bus: Bus, life: &Lifecycle) {
    let mut changes: Subscription<PolicyChange> = bus.subscribe("policy.change").await.unwrap();
    let stop = life.stop_token();
    life.spawn(async move {
        while let Some(Ok(change)) = stop.run_until_cancelled(changes.next()).await {
            change.answer(&PolicyChangeReply::Stored { revision: 1 }).await.unwrap();
        }
    });
}
