//! From quarantine to upstream, while the client is kept informed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bus::message::Version;
use bus::message::push::Accepted;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use super::attempt::{Attempt, Denial};
use super::report::{alive, said};
use super::{Arrived, may_push};
use crate::forward::{self, Outcome};
use crate::gate::Gate;
use crate::http::Outbox;
use crate::judging::Refused;
use crate::mirror::Mirror;
use crate::progress::Progress;

/// How often a client that waits is told that the gate lives.
const ALIVE: Duration = Duration::from_secs(5);

/// See the module.
pub(super) struct Decision {
    pub(super) gate: Arc<Gate>,
    pub(super) mirror: Arc<Mirror>,
    pub(super) attempt: Attempt,
    pub(super) arrived: Arrived,
    pub(super) outbox: Outbox,
}

impl Decision {
    /// Decides, and tells. A client that hangs up ends it, unless upstream has been asked already.
    pub(super) async fn run(self) {
        let Self { gate, mirror, attempt, arrived, outbox } = self;
        let (progress, mut lines) = Progress::channel();
        let is_asked = AtomicBool::new(false);
        let work = decide(&gate, &mirror, &attempt, &arrived, &progress, &is_asked);
        tokio::pin!(work);
        let can_show = attempt.capabilities.report_status && attempt.capabilities.side_band;
        let mut tick = interval(ALIVE);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let told = loop {
            tokio::select! {
                told = &mut work => break told,
                Some(line) = lines.recv() => if can_show { outbox.offer(said(&line)) },
                _ = tick.tick() => if can_show { outbox.offer(alive()) },
                () = outbox.gone(), if !is_asked.load(Ordering::Relaxed) => {
                    attempt.record(&gate, &Denial::new("the client went away before the push was judged")).await;
                    return;
                }
            }
        };
        show(&outbox, &mut lines, can_show).await;
        // Who went away meanwhile finds out by fetching.
        let _ = outbox.send(told.into()).await;
    }
}

async fn show(outbox: &Outbox, lines: &mut mpsc::Receiver<String>, can_show: bool) {
    while let Ok(line) = lines.try_recv() {
        if can_show && outbox.send(said(&line)).await.is_err() {
            return;
        }
    }
}

/// What the client reads in the end; it is recorded by then.
async fn decide(
    gate: &Arc<Gate>,
    mirror: &Arc<Mirror>,
    attempt: &Attempt,
    arrived: &Arrived,
    progress: &Progress,
    is_asked: &AtomicBool,
) -> Vec<u8> {
    let denial = match judged(gate, mirror, attempt, arrived, progress, is_asked).await {
        Ok(told) => return told,
        Err(denial) => denial,
    };
    attempt.record(gate, &denial).await;
    attempt.refuse(&denial)
}

/// Asks the judge, then upstream. What was refused before upstream was asked is not recorded yet.
async fn judged(
    gate: &Arc<Gate>,
    mirror: &Arc<Mirror>,
    attempt: &Attempt,
    arrived: &Arrived,
    progress: &Progress,
    is_asked: &AtomicBool,
) -> Result<Vec<u8>, Denial> {
    let push = &arrived.push;
    let passed = gate.judge.judge(push, progress).await?;
    may_push(gate)?;
    let accepted = Accepted {
        v: Version,
        bottle: gate.bottle.clone(),
        repo: push.repo.clone(),
        at: gate.recorder.moment(),
        refs: attempt.refs(),
        objects: passed.objects,
    };
    let at = accepted.at;
    let intent = gate.recorder.intend(accepted).await.map_err(|error| {
        tracing::error!(error = base::error::chain(&error), "a push cannot be noted");
        Denial::new("the push cannot be recorded: the git gate cannot write to its disk")
    })?;
    is_asked.store(true, Ordering::Relaxed);
    progress.say("passed; pushing upstream");
    match forward::push(gate, mirror, push, progress).await {
        Outcome::Taken => {
            gate.recorder.accepted(intent).await;
            forward::adopt(gate, mirror, push).await;
            Ok(attempt.accept())
        }
        Outcome::Refused { reason, refs } => {
            let denial = Denial { refs, objects: Some(passed.objects), ..Denial::new(&reason) };
            gate.recorder.withdrawn(intent, attempt.rejected(gate, at, &denial)).await;
            Ok(attempt.refuse(&denial))
        }
        Outcome::Unknown { reason } => {
            forward::settle(Arc::clone(gate), intent);
            Ok(attempt.refuse(&Denial::new(&reason)))
        }
    }
}

impl From<Refused> for Denial {
    fn from(refused: Refused) -> Self {
        let Refused { reason, findings, objects } = refused;
        Self { findings, objects, ..Self::new(&reason) }
    }
}
