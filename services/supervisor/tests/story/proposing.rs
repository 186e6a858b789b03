//! A bottle that asks, and an operator who answers.

use base::clock::Clock;
use base::id::ProposalId;
use bus::layout::{PROPOSALS, PROPOSED};
use bus::message::egress::{Allowed, Log};
use bus::message::proposal::{
    Content, Decide, DecideReply, Decision, OperatorKey, ProposalGet, ProposalRecord, Proposed, Resolved,
    Scope, Standing, Verdict, Withdraw,
};
use bus::message::{Message, Version};
use bus::role::Role;
use bus::{Bus, Follow, Since, Subscription, Watch};

use crate::support::{SOON, Sidecar, World, bottle, soon};

pub(crate) const BOTTLE: Verdict = Verdict::Approve { scope: Scope::Bottle };
pub(crate) const ONCE: Verdict = Verdict::Approve { scope: Scope::Once };

pub(crate) struct Asker {
    pub(crate) sidecar: Sidecar,
    pub(crate) resolved: Subscription<Resolved>,
}

impl Asker {
    pub(crate) async fn of(world: &World) -> Self {
        let sidecar = world.sidecar().await;
        let resolved = sidecar.bus.subscribe("proposal.resolved.me-00000").await.unwrap();
        Self { sidecar, resolved }
    }

    pub(crate) async fn asks(&self, content: Content, justification: &str) -> Proposed {
        let proposed = Proposed::new(bottle(), content, 1, Clock::System.now());
        let proposed = Proposed { justification: Some(justification.to_owned()), ..proposed };
        self.sidecar.bus.publish(&proposed).await.unwrap();
        proposed
    }

    pub(crate) async fn hears(&mut self) -> Resolved {
        soon("an end", self.resolved.next()).await.unwrap().message.unwrap()
    }

    pub(crate) async fn standing(&self, proposal: &ProposalId) -> Standing {
        let get = ProposalGet { v: Version, bottle: bottle(), proposal: proposal.clone() };
        self.sidecar.bus.request(&get, SOON).await.unwrap()
    }

    pub(crate) async fn withdraws(&self, proposal: &ProposalId) -> Standing {
        let withdraw = Withdraw { v: Version, bottle: bottle(), proposal: proposal.clone() };
        self.sidecar.bus.request(&withdraw, SOON).await.unwrap()
    }

    /// Says that a request was let through.
    pub(crate) async fn logs(&self, revision: u64, host: &str, method: &str) {
        let line = Allowed {
            id: base::id::ExchangeId::random(),
            at: Clock::System.now(),
            method: method.into(),
            scheme: "https".into(),
            host: host.into(),
            port: 443,
            path: "/".into(),
            status: 200,
            sent: 0,
            received: 0,
            duration_ms: 1,
            revision,
            is_unscanned: false,
            found: Vec::new(),
        };
        let log = Log { v: Version, bottle: bottle(), batch: 1, lines: vec![line] };
        self.sidecar.bus.publish(&log).await.unwrap();
    }
}

pub(crate) struct Answerer {
    pub(crate) bus: Bus,
    pub(crate) key: OperatorKey,
    pub(crate) ends: Follow<Resolved>,
    entries: Watch<ProposalRecord>,
}

impl Answerer {
    /// An operator whom the supervisor knows.
    pub(crate) async fn of(world: &World) -> Self {
        let bus = world.role(Role::Operator).await;
        let key = OperatorKey::generate();
        supervisor::operators::admit(world.home.path(), &key.id(), "tester").unwrap();
        let entries = bus.bucket(&PROPOSED).watch().await.unwrap();
        let ends = bus.follow(PROPOSALS, "proposal.resolved.*", Since::Now).await.unwrap();
        Self { bus, key, ends, entries }
    }

    /// The next stored state of a proposal that is as wanted.
    pub(crate) async fn sees(&mut self, is_it: impl Fn(&ProposalRecord) -> bool) -> ProposalRecord {
        let seen = async {
            loop {
                let change = self.entries.next().await.unwrap();
                if let Some(Ok(entry)) = change.value
                    && is_it(&entry.value)
                {
                    return entry.value;
                }
            }
        };
        soon("a card", seen).await
    }

    pub(crate) fn signs(&self, card: &ProposalRecord, base: u64, verdict: Verdict) -> Decide {
        signed(&self.key, card, base, verdict)
    }

    pub(crate) async fn sends(&self, decide: &Decide) -> DecideReply {
        self.bus.request(decide, SOON * 2).await.unwrap()
    }

    pub(crate) async fn answers(&self, card: &ProposalRecord, base: u64, verdict: Verdict) -> DecideReply {
        self.sends(&self.signs(card, base, verdict)).await
    }
}

pub(crate) fn signed(key: &OperatorKey, card: &ProposalRecord, base: u64, verdict: Verdict) -> Decide {
    let (proposal, hash) = (card.proposal.clone(), card.hash.clone());
    let (reason, at) = (Some("fine".to_owned()), Clock::System.now());
    Decide::signed(Decision { proposal, hash, base, verdict, reason, at }, key)
}

pub(crate) fn egress(host: &str, methods: &[&str]) -> Content {
    json(serde_json::json!({ "kind": "egress", "host": host, "methods": methods }))
}

pub(crate) fn json<T: serde::de::DeserializeOwned>(value: serde_json::Value) -> T {
    serde_json::from_value(value).unwrap()
}

/// Whatever a stolen credential may publish as a proposal.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub(crate) struct Forged(pub(crate) serde_json::Value);

impl Message for Forged {
    const PATTERN: &'static str = "proposal.new.*";
    fn subject(&self) -> String {
        "proposal.new.me-00000".to_owned()
    }
}
