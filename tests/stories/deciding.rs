//! A bottle asks for a route, and a person grants less (S2, S9, invariant 5). The asker's part is played with the bottle's
//! own identity.

use base::clock::Clock;
use bus::keys::Keys;
use bus::layout::{POLICY, PROPOSED};
use bus::message::event::Event;
use bus::message::proposal::{
    Content, Decide, DecideReply, Decision, OperatorKey, Outcome, ProposalRecord, Proposed, Scope, Verdict,
};
use bus::role::Role;
use bus::{Bus, Connect, Credentials, Since, Watch, layout};
use harness::{Backend, LIMIT, World, on_each_backend, soon};
use policy::EgressPolicy;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// A person at the bus, whom the supervisor knows.
pub(crate) struct Operator {
    pub(crate) bus: Bus,
    key: OperatorKey,
    cards: Watch<ProposalRecord>,
    seen: Vec<base::id::ProposalId>,
}

pub(crate) async fn connect(world: &World, credentials: Credentials) -> Bus {
    let server = bus::server::find(world.home.path()).unwrap().unwrap();
    Bus::connect(Connect::new(server.url, credentials)).await.unwrap()
}

impl Operator {
    pub(crate) async fn of(world: &World) -> Self {
        let key = OperatorKey::generate();
        world.home.write_file("operators", &format!("{} tester\n", key.id()));
        let credentials = Keys::load(world.home.path()).unwrap().mint(Role::Operator, None).unwrap();
        let bus = connect(world, credentials).await;
        let cards = bus.bucket(&PROPOSED).watch().await.unwrap();
        Self { bus, key, cards, seen: Vec::new() }
    }

    /// The next proposal that waits and was not seen before.
    pub(crate) async fn card(&mut self) -> ProposalRecord {
        loop {
            let change = soon("a proposal", self.cards.next()).await.unwrap();
            if let Some(Ok(entry)) = change.value
                && entry.value.is_open()
                && !self.seen.contains(&entry.value.proposal)
            {
                self.seen.push(entry.value.proposal.clone());
                return entry.value;
            }
        }
    }

    pub(crate) async fn answer(
        &self,
        card: &ProposalRecord,
        verdict: Verdict,
        reason: Option<&str>,
    ) -> DecideReply {
        let policy = self.bus.bucket(&POLICY).get(card.bottle.as_str()).await.unwrap().unwrap().value;
        let decision = Decision {
            proposal: card.proposal.clone(),
            hash: card.hash.clone(),
            base: policy.revision,
            verdict,
            reason: reason.map(str::to_owned),
            at: Clock::System.now(),
        };
        self.bus.request(&Decide::signed(decision, &self.key), LIMIT).await.unwrap()
    }

    pub(crate) async fn resolve(&self, card: &ProposalRecord, verdict: Verdict, outcome: Outcome) {
        let reply = self.answer(card, verdict, Some("a word of the operator")).await;
        let DecideReply::Resolved { resolved } = reply else { panic!("{reply:?}") };
        assert_eq!(resolved.outcome, outcome);
    }
}

/// Asks once for what no route allows, until something of it is granted, and then for more than that.
const AGENT: &str = r#"
ask() { curl -s -o /dev/null -w '%{http_code}' "$@"; }
echo "$(ask http://new.example.com/docs/a)"
n=0
until [ "$(ask http://new.example.com/docs/a)" = 200 ]; do
  n=$((n + 1)); [ $n -lt 300 ] || exit 1; sleep 0.1
done
echo 200
echo "$(ask http://new.example.com/other)"
echo "$(ask -X POST -d x=1 http://new.example.com/docs/a)"
"#;

/// Answers every request with 200, as soon as it has its head.
pub(crate) async fn origin() -> (u16, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let mut stream = BufReader::new(stream);
            let mut line = String::new();
            while stream.read_line(&mut line).await.is_ok_and(|count| count > 2) {
                line.clear();
            }
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            let _ = stream.write_all(answer).await;
        }
    });
    (port, tasks)
}

on_each_backend!(a_person_grants_less_than_was_asked_for_and_more_is_still_refused);

async fn a_person_grants_less_than_was_asked_for_and_more_is_still_refused(on: Backend) {
    let world = World::up_on(on).await;
    let (port, _origin) = origin().await;
    // The route's address is the operator's; the agent asks for paths and methods.
    let route = serde_json::json!({
        "host": "new.example.com", "scheme": "http", "connect_to": format!("127.0.0.1:{port}"),
        "allow_private": ["127.0.0.0/8"], "matches": [{ "paths": [{ "type": "exact", "value": "/nothing" }] }],
    });
    let policy: EgressPolicy = serde_json::from_value(serde_json::json!({ "routes": [route] })).unwrap();
    world.home.write("asker", &["sh", "-c", AGENT], &policy);
    let mut operator = Operator::of(&world).await;
    let mut events = operator.bus.follow::<Event>(layout::EVENTS, "egress.>", Since::Now).await.unwrap();
    let mut start = world.home.command(&["start", "asker", "--yes"]).spawn().unwrap();
    let mut words = BufReader::new(start.stdout.take().unwrap()).lines();
    let mut word = async || soon("a status", words.next_line()).await.unwrap().unwrap();
    assert_eq!(word().await, "403");
    let blocked = soon("the refusal", async {
        loop {
            if let Ok(Event::Blocked(blocked)) = events.next().await.unwrap().message {
                return blocked;
            }
        }
    });
    let bottle = blocked.await.bottle;
    let identity = Keys::load(world.home.path()).unwrap().mint_bottle(&bottle, LIMIT).unwrap();
    let content: Content = serde_json::from_value(
        serde_json::json!({ "kind": "egress", "host": "new.example.com", "scheme": "http" }),
    )
    .unwrap();
    let asked = Proposed::new(bottle, content, 1, Clock::System.now());
    connect(&world, identity).await.publish(&asked).await.unwrap();

    let card = operator.card().await;
    assert_eq!(card.proposal, asked.proposal);
    let delta = serde_json::json!({
        "host": "new.example.com", "scheme": "http", "methods": ["GET"], "paths": [{ "type": "prefix", "value": "/docs" }],
    });
    let edited = serde_json::from_value(serde_json::json!({ "as": "delta", "delta": delta })).unwrap();
    operator.resolve(&card, Verdict::Modify { scope: Scope::Bottle, edited }, Outcome::Modified).await;
    assert_eq!(word().await, "200");
    assert_eq!((word().await.as_str(), word().await.as_str()), ("403", "403"));
    soon("its end", start.wait()).await.unwrap();
    world.down().await;
}
