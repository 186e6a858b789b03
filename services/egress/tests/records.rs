//! Records and policies over a real bus that comes and goes.

use std::collections::BTreeSet;
use std::mem::MaybeUninit;
use std::path::Path;
use std::time::Duration;

use base::clock::Clock;
use base::id::Slug;
use base::lifecycle::Lifecycle;
use bus::keys::Keys;
use bus::layout::{EVENTS, Layout};
use bus::message::Version;
use bus::message::egress::{Blocked, Log};
use bus::message::revision::{PolicyGet, PolicyGetReply, PolicyRevision, PolicyRunning};
use bus::role::Role;
use bus::server::{Options, Server};
use bus::{Bus, Connect, Follow, Since};
use egress::config::BusConfig;
use egress::{Destination, live};
use handover::sidecar::EgressLimits;
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::agent::{Http1, Via, limited, readable, rule};
use crate::origin::{Origin, Speaks};
use crate::proxy::{config, policy, route};

pub(crate) const BOTTLE: &str = "agent-abcde";

/// A bus of its own, which can be away.
pub(crate) struct World {
    home: tempfile::TempDir,
    keys: Keys,
    server: Option<Server>,
    port: u16,
}

impl World {
    pub(crate) async fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let keys = Keys::init(home.path()).unwrap();
        let server = Server::start(options(home.path(), None)).await.unwrap();
        let port = server.url().rsplit_once(':').unwrap().1.trim_end_matches('/').parse().unwrap();
        let world = Self { home, keys, server: Some(server), port };
        bus::provision(&world.role(Role::Admin).await, &Layout::default()).await.unwrap();
        world
    }

    fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    pub(crate) async fn role(&self, role: Role) -> Bus {
        Bus::connect(Connect::new(self.url(), self.keys.mint(role, None).unwrap())).await.unwrap()
    }

    pub(crate) async fn go_away(&mut self) {
        self.server.take().unwrap().stop().await;
    }

    pub(crate) async fn come_back(&mut self) {
        self.server = Some(Server::start(options(self.home.path(), Some(self.port))).await.unwrap());
    }

    /// A proxy of the bottle, whose records wait in `spool`.
    pub(crate) async fn proxy(
        &self,
        origin: &Origin,
        routes: &[Value],
        spool: &Path,
        limits: EgressLimits,
    ) -> OnBus {
        let life = Lifecycle::new();
        let (published, connection) = watch::channel(None);
        let config = config(origin, routes, limits, spool);
        let proxy =
            egress::build(config, Destination::Bus(connection.clone()), Clock::System, &life).unwrap();
        let credentials = self.keys.mint_bottle(&slug(), Duration::from_secs(600)).unwrap();
        let access = BusConfig { url: self.url(), credentials, trace: bus::Trace::random() };
        life.spawn(live::follow(access, slug(), proxy.policies(), published, life.clone()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let via =
            Via { address: listener.local_addr().unwrap(), certificate: proxy.certificate().to_owned() };
        proxy.run(vec![listener]);
        OnBus { via, life, connection }
    }
}

pub(crate) struct OnBus {
    pub(crate) via: Via,
    life: Lifecycle,
    connection: watch::Receiver<Option<Bus>>,
}

impl OnBus {
    pub(crate) async fn is_connected(&mut self) {
        limited(self.connection.wait_for(Option::is_some)).await.unwrap();
    }

    async fn stop(self) {
        self.life.stop();
        self.life.run(Duration::from_secs(10)).await;
    }
}

fn options(home: &Path, port: Option<u16>) -> Options {
    let binary = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.tools/bin/nats-server");
    assert!(binary.exists(), "{} is missing: run deploy/tools/fetch", binary.display());
    Options { port, binary: Some(binary), ..Options::new(home) }
}

pub(crate) fn slug() -> Slug {
    BOTTLE.parse().unwrap()
}

/// Waits until the files of a directory are as they should be, and looks whenever one changes.
async fn until(directory: &Path, mut is_so: impl FnMut() -> bool) {
    let mut changes = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).unwrap();
    inotify::add_watch(&changes, directory, WatchFlags::MODIFY | WatchFlags::CREATE).unwrap();
    limited(async {
        while !is_so() {
            changes = readable(changes).await;
            let mut space = [MaybeUninit::uninit(); 4096];
            let mut events = inotify::Reader::new(&changes, &mut space);
            while events.next().is_ok() {}
        }
    })
    .await;
}

