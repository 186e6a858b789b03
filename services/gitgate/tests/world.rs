//! A gate between a bus, an upstream and clients.

use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base::clock::Clock;
use base::id::Slug;
use base::lifecycle::{Ending, Lifecycle};
use bus::keys::Keys;
use bus::layout::{EVENTS, Layout};
use bus::message::push::{Accepted, Rejected};
use bus::role::Role;
use bus::server::{Options, Server};
use bus::{Bus, Connect, Link, Malformed, Payload, Since, Trace};
use gitgate::Config;
use gitgate::config::{BusConfig, RepoConfig};
use handover::gitgate::GateLimits;
use handover::sidecar::Uplink;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::bench::Bench;
use crate::ssh::Sshd;
use crate::upstream::Upstream;

pub(crate) const BOTTLE: &str = "agent-abcde";
/// How long a story waits for anything.
const LONGEST: Duration = Duration::from_secs(60);

/// Waits, but not for ever.
pub(crate) async fn limited<T>(work: impl Future<Output = T>) -> T {
    timeout(LONGEST, work).await.expect("it happens in time")
}

/// Waits until the files of a directory are as they should be, and looks whenever one comes or goes.
pub(crate) async fn until(directory: &Path, mut is_so: impl FnMut() -> bool) {
    let mut changes = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).unwrap();
    inotify::add_watch(&changes, directory, WatchFlags::CREATE | WatchFlags::DELETE | WatchFlags::MOVE)
        .unwrap();
    while !is_so() {
        changes = readable(changes).await;
        let mut space = [MaybeUninit::uninit(); 4096];
        let mut events = inotify::Reader::new(&changes, &mut space);
        while events.next().is_ok() {}
    }
}

/// Waits until a descriptor has something to say, but not for ever.
async fn readable(descriptor: OwnedFd) -> OwnedFd {
    let limit = Timespec { tv_sec: 60, tv_nsec: 0 };
    let wait = move || {
        let ready =
            rustix::io::retry_on_intr(|| poll(&mut [PollFd::new(&descriptor, PollFlags::IN)], Some(&limit)))
                .unwrap();
        assert_eq!(ready, 1, "something happens in time");
        descriptor
    };
    tokio::task::spawn_blocking(wait).await.unwrap()
}

/// A bus of its own, which can be away.
pub(crate) struct Host {
    home: tempfile::TempDir,
    keys: Keys,
    server: Option<Server>,
    port: u16,
}

impl Host {
    pub(crate) async fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let keys = Keys::init(home.path()).unwrap();
        let server = Server::start(options(home.path(), None)).await.unwrap();
        let port = server.url().rsplit_once(':').unwrap().1.trim_end_matches('/').parse().unwrap();
        let host = Self { home, keys, server: Some(server), port };
        bus::provision(&host.role(Role::Admin).await, &Layout::default()).await.unwrap();
        host
    }

    fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    async fn role(&self, role: Role) -> Bus {
        Bus::connect(Connect::new(self.url(), self.keys.mint(role, None).unwrap())).await.unwrap()
    }

    pub(crate) async fn go_away(&mut self) {
        self.server.take().unwrap().stop().await;
    }

    pub(crate) async fn come_back(&mut self) {
        self.server = Some(Server::start(options(self.home.path(), Some(self.port))).await.unwrap());
    }

    /// What the bus has of pushes, from the first on, when there are so many.
    pub(crate) async fn events(&self, count: usize) -> Vec<Event> {
        let supervisor = self.role(Role::Supervisor).await;
        let filter = format!("push.*.{BOTTLE}");
        let mut records = limited(supervisor.follow::<Event>(EVENTS, &filter, Since::All)).await.unwrap();
        let mut events = Vec::new();
        while events.len() < count {
            events.push(limited(records.next()).await.unwrap().message.unwrap());
        }
        // One too many is as wrong as one too few.
        assert!(limited(records.stored()).await.unwrap().is_none(), "more than {count} events");
        events
    }
}

/// What was recorded of a push.
#[derive(Debug)]
pub(crate) enum Event {
    Accepted(Accepted),
    Rejected(Rejected),
}

