//! A bus of its own for each story, events to record, and the trail as a reader sees it.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use base::clock::Clock;
use base::id::Slug;
use base::lifecycle::{Ending, Lifecycle};
use bus::keys::Keys;
use bus::layout::{AUDIT, Layout};
use bus::message::Version;
use bus::message::audit::AuditRecord;
use bus::message::egress::{Allowed, Blocked, Log};
use bus::message::run::{Failed, FailureKind};
use bus::role::Role;
use bus::server::{Options, Server};
use bus::{Bus, Connect, Since};
use supervisor::audit::{Anchor, Place, Report, Stored, Verifier};
use tokio::process::{Child, Command};

/// Long enough for anything on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(60);

pub(crate) struct World {
    pub(crate) home: tempfile::TempDir,
    keys: Keys,
    server: Server,
}

impl World {
    pub(crate) async fn start() -> Self {
        let home = tempfile::tempdir().unwrap();
        let keys = Keys::init(home.path()).unwrap();
        let binary = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.tools/bin/nats-server");
        assert!(binary.exists(), "{} is missing: run deploy/tools/fetch", binary.display());
        let options = Options { binary: Some(binary), ..Options::new(home.path()) };
        let server = Server::start(options).await.unwrap();
        let world = Self { home, keys, server };
        world.provision().await;
        world
    }

    pub(crate) async fn provision(&self) {
        bus::provision(&self.role(Role::Admin).await, &Layout::default()).await.unwrap();
    }

    fn connect(&self, role: Role) -> Connect {
        Connect::new(self.server.url(), self.keys.mint(role, None).unwrap())
    }

    pub(crate) async fn role(&self, role: Role) -> Bus {
        Bus::connect(self.connect(role)).await.unwrap()
    }

    pub(crate) async fn bottle(&self) -> Bus {
        let credentials = self.keys.mint_bottle(&bottle(), SOON * 10).unwrap();
        Bus::connect(Connect::new(self.server.url(), credentials)).await.unwrap()
    }

    pub(crate) async fn admin(&self) -> async_nats::Client {
        self.raw(self.keys.mint(Role::Admin, None).unwrap()).await
    }

    pub(crate) async fn sidecar(&self) -> async_nats::Client {
        self.raw(self.keys.mint_bottle(&bottle(), SOON * 10).unwrap()).await
    }

    /// The server's own client, for what the bus crate would never say.
    async fn raw(&self, credentials: bus::Credentials) -> async_nats::Client {
        let file = self.home.path().join(credentials.name());
        std::fs::write(&file, credentials.to_file().expose()).unwrap();
        let options = async_nats::ConnectOptions::with_credentials_file(file).await.unwrap();
        options.custom_inbox_prefix(credentials.inbox()).connect(self.server.url()).await.unwrap()
    }

    pub(crate) fn place(&self) -> Place {
        Place::of(self.home.path())
    }

    /// A writer in this process, on a connection of its own.
    pub(crate) async fn write(&self) -> Writing {
        self.write_at(self.place()).await.unwrap()
    }

    pub(crate) async fn write_at(&self, place: Place) -> Result<Writing, supervisor::audit::AuditError> {
        let life = Lifecycle::new();
        let bus = self.role(Role::Supervisor).await;
        supervisor::audit::start(&bus, place, Clock::System, &life).await.map(|()| Writing(life))
    }

    /// The supervisor's program.
    pub(crate) fn process(&self) -> Child {
        let credentials = self.home.path().join("supervisor.creds");
        let minted = self.keys.mint(Role::Supervisor, None).unwrap();
        std::fs::write(&credentials, minted.to_file().expose()).unwrap();
        Command::new(env!("CARGO_BIN_EXE_bot-bottle-supervisor"))
            .env("NATS_URL", self.server.url())
            .env("BOT_BOTTLE_CREDENTIALS", credentials)
            .env("BOT_BOTTLE_HOME", self.home.path())
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap()
    }

    /// Kills the bus's server as a power cut would; its keeper starts it again.
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

    /// The stored bytes of every record.
    pub(crate) async fn trail(&self) -> Vec<Vec<u8>> {
        let operator = self.role(Role::Operator).await;
        let mut trail = operator.follow::<Stored>(AUDIT, ">", Since::All).await.unwrap();
        let mut lines = Vec::new();
        while let Some(record) = trail.stored().await.unwrap() {
            lines.push(record.message.unwrap().0);
        }
        lines
    }