fn is_empty(spool: &Path) -> bool {
    std::fs::metadata(spool.join("records")).unwrap().len() == 0
}

async fn blocked_paths(follow: &mut Follow<Blocked>, count: usize) -> Vec<String> {
    let mut paths = Vec::new();
    while paths.len() < count {
        paths.push(limited(follow.next()).await.unwrap().message.unwrap().path);
    }
    paths
}

fn one_path(origin: &Origin) -> Value {
    route(origin, json!({ "matches": [{ "paths": [{ "type": "exact", "value": "/" }] }] }))
}

#[tokio::test]
async fn records_reach_the_bus_in_order_whatever_happens_to_it() {
    let (mut world, origin) = (World::new().await, Origin::start(Speaks::Tls).await);
    let supervisor = world.role(Role::Supervisor).await;
    let spool = tempfile::tempdir().unwrap();
    let mut proxy = world.proxy(&origin, &[one_path(&origin)], spool.path(), EgressLimits::default()).await;
    proxy.is_connected().await;
    let filter = format!("egress.blocked.{BOTTLE}");
    let mut follow = supervisor.follow::<Blocked>(EVENTS, &filter, Since::Sequence(0)).await.unwrap();

    let mut agent = Http1::new(&proxy.via).await;
    assert_eq!((agent.get("/").await.0, agent.get("/0").await.0), (200, 403));
    assert_eq!(blocked_paths(&mut follow, 1).await, ["/0"]);

    world.go_away().await;
    for path in ["/1", "/2", "/"] {
        agent.get(path).await;
    }
    let waits = |text: &str| std::fs::read_to_string(spool.path().join("records")).unwrap().contains(text);
    until(spool.path(), || waits(r#""path":"/2""#) && waits(r#""path":"/""#)).await;
    // The process ends while the bus is away; another one goes on with what it left.
    proxy.stop().await;
    let proxy = world.proxy(&origin, &[one_path(&origin)], spool.path(), EgressLimits::default()).await;
    let mut agent = Http1::new(&proxy.via).await;
    assert_eq!(agent.get("/3").await.0, 403);
    until(spool.path(), || waits(r#""path":"/3""#)).await;

    world.come_back().await;
    assert_eq!(blocked_paths(&mut follow, 3).await, ["/1", "/2", "/3"]);
    let filter = format!("egress.log.{BOTTLE}");
    let mut logs = supervisor.follow::<Log>(EVENTS, &filter, Since::Sequence(0)).await.unwrap();
    let mut batches = Vec::new();
    let mut ids = BTreeSet::new();
    while ids.len() < 2 {
        let log = limited(logs.next()).await.unwrap().message.unwrap();
        batches.push(log.batch);
        ids.extend(log.lines.into_iter().map(|line| line.id.to_string()));
    }
    assert_eq!(batches, (1..=batches.len() as u64).collect::<Vec<_>>());
    until(spool.path(), || is_empty(spool.path())).await;
    proxy.stop().await;
}

#[tokio::test]
async fn a_full_spool_lets_nothing_through_until_the_bus_is_back() {
    let (mut world, origin) = (World::new().await, Origin::start(Speaks::Tls).await);
    world.go_away().await;
    let spool = tempfile::tempdir().unwrap();
    let limits = EgressLimits { spool_bytes: 1000, ..EgressLimits::default() };
    let proxy = world.proxy(&origin, &[one_path(&origin)], spool.path(), limits).await;
    let mut agent = Http1::new(&proxy.via).await;
    let mut answers = 0;
    let refusal = loop {
        answers += 1;
        let (status, text) = agent.get("/other").await;
        if status == 503 {
            break text;
        }
        assert!(answers < 5000, "the spool never filled");
    };
    assert_eq!(rule(&refusal), "records-full");
    let (status, text) = agent.get("/").await;
    assert_eq!((status, rule(&text).as_str()), (503, "records-full"));
    assert!(origin.seen().is_empty());
    world.come_back().await;
    until(spool.path(), || is_empty(spool.path())).await;
    limited(async { while agent.get("/").await.0 != 200 {} }).await;
    proxy.stop().await;
}

#[tokio::test]
async fn a_pushed_revision_runs_and_is_confirmed() {
    let (mut world, origin) = (World::new().await, Origin::start(Speaks::Tls).await);
    let supervisor = world.role(Role::Supervisor).await;
    let mut asked = supervisor.subscribe::<PolicyGet>(&format!("policy.get.{BOTTLE}")).await.unwrap();
    let mut running =
        supervisor.subscribe::<PolicyRunning>(&format!("policy.running.{BOTTLE}")).await.unwrap();
    let spool = tempfile::tempdir().unwrap();
    let proxy = world.proxy(&origin, &[one_path(&origin)], spool.path(), EgressLimits::default()).await;
    let mut agent = Http1::new(&proxy.via).await;
    assert_eq!(agent.get("/new").await.0, 403);

    // It asks when it comes up.
    let current = revision(2, &[route(&origin, json!({}))]);
    runs((&mut asked, &mut running), current).await;
    assert_eq!(agent.get("/new").await.0, 200);

    supervisor.announce(&revision(3, &[])).await.unwrap();
    assert_eq!(said(&mut running).await, (3, None));
    assert_eq!(agent.get("/").await.0, 403);

    // What it cannot run, it says; what is old, too.
    supervisor
        .announce(&revision(4, &[route(&origin, json!({ "tls": { "ca": "/other.pem" } }))]))
        .await
        .unwrap();
    let (number, refused) = said(&mut running).await;
    assert_eq!(number, 3);
    assert!(refused.unwrap().contains("tls.ca"));
    supervisor.announce(&revision(2, &[route(&origin, json!({}))])).await.unwrap();
    assert!(said(&mut running).await.1.unwrap().contains("not newer"));
    assert_eq!(agent.get("/").await.0, 403);

    // While the bus was away a revision was missed; it asks again.
    world.go_away().await;
    assert_eq!(agent.get("/").await.0, 403);
    world.come_back().await;
    let current = revision(5, &[route(&origin, json!({}))]);
    runs((&mut asked, &mut running), current).await;
    assert_eq!(agent.get("/").await.0, 200);
    proxy.stop().await;
}

fn revision(number: u64, routes: &[Value]) -> PolicyRevision {
    PolicyRevision { v: Version, bottle: slug(), revision: number, policy: policy(routes) }
}

/// Answers with this revision until it runs: who was answered too late asks again.
async fn runs(
    (asked, running): (&mut bus::Subscription<PolicyGet>, &mut bus::Subscription<PolicyRunning>),
    policy: PolicyRevision,
) {
    let number = policy.revision;
    let current = PolicyGetReply::Found { policy };
    loop {
        tokio::select! {
            question = limited(asked.next()) => question.unwrap().answer(&current).await.unwrap(),
            (runs, refused) = said(running) => if runs == number {
                assert_eq!(refused, None);
                return;
            }
        }
    }
}

async fn said(running: &mut bus::Subscription<PolicyRunning>) -> (u64, Option<String>) {
    let said = limited(running.next()).await.unwrap().message.unwrap();
    (said.running, said.refused.map(|refused| refused.reason))
}