impl Payload for Event {
    fn parse(subject: &str, payload: &[u8]) -> Result<Self, Malformed> {
        if subject.starts_with("push.accepted.") {
            Payload::parse(subject, payload).map(Self::Accepted)
        } else {
            Payload::parse(subject, payload).map(Self::Rejected)
        }
    }
}

fn options(home: &Path, port: Option<u16>) -> Options {
    let binary = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.tools/bin/nats-server");
    assert!(binary.exists(), "{} is missing: run deploy/tools/fetch", binary.display());
    Options { port, binary: Some(binary), ..Options::new(home) }
}

/// A running gate.
pub(crate) struct Running {
    pub(crate) port: u16,
    pub(crate) bench: Arc<Bench>,
    life: Lifecycle,
    connection: watch::Receiver<Option<Bus>>,
}

impl Running {
    /// Starts one whose state is in `spool`.
    pub(crate) async fn start(
        host: &Host,
        repos: impl IntoIterator<Item = (&'static str, RepoConfig)>,
        spool: &Path,
        limits: GateLimits,
        uplink: Uplink,
    ) -> Self {
        let life = Lifecycle::new();
        let bottle: Slug = BOTTLE.parse().unwrap();
        let credentials = host.keys.mint_bottle(&bottle, Duration::from_secs(600)).unwrap();
        let access = BusConfig { connect: Connect::new(host.url(), credentials), trace: Trace::random() };
        let connection = gitgate::live::keep(access, &life);
        let config = Config {
            bottle,
            repos: repos.into_iter().map(|(name, repo)| (name.to_owned(), repo)).collect(),
            uplink,
            spool: spool.to_owned(),
            git: crate::client::git(),
            ssh: Some(PathBuf::from("/usr/bin/ssh")),
            helper: PathBuf::from(env!("CARGO_BIN_EXE_bot-bottle-gitgate")),
            limits,
        };
        let bench = Arc::new(Bench::default());
        let gate = gitgate::build(config, Arc::clone(&bench) as _, connection.clone(), Clock::System, &life)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        gate.run(vec![listener]);
        Self { port, bench, life, connection }
    }

    pub(crate) fn url(&self, repo: &str) -> String {
        format!("http://127.0.0.1:{}/{repo}", self.port)
    }

    pub(crate) async fn is_connected(&mut self) {
        limited(self.connection.wait_for(Option::is_some)).await.unwrap();
    }

    /// Whether the gate has its bus.
    pub(crate) fn link(&self) -> watch::Receiver<Link> {
        self.connection.borrow().as_ref().expect("a connection").link()
    }

    /// Drops everything that it does.
    pub(crate) async fn kill(self) -> Ending {
        self.life.stop();
        self.life.run(Duration::ZERO).await
    }

    pub(crate) async fn stop(self) -> Ending {
        self.life.stop();
        self.life.run(Duration::from_secs(10)).await
    }
}

/// A gate in front of an SSH server with the usual repositories.
pub(crate) struct World {
    pub(crate) host: Host,
    pub(crate) upstream: Upstream,
    pub(crate) sshd: Sshd,
    pub(crate) spool: tempfile::TempDir,
    pub(crate) gate: Running,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(GateLimits::default()).await
    }

    pub(crate) async fn with(limits: GateLimits) -> Self {
        let (host, upstream, sshd) = tokio::join!(Host::new(), Upstream::new(), Sshd::start());
        let spool = tempfile::tempdir().unwrap();
        let repos = ["tools", "empty"].map(|name| (name, sshd.repo(&upstream.path(name))));
        let mut gate = Running::start(&host, repos, spool.path(), limits, Uplink::default()).await;
        gate.is_connected().await;
        Self { host, upstream, sshd, spool, gate }
    }

    pub(crate) fn url(&self, repo: &str) -> String {
        self.gate.url(repo)
    }

    /// What lies in quarantine.
    pub(crate) fn quarantined(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.spool.path().join("quarantine")).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }

    /// Records that are on disk.
    pub(crate) fn kept(&self) -> usize {
        std::fs::read_dir(self.spool.path().join("records")).unwrap().count()
    }
}
