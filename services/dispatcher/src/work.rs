//! Takes stored deliveries and brings each to its conversation.

use std::sync::Arc;
use std::time::Duration;

use bus::layout::PR_DELIVERIES;
use bus::message::Version;
use bus::message::pr::{PrAction, PrEvent, PrSession, StoredDelivery, Verdict};
use bus::{BusError, Job, Trace, WorkQueue};
use telemetry::Kind;
use tokio::sync::Semaphore;

use crate::decide::{self, Decision, Gate};
use crate::forge::ForgeError;
use crate::machine::Input;
use crate::registry::{self, Untaken};
use crate::shared::Shared;

/// Deliveries that are worked on at once.
const AT_ONCE: usize = 16;
/// A third of the queue's `ack_wait`.
const BEAT: Duration = Duration::from_secs(10);
/// The pause before a delivery is tried again, which doubles, up to the longest.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(300);
/// Before a delivery is tried again that has no room yet.
const NO_ROOM: Duration = Duration::from_secs(20);

/// Why a delivery is to be brought again.
#[derive(Debug, thiserror::Error)]
enum Later {
    #[error("whether they may is not known yet: {0}")]
    Forge(ForgeError),
    #[error("as many events wait for a run as may")]
    NoRoom,
    #[error("it is not decided on yet: {}", base::error::chain(.0))]
    Bus(BusError),
}

/// Works until the lifecycle stops; then the deliveries in hand are finished.
pub(crate) async fn serve(shared: Arc<Shared>, mut queue: WorkQueue<PrEvent>) {
    let room = Arc::new(Semaphore::new(AT_ONCE));
    loop {
        let Ok(permit) = room.clone().acquire_owned().await else { return };
        let job = tokio::select! {
            job = queue.next() => job,
            () = shared.life.stopping() => break,
        };
        let job = match job {
            Ok(job) => job,
            Err(error) => {
                tracing::error!(error = base::error::chain(&error), "deliveries cannot be taken");
                return;
            }
        };
        let shared = shared.clone();
        shared.life.clone().spawn(async move {
            finish(&shared, job).await;
            drop(permit);
        });
    }
    if let Err(error) = queue.close().await {
        tracing::warn!(error = base::error::chain(&error), "a delivery may come back late");
    }
}

async fn finish(shared: &Arc<Shared>, job: Job<PrEvent>) {
    let ended = match &job.message {
        Err(malformed) => job.park(&malformed.to_string()).await,
        Ok(event) => match job.keep(BEAT, traced(shared, event, job.trace)).await {
            Ok(verdict) => {
                remember(shared, event, verdict).await;
                job.done().await
            }
            Err(later) => put_back(&job, event, later).await,
        },
    };
    if let Err(error) = ended {
        tracing::warn!(error = base::error::chain(&error), "a delivery may come back");
    }
}

async fn put_back(job: &Job<PrEvent>, event: &PrEvent, later: Later) -> Result<(), BusError> {
    let (delivery, trace) = (event.delivery.as_str(), job.trace.id());
    tracing::warn!(delivery, trace, error = later.to_string(), "a delivery comes back later");
    let doublings = u32::try_from(job.delivery.saturating_sub(1)).unwrap_or(u32::MAX).min(16);
    let pause = PAUSE.saturating_mul(1 << doublings).min(LONGEST);
    job.later(if matches!(later, Later::NoRoom) { NO_ROOM } else { pause }).await
}

async fn traced(shared: &Arc<Shared>, event: &PrEvent, trace: Trace) -> Result<Verdict, Later> {
    let mut span = shared.tracer.open("dispatch", Kind::Consumer, trace);
    span.set("bot_bottle.delivery", event.delivery.as_str());
    span.set("bot_bottle.pull", event.key().as_str());
    let brought = bring(shared, event, span.context()).await;
    match &brought {
        Ok(verdict) => span.set("bot_bottle.outcome", format!("{verdict:?}").as_str()),
        Err(later) => span.fail(&later.to_string()),
    }
    brought
}

async fn bring(shared: &Arc<Shared>, event: &PrEvent, trace: Trace) -> Result<Verdict, Later> {
    let shut = may(shared, event).await.map_err(Later::Forge)?;
    let decide = |session: &PrSession| match shut {
        Some(verdict) => Decision::Nothing(verdict),
        None => decide::decide(&shared.file, event, Some(session)),
    };
    let input = Input::Event { event, trace, decide: &decide };
    match registry::bring(shared, &event.key(), input, Some(event)).await {
        Ok(verdict) => {
            let verdict = verdict.unwrap_or(Verdict::NoRule);
            let (delivery, actor) = (event.delivery.as_str(), base::inert(&event.actor.login, 64));
            let (repo, number) = (event.repo.as_str(), event.number);
            let trace = trace.id();
            tracing::info!(delivery, repo, number, actor, ?verdict, trace, "a delivery is decided on");
            Ok(verdict)
        }
        Err(Untaken::Full) => Err(Later::NoRoom),
        Err(Untaken::Bus(error)) => Err(Later::Bus(error)),
    }
}

/// Why they may not; none if they may. A forge that does not answer leaves it open, and the delivery comes back.
async fn may(shared: &Shared, event: &PrEvent) -> Result<Option<Verdict>, ForgeError> {
    // A closing ends whatever runs, whoever did it.
    if event.what == PrAction::Closed {
        return Ok(None);
    }
    let known = shared.file.webhooks.get(&event.webhook).zip(shared.forges.get(&event.webhook));
    let Some((webhook, forge)) = known else { return Ok(Some(Verdict::NoRule)) };
    match decide::gate(webhook, event) {
        Gate::Open => Ok(None),
        Gate::Shut(verdict) => Ok(Some(verdict)),
        Gate::Ask => {
            // What starts nothing whoever did it needs no question.
            if let Err(verdict @ (Verdict::NoRule | Verdict::RuleIgnores | Verdict::NoMention)) =
                decide::rule(&shared.file, event, None)
            {
                return Ok(Some(verdict));
            }
            let standing = match shared.standings.of(forge, webhook, event).await {
                // Nobody waits for it any more, and it must not keep others waiting.
                Err(_) if is_late(shared, event) => return Ok(Some(Verdict::NotAllowed)),
                standing => standing?,
            };
            Ok((!decide::suffices(webhook, &standing)).then_some(Verdict::NotAllowed))
        }
    }
}

fn is_late(shared: &Shared, event: &PrEvent) -> bool {
    shared.clock.now().duration_since(event.at).unsigned_abs() > shared.limits.posting
}

/// For `dispatch replay`. That it is missing there is no reason to do anything twice.
async fn remember(shared: &Shared, event: &PrEvent, verdict: Verdict) {
    if verdict == Verdict::Repeated {
        return;
    }
    let stored = StoredDelivery { v: Version, event: event.clone(), verdict };
    if let Err(error) = shared.bus.bucket(&PR_DELIVERIES).put(&event.delivery, &stored).await {
        tracing::warn!(
            delivery = event.delivery,
            error = base::error::chain(&error),
            "it cannot be replayed"
        );
    }
}
