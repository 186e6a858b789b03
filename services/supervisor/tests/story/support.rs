//! A bus, a supervisor and a sidecar of its own for each story.

use std::path::{Path, PathBuf};
use std::time::Duration;

use base::id::Slug;
use base::lifecycle::{Ending, Lifecycle};
use bus::keys::Keys;
use bus::layout::{Layout, POLICY};
use bus::message::record::BottleRecord;
use bus::message::revision::{
    Change, Confirm, PolicyChange, PolicyChangeReply, PolicyRevision, PolicyRunning, RefusedRevision,
};
use bus::message::{Message, Request, Version};
use bus::role::Role;
use bus::server::{Options, Server};
use bus::{Bus, Connect, Subscription};
use supervisor::Config;

/// Long enough for any answer on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(60);

pub(crate) struct World {
    pub(crate) home: tempfile::TempDir,
    pub(crate) keys: Keys,
    pub(crate) server: Server,
}

impl World {
    pub(crate) async fn start() -> Self {
        let home = tempfile::tempdir().unwrap();
        let keys = Keys::init(home.path()).unwrap();
        let options = Options { binary: Some(nats_server()), ..Options::new(home.path()) };
        let server = Server::start(options).await.unwrap();
        let world = Self { home, keys, server };
        bus::provision(&world.role(Role::Admin).await, &Layout::default()).await.unwrap();
        world
    }

    pub(crate) fn connect(&self, role: Role) -> Connect {
        Connect::new(self.server.url(), self.keys.mint(role, None).unwrap())
    }

    pub(crate) async fn role(&self, role: Role) -> Bus {
        Bus::connect(self.connect(role)).await.unwrap()
    }

    pub(crate) async fn supervise(&self, confirm_within: Duration) -> Supervised {
        self.supervise_with(|config| config.confirm_within = confirm_within).await
    }

    pub(crate) async fn supervise_with(&self, change: impl FnOnce(&mut Config)) -> Supervised {
        let life = Lifecycle::new();
        let mut config = Config::new(self.connect(Role::Supervisor), self.home.path().into());
        change(&mut config);
        supervisor::build(config).await.unwrap().start(&life).await.unwrap();
        Supervised(life)
    }

    pub(crate) async fn sidecar(&self) -> Sidecar {
        let credentials = self.keys.mint_bottle(&bottle(), SOON * 10).unwrap();
        let bus = Bus::connect(Connect::new(self.server.url(), credentials)).await.unwrap();
        let pushed = bus.subscribe("policy.changed.me-00000").await.unwrap();
        Sidecar { bus, pushed }
    }

    /// Puts a revision into the bucket as a supervisor would that was killed right after it.
    pub(crate) async fn store(&self, revision: u64, hosts: &[&str]) {
        self.store_of("me-00000", revision, hosts).await;
    }

    pub(crate) async fn store_of(&self, bottle: &str, revision: u64, hosts: &[&str]) {
        let Change::Replace { policy } = replace(hosts) else { unreachable!() };
        let revision = PolicyRevision { v: Version, bottle: bottle.parse().unwrap(), revision, policy };
        self.role(Role::Supervisor).await.bucket(&POLICY).put(bottle, &revision).await.unwrap();
    }

    /// Ends when these bottles have policies and no others.
    pub(crate) async fn until_policies_are(&self, bottles: &[&str]) {
        let operator = self.role(Role::Operator).await;
        while operator.bucket(&POLICY).keys().await.unwrap() != bottles {}
    }

    pub(crate) async fn stored(&self) -> (u64, Vec<String>) {
        let operator = self.role(Role::Operator).await;
        let stored = operator.bucket(&POLICY).get("me-00000").await.unwrap().unwrap().value;
        (stored.revision, hosts(&stored).into_iter().map(str::to_owned).collect())
    }
}

/// A supervisor in this process.
pub(crate) struct Supervised(Lifecycle);

impl Supervised {
    pub(crate) async fn stop(self) {
        self.0.stop();
        assert_eq!(self.0.run(SOON).await, Ending::Clean);
    }
}

