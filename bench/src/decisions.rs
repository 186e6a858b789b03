//! How long a person and an agent wait for each other: over a real bus and a real supervisor, in one process. The
//! sidecar and the agent are played: they answer at once.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use base::clock::Clock;
use base::id::Slug;
use base::lifecycle::{Ending, Lifecycle};
use bus::keys::Keys;
use bus::layout::{Layout, POLICY, PROPOSED};
use bus::message::Version;
use bus::message::proposal::{
    Content, Decide, DecideReply, Decision, OperatorKey, ProposalRecord, Proposed, Resolved, Scope, Verdict,
};
use bus::message::revision::{PolicyRevision, PolicyRunning};
use bus::role::Role;
use bus::server::{Options, Server};
use bus::{Bus, Connect, Subscription, Watch};
use futures::{StreamExt as _, TryStreamExt as _};
use tokio::time::timeout;

use crate::report::{Number, Report, median};

const CARD: &str = "refusal_to_card_ms";
const AGENT: &str = "decision_to_agent_ms";
const EQUAL: &str = "ten_thousand_equal_ms";

const ROUNDS: usize = 60;
/// Equal proposals, and how many of them wait for the bus at once.
const EQUALS: u64 = 10_000;
const AT_ONCE: usize = 64;
const LIMIT: Duration = Duration::from_secs(20);

/// Runs the benchmarks if they are wanted.
///
/// # Errors
/// The bus or the supervisor does not start, or an answer does not come.
pub(crate) async fn run(report: &mut Report) -> anyhow::Result<()> {
    if !report.wants(&[CARD, AGENT, EQUAL]) {
        return Ok(());
    }
    let home = tempfile::tempdir()?;
    let keys = Keys::init(home.path())?;
    let binary = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools/bin/nats-server");
    let server = Server::start(Options { binary: Some(binary), ..Options::new(home.path()) }).await?;
    let role = |role| anyhow::Ok(Connect::new(server.url(), keys.mint(role, None)?));
    bus::provision(&Bus::connect(role(Role::Admin)?).await?, &Layout::default()).await?;
    let life = Lifecycle::new();
    let mut config = supervisor::Config::new(role(Role::Supervisor)?, home.path().into());
    config.limits.a_minute = 10 * ROUNDS;
    config.limits.pending = 10 * ROUNDS;
    let supervisor = role(Role::Supervisor)?;
    supervisor::build(config).await?.start(&life).await?;

    let bottle: Slug = "me-00000".parse().context("a slug")?;
    let policy = serde_json::from_value(serde_json::json!({ "routes": [] }))?;
    let first = PolicyRevision { v: Version, bottle: bottle.clone(), revision: 1, policy };
    Bus::connect(supervisor).await?.bucket(&POLICY).put(bottle.as_str(), &first).await?;
    let key = OperatorKey::generate();
    supervisor::operators::admit(home.path(), &key.id(), "bench")?;
    let operator = Bus::connect(role(Role::Operator)?).await?;
    let cards = operator.bucket(&PROPOSED).watch().await?;
    let own = Bus::connect(Connect::new(server.url(), keys.mint_bottle(&bottle, LIMIT * 60)?)).await?;
    let resolved = own.subscribe(&format!("proposal.resolved.{bottle}")).await?;
    let pushed = own.subscribe(&format!("policy.changed.{bottle}")).await?;
    let playing = play_sidecar(own.clone(), bottle.clone(), pushed);
    let mut table = Table { key, operator, cards, own, bottle, resolved };
    let measured = async {
        let (mut to_card, mut to_agent) = (Vec::new(), Vec::new());
        for round in 0..ROUNDS as u64 {
            let (card, agent) = table.round(round).await?;
            to_card.push(card.as_secs_f64() * 1000.0);
            to_agent.push(agent.as_secs_f64() * 1000.0);
        }
        anyhow::Ok((median(to_card), median(to_agent), table.equal_ones().await?))
    };
    let (to_card, to_agent, equal) = tokio::select! {
        measured = measured => measured?,
        ended = playing => match ended? {},
    };
    report.add(CARD, Number { value: to_card, unit: "ms", over: None });
    report.add(AGENT, Number { value: to_agent, unit: "ms", over: None });
    report.add(EQUAL, Number { value: equal.as_secs_f64() * 1000.0, unit: "ms", over: None });
    life.stop();
    ensure!(life.run(LIMIT).await == Ending::Clean, "the supervisor did not end cleanly");
    Ok(())
}

