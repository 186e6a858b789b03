//! A bus of its own for each test.

use std::path::{Path, PathBuf};
use std::time::Duration;

use base::id::{RequestId, Slug};
use bus::keys::Keys;
use bus::layout::Layout;
use bus::message::Version;
use bus::message::egress::Blocked;
use bus::message::start::StartRequest;
use bus::role::Role;
use bus::server::{Options, Server};
use bus::{Bus, Connect, Credentials};

/// Long enough for any answer on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// A private server with everything provisioned.
pub(crate) struct World {
    pub(crate) home: tempfile::TempDir,
    pub(crate) keys: Keys,
    pub(crate) server: Server,
}

/// The server that `deploy/tools/fetch` puts under the project.
pub(crate) fn binary() -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.tools/bin/nats-server");
    assert!(path.exists(), "{} is missing: run deploy/tools/fetch", path.display());
    path
}

pub(crate) fn options(home: &Path) -> Options {
    Options { binary: Some(binary()), ..Options::new(home) }
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::with(&Layout::default()).await
    }

    pub(crate) async fn with(layout: &Layout) -> Self {
        let home = tempfile::tempdir().unwrap();
        let keys = Keys::init(home.path()).unwrap();
        let server = Server::start(options(home.path())).await.unwrap();
        let world = Self { home, keys, server };
        bus::provision(&world.role(Role::Admin).await, layout).await.unwrap();
        world
    }

    pub(crate) async fn role(&self, role: Role) -> Bus {
        self.connect(self.keys.mint(role, None).unwrap()).await
    }

    pub(crate) async fn bottle(&self, slug: &Slug) -> Bus {
        self.connect(self.keys.mint_bottle(slug, SOON * 10).unwrap()).await
    }

    pub(crate) async fn connect(&self, credentials: Credentials) -> Bus {
        Bus::connect(Connect::new(self.server.url(), credentials)).await.unwrap()
    }

    /// Kills the server as a power cut would; its keeper starts it again.
    pub(crate) fn kill_server(&self) {
        // Clients may be back before the keeper has seen the server that it started last.
        let end = std::time::Instant::now() + SOON;
        let pid = loop {
            match self.server.pid() {
                Some(pid) => break pid,
                None => assert!(std::time::Instant::now() < end, "no server came back"),
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    }
}

pub(crate) fn slug(text: &str) -> Slug {
    text.parse().unwrap()
}

pub(crate) fn start_request(id: &str) -> StartRequest {
    StartRequest {
        v: Version,
        id: id.parse::<RequestId>().unwrap(),
        agent: "reviewer".parse().unwrap(),
        bottles: Vec::new(),
        task: None,
        workspace: None,
        resume: None,
        label: None,
        color: None,
        backend: None,
        runtime: None,
        terminal: None,
    }
}

pub(crate) fn blocked(bottle: &Slug, id: &str) -> Blocked {
    Blocked {
        v: Version,
        bottle: bottle.clone(),
        id: id.parse().unwrap(),
        at: "2026-11-21T12:00:00Z".parse().unwrap(),
        method: "GET".into(),
        scheme: "https".into(),
        host: "example.com".into(),
        port: Some(443),
        path: "/".into(),
        rule: "host_not_listed".into(),
        reason: "no route for example.com".into(),
        status: 403,
        revision: 1,
        found: None,
    }
}

/// Fails when something that should happen does not, instead of hanging.
pub(crate) async fn soon<F: Future>(what: &str, future: F) -> F::Output {
    tokio::time::timeout(SOON, future).await.unwrap_or_else(|_| panic!("{what}: not within {SOON:?}"))
}