/// A client that plays the bottle's sidecar.
pub(crate) struct Sidecar {
    pub(crate) bus: Bus,
    pushed: Subscription<PolicyRevision>,
}

impl Sidecar {
    pub(crate) async fn pushed(&mut self) -> PolicyRevision {
        soon("a revision", self.pushed.next()).await.unwrap().message.unwrap()
    }

    /// Takes the next revision and says that it runs it.
    pub(crate) async fn runs(&mut self) -> PolicyRevision {
        let revision = self.pushed().await;
        self.say(revision.revision, None).await;
        revision
    }

    /// Takes revisions, which may come more than once, until one of this number or a later one.
    pub(crate) async fn runs_at_least(&mut self, number: u64) -> PolicyRevision {
        loop {
            let revision = self.runs().await;
            if revision.revision >= number {
                return revision;
            }
        }
    }

    /// Takes the next revision and refuses it, still running `running`.
    pub(crate) async fn refuses(&mut self, running: u64) -> PolicyRevision {
        let revision = self.pushed().await;
        self.say(running, Some(revision.revision)).await;
        revision
    }

    async fn say(&self, running: u64, refused: Option<u64>) {
        let refused = refused.map(|revision| RefusedRevision { revision, reason: "no token for it".into() });
        let said = PolicyRunning { v: Version, bottle: bottle(), running, refused };
        self.bus.announce(&said).await.unwrap();
    }
}

/// What the registry has of a bottle that starts.
pub(crate) fn record(bottle: &str) -> BottleRecord {
    serde_json::from_value(serde_json::json!({
        "v": 1, "bottle": bottle, "request": "r1", "attempt": 1, "agent": "me", "bottles": [], "launcher": "l1",
        "backend": "namespace", "state": "starting", "label": "me", "created_at": "2026-01-01T00:00:00Z",
        "updated_at": "2026-01-01T00:00:00Z",
    }))
    .unwrap()
}

pub(crate) fn bottle() -> Slug {
    "me-00000".parse().unwrap()
}

pub(crate) fn change(base: u64, change: Change) -> PolicyChange {
    PolicyChange { v: Version, bottle: bottle(), base, change, confirm: Confirm::Running }
}

pub(crate) fn replace(hosts: &[&str]) -> Change {
    let routes: Vec<_> = hosts.iter().map(|host| serde_json::json!({ "host": host })).collect();
    Change::Replace { policy: serde_json::from_value(serde_json::json!({ "routes": routes })).unwrap() }
}

pub(crate) fn add(host: &str) -> Change {
    let route = serde_json::from_value(serde_json::json!({ "host": host })).unwrap();
    Change::AddRoute { route: Box::new(route) }
}

pub(crate) fn hosts(revision: &PolicyRevision) -> Vec<&str> {
    revision.policy.routes.iter().map(|route| route.host.as_str()).collect()
}

pub(crate) async fn ask(bus: &Bus, change: &PolicyChange) -> PolicyChangeReply {
    // One that has just begun may hear of its sidecars before it hears questions.
    let asked = async {
        loop {
            match bus.request(change, SOON * 2).await {
                Err(bus::BusError::NoResponders { .. }) => tokio::task::yield_now().await,
                reply => return reply.unwrap(),
            }
        }
    };
    tokio::time::timeout(SOON * 2, asked).await.unwrap()
}

/// Something on `policy.change` that is no change.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub(crate) struct Nonsense {
    pub(crate) v: u32,
}

impl Message for Nonsense {
    const PATTERN: &'static str = "policy.change";
    fn subject(&self) -> String {
        Self::PATTERN.to_owned()
    }
}

impl Request for Nonsense {
    type Reply = PolicyChangeReply;
}

fn nats_server() -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.tools/bin/nats-server");
    assert!(path.exists(), "{} is missing: run deploy/tools/fetch", path.display());
    path
}

/// Fails when something that should happen does not, instead of hanging.
pub(crate) async fn soon<F: Future>(what: &str, future: F) -> F::Output {
    tokio::time::timeout(SOON, future).await.unwrap_or_else(|_| panic!("{what}: not within {SOON:?}"))
}