/// Runs every revision that is pushed, and says so.
async fn play_sidecar(
    bus: Bus,
    bottle: Slug,
    mut pushed: Subscription<PolicyRevision>,
) -> anyhow::Result<std::convert::Infallible> {
    loop {
        let running = pushed.next().await?.message?.revision;
        bus.announce(&PolicyRunning { v: Version, bottle: bottle.clone(), running, refused: None }).await?;
    }
}

/// Those who ask and answer.
struct Table {
    key: OperatorKey,
    operator: Bus,
    cards: Watch<ProposalRecord>,
    own: Bus,
    bottle: Slug,
    resolved: Subscription<Resolved>,
}

impl Table {
    /// From the proposal to its card, and from the answer to the agent.
    async fn round(&mut self, round: u64) -> anyhow::Result<(Duration, Duration)> {
        let content: Content = serde_json::from_value(serde_json::json!({
            "kind": "egress", "host": format!("h{round}.example.com"), "methods": ["GET"],
        }))?;
        let proposed = Proposed::new(self.bottle.clone(), content, round + 1, Clock::System.now());
        let begun = Instant::now();
        self.own.publish(&proposed).await?;
        let card = self.card(&proposed).await?;
        let to_card = begun.elapsed();

        let decision = Decision {
            proposal: card.proposal.clone(),
            hash: card.hash.clone(),
            base: round + 1,
            verdict: Verdict::Approve { scope: Scope::Bottle },
            reason: None,
            at: Clock::System.now(),
        };
        let begun = Instant::now();
        let decide = Decide::signed(decision, &self.key);
        let (reply, heard) = tokio::join!(self.operator.request(&decide, LIMIT), async {
            let heard = timeout(LIMIT, self.resolved.next()).await;
            (heard, begun.elapsed())
        });
        let (heard, to_agent) = heard;
        heard.context("the agent hears of it")?.context("the subscription")?.message?;
        ensure!(matches!(reply?, DecideReply::Resolved { .. }), "it was not approved");
        Ok((to_card, to_agent))
    }

    /// From the first of many equal proposals to the one card that counts them all.
    async fn equal_ones(&mut self) -> anyhow::Result<Duration> {
        let content: Content = serde_json::from_value(
            serde_json::json!({ "kind": "egress", "host": "again.example.com", "methods": ["GET"] }),
        )?;
        let (own, bottle) = (self.own.clone(), self.bottle.clone());
        let before = self.operator.bucket(&PROPOSED).keys().await?.len();
        let begun = Instant::now();
        let asking = futures::stream::iter(0..EQUALS)
            .map(|_| {
                let asked = Proposed::new(bottle.clone(), content.clone(), 1, Clock::System.now());
                let own = own.clone();
                async move { own.publish(&asked).await }
            })
            .buffer_unordered(AT_ONCE)
            .try_for_each(|_| std::future::ready(Ok(())));
        let counted = async {
            loop {
                let change = timeout(LIMIT, self.cards.next()).await.context("a count")??;
                if let Some(Ok(entry)) = change.value
                    && entry.value.count == EQUALS
                {
                    return anyhow::Ok(());
                }
            }
        };
        let (asked, counted) = tokio::join!(asking, counted);
        asked?;
        counted?;
        let took = begun.elapsed();
        let cards = self.operator.bucket(&PROPOSED).keys().await?.len() - before;
        ensure!(cards == 1, "{cards} cards of what is one");
        Ok(took)
    }

    async fn card(&mut self, proposed: &Proposed) -> anyhow::Result<ProposalRecord> {
        loop {
            let change = timeout(LIMIT, self.cards.next()).await.context("a card")?.context("the watch")?;
            if let Some(Ok(entry)) = change.value
                && entry.value.proposal == proposed.proposal
            {
                return Ok(entry.value);
            }
        }
    }
}