    /// Reads the trail until events up to this one are recorded and vouched for.
    pub(crate) async fn until_recorded(&self, event: u64) -> Vec<Vec<u8>> {
        let operator = self.role(Role::Operator).await;
        let read = async {
            let mut trail = operator.follow::<Stored>(AUDIT, ">", Since::All).await.unwrap();
            let (mut lines, mut last) = (Vec::new(), 0);
            loop {
                lines.push(trail.next().await.unwrap().message.unwrap().0);
                let record = parse(lines.last().unwrap());
                last = last.max(record.source.as_ref().map_or(0, |source| source.sequence));
                if last >= event && record.signature.is_some() {
                    return lines;
                }
            }
        };
        soon("the record", read).await
    }

    pub(crate) fn verify(&self, lines: &[Vec<u8>], anchors: &[Anchor]) -> Report {
        let keys = self.place().known_keys().unwrap().unwrap();
        let mut verifier = Verifier::new(&keys, anchors.iter().copied());
        for line in lines {
            verifier.push(line);
        }
        verifier.finish()
    }
}

/// A writer in this process.
pub(crate) struct Writing(Lifecycle);

impl Writing {
    pub(crate) async fn stop(self) {
        self.0.stop();
        assert_eq!(self.0.run(SOON).await, Ending::Clean);
    }
}

pub(crate) fn parse(line: &[u8]) -> AuditRecord {
    serde_json::from_slice(line).unwrap()
}

/// The places in EVENTS that have records, in the trail's order.
pub(crate) fn sources(lines: &[Vec<u8>]) -> Vec<u64> {
    lines.iter().filter_map(|line| parse(line).source).map(|source| source.sequence).collect()
}

pub(crate) fn bottle() -> Slug {
    "me-00000".parse().unwrap()
}

pub(crate) fn failed(n: u64) -> Failed {
    Failed {
        v: Version,
        request: format!("r{n}").parse().unwrap(),
        bottle: None,
        kind: FailureKind::Manifest,
        step: None,
        reason: "no such agent".into(),
        at: at(),
    }
}

pub(crate) fn blocked(id: &str) -> Blocked {
    Blocked {
        v: Version,
        bottle: bottle(),
        id: id.parse().unwrap(),
        at: at(),
        method: "GET".into(),
        scheme: "https".into(),
        host: "evil.example".into(),
        port: Some(443),
        path: "/\u{1b}[2J".into(),
        rule: "unlisted-host".into(),
        reason: "no route for evil.example".into(),
        status: 403,
        revision: 1,
        found: None,
    }
}

/// A batch of this many requests for paths of this length.
pub(crate) fn log(lines: usize, path: usize) -> Log {
    let line = Allowed {
        id: "x1".parse().unwrap(),
        at: at(),
        method: "GET".into(),
        scheme: "https".into(),
        host: "a.example".into(),
        port: 443,
        // Three bytes on the wire, eight in the record.
        path: "\u{202e}".repeat(path),
        status: 200,
        sent: 0,
        received: 1,
        duration_ms: 1,
        revision: 1,
        is_unscanned: false,
        found: Vec::new(),
    };
    Log { v: Version, bottle: bottle(), batch: 1, lines: vec![line; lines] }
}

fn at() -> jiff::Timestamp {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

/// Fails when something that should happen does not, instead of hanging.
pub(crate) async fn soon<F: Future>(what: &str, future: F) -> F::Output {
    tokio::time::timeout(SOON, future).await.unwrap_or_else(|_| panic!("{what}: not within {SOON:?}"))
}

/// An empty folder in a home, as the trail's place of another supervisor with the same key.
pub(crate) fn other_place(world: &World, name: &str) -> (PathBuf, Place) {
    let home = world.home.path().join(name);
    std::fs::create_dir_all(home.join("audit")).unwrap();
    for file in ["key", "key.pem"] {
        std::fs::copy(world.home.path().join("audit").join(file), home.join("audit").join(file)).unwrap();
    }
    let place = Place::of(&home);
    (home, place)
}
