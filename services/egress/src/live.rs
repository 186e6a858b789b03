//! The bus side of a running proxy: it hears of new revisions and says what it runs (E13), and it hears persons' answers.
//! While the bus is away, the last valid policy stays; when it is back, what was missed is asked for.

use std::time::Duration;

use base::id::Slug;
use base::lifecycle::Lifecycle;
use bus::message::Version;
use bus::message::proposal::{ProposalGet, Resolved, Standing};
use bus::message::revision::{PolicyGet, PolicyGetReply, PolicyRevision, PolicyRunning, RefusedRevision};
use bus::{Bus, BusError, Connect, Link};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use crate::config::BusConfig;
use crate::proxy::Policies;

/// How long the supervisor may take to tell the current revision.
const ASK: Duration = Duration::from_secs(2);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(500);
/// Between two tries that the bus itself refused.
const LONG_PAUSE: Duration = Duration::from_secs(10);

/// Follows the bus until the lifecycle stops. `published` gets the connection as soon as there is one.
pub async fn follow(
    config: BusConfig,
    bottle: Slug,
    policies: Policies,
    published: watch::Sender<Option<Bus>>,
    life: Lifecycle,
) {
    let follower = async {
        let bus = connect(config).await;
        published.send_replace(Some(bus.clone()));
        loop {
            match listen(&bus, &bottle, &policies).await {
                Ok(()) => {}
                Err(error @ BusError::Denied(_)) => {
                    tracing::error!(
                        error = base::error::chain(&error),
                        "this bottle may not hear of its policy"
                    );
                    sleep(LONG_PAUSE).await;
                }
                Err(error) => {
                    tracing::warn!(error = base::error::chain(&error), "listening for policies was cut off");
                    sleep(PAUSE).await;
                }
            }
        }
    };
    tokio::select! {
        () = follower => {}
        () = life.stopping() => {}
    }
}

/// The connection; what is published on it belongs to the bottle's trace.
async fn connect(config: BusConfig) -> Bus {
    let mut pause = PAUSE;
    loop {
        match Bus::connect(Connect::new(config.url.clone(), config.credentials.clone())).await {
            Ok(bus) => return bus.with_trace(config.trace),
            Err(error) => {
                tracing::warn!(error = base::error::chain(&error), "no bus yet; the handed policy runs");
            }
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONG_PAUSE);
    }
}

/// Hears of revisions, and asks for the current one whenever the bus has come back, until it is told.
async fn listen(bus: &Bus, bottle: &Slug, policies: &Policies) -> Result<(), BusError> {
    let mut link = bus.link();
    let subject = format!("policy.changed.{bottle}");
    let mut changes = bus.subscribe::<PolicyRevision>(&subject).await?;
    let mut answers = bus.subscribe::<Resolved>(&format!("proposal.resolved.{bottle}")).await?;
    let mut question = Some(Instant::now());
    let mut pause = PAUSE;
    loop {
        tokio::select! {
            change = changes.next() => {
                let change = change?;
                match change.message {
                    Ok(revision) => take(&bus.with_trace(change.trace), bottle, policies, &revision).await,
                    Err(malformed) => tracing::error!(%malformed, "a pushed policy cannot be read; the old one stays"),
                }
            }
            answer = answers.next() => match answer?.message {
                Ok(resolved) => policies.resolve(resolved),
                Err(malformed) => tracing::error!(%malformed, "an answer to a proposal cannot be read"),
            },
            Ok(()) = link.changed() => {
                if *link.borrow_and_update() == Link::Up {
                    (question, pause) = (Some(Instant::now()), PAUSE);
                }
            }
            () = sleep_until(question.unwrap_or_else(Instant::now)), if question.is_some() => {
                question = match ask(bus, bottle, policies).await {
                    Ok(()) => None,
                    Err(error) => {
                        tracing::info!(error = base::error::chain(&error), "cannot ask what was missed yet");
                        Some(Instant::now() + pause)
                    }
                };
                pause = (pause * 2).min(LONG_PAUSE);
            }
        }
    }
}

/// Asks for the current revision, and how the questions stand that wait for an answer.
async fn ask(bus: &Bus, bottle: &Slug, policies: &Policies) -> Result<(), BusError> {
    match bus.request(&PolicyGet { v: Version, bottle: bottle.clone() }, ASK).await? {
        PolicyGetReply::Found { policy } => take(bus, bottle, policies, &policy).await,
        PolicyGetReply::Unknown => tracing::warn!("the supervisor knows no policy of this bottle"),
    }
    for proposal in policies.pending() {
        let get = ProposalGet { v: Version, bottle: bottle.clone(), proposal };
        if let Standing::Resolved { resolved } = bus.request(&get, ASK).await? {
            policies.resolve(*resolved);
        }
    }
    Ok(())
}

/// Runs a revision, or not, and says so either way.
async fn take(bus: &Bus, bottle: &Slug, policies: &Policies, offered: &PolicyRevision) {
    let refused = policies.offer(offered.revision, &offered.policy).err().map(|error| RefusedRevision {
        revision: offered.revision,
        reason: base::inert(&base::error::chain(&error), 2000),
    });
    match &refused {
        None => tracing::info!(revision = offered.revision, "runs this policy revision"),
        Some(refused) => {
            tracing::warn!(revision = refused.revision, reason = refused.reason, "refused a policy");
        }
    }
    let running = PolicyRunning { v: Version, bottle: bottle.clone(), running: policies.revision(), refused };
    if let Err(error) = bus.announce(&running).await {
        tracing::warn!(error = base::error::chain(&error), "cannot say which policy runs");
    }
}
