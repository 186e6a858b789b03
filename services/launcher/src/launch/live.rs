//! Step 7, while the program runs.

use std::time::{Duration, Instant};

use base::clock::Clock;
use bus::message::Version;
use bus::message::record::BottleState;
use bus::message::run::{ExitReason, Started};
use jiff::Timestamp;
use rustix::process::Signal;
use tokio::sync::{Mutex, mpsc, oneshot};

use super::ending::{Ending, ended};
use super::{Launch, Running, Settled};
use crate::backend::RunEnd;
use crate::commit::Orders;
use crate::hold::Hold;
use crate::reach::within_reach;
use crate::record::add_note;
use crate::sidecars::Sidecars;

/// A shell that a person types into passes SIGTERM over, and ends when its terminal goes: after this long it does.
const HANG_UP: Duration = Duration::from_secs(1);

/// How much later the end of a sidecar may be noticed than that of a program whose connection to it broke.
const SIDECAR: Duration = Duration::from_millis(300);

/// Whether a sidecar ended just now, too.
async fn is_lost(sidecars: &mut Sidecars) -> bool {
    tokio::time::timeout(SIDECAR, sidecars.wait()).await.is_ok()
}

/// Asks for a run's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stop {
    /// Between SIGTERM and SIGKILL.
    pub(crate) grace: Duration,
    /// Whether the request is to be run again, somewhere else or later.
    pub(crate) hand_back: bool,
}

/// Where a run hears of it.
pub(crate) type Stops = mpsc::Receiver<Stop>;

/// Whether somebody asked for the end for good, and not for another try.
pub(super) fn is_wanted_over(stops: &mut Stops) -> bool {
    std::iter::from_fn(|| stops.try_recv().ok()).any(|stop| !stop.hand_back)
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) reason: ExitReason,
    pub(super) code: i32,
    pub(super) hand_back: bool,
}

impl Launch<'_> {
    pub(super) async fn live(
        self,
        mut running: Running,
        hold: &Hold,
        (mut stops, commits): (Stops, Orders),
    ) -> Settled {
        let started = self.started(&running);
        let registered = Mutex::new(&mut running.registered);
        let announce = async {
            // Whoever hears of it may look it up.
            let recorded = loop {
                let recording = async {
                    registered.lock().await.change(|record| record.state = BottleState::Running).await
                };
                let recorded = within_reach((&self.bus, self.life), recording).await;
                if !self.tries_again(&recorded).await {
                    break recorded;
                }
            };
            let published = self.tell(&started).await;
            for error in [published.err(), recorded.err()].into_iter().flatten() {
                tracing::warn!(bottle = %started.bottle, error = base::error::chain(&error), "a start was not told");
            }
        };
        let clock = &self.world.clock;
        let limit = clock.now().checked_add(running.plan.wall).unwrap_or(Timestamp::MAX);
        let mut filled = running.boundary.filled();
        let mut note = None;
        let (boundary, sidecars) = (&mut running.boundary, &mut running.sidecars);
        let has_terminal = running.terminal.is_some();
        let (plan, mut session) = (&running.plan, running.pumps.session());
        let end = async {
            let mut ending: Option<Ending> = None;
            let (mut hang_up, mut hung_up) = (None, false);
            loop {
                if has_terminal && ending.is_some() && hang_up.is_none() {
                    hang_up = Some(Instant::now() + HANG_UP);
                }
                tokio::select! {
                    end = boundary.wait() => {
                        if ending.is_none() && end != RunEnd::Exited(0) && is_lost(sidecars).await {
                            ending = Some(Ending::without_sidecar(None));
                        }
                        let broken = end == RunEnd::Lost || ending.is_some_and(Ending::is_without_sidecar);
                        // What broke it may be what stops the launcher, and that is perhaps heard only now.
                        while broken && let Ok(stop) = stops.try_recv() {
                            ending = Some(Ending::asked(ending, stop));
                        }
                        return ended(end, ending);
                    }
                    how = sidecars.wait(), if !ending.is_some_and(Ending::is_without_sidecar) => {
                        tracing::warn!(bottle = %started.bottle, how, "the bottle ends: it lost a sidecar");
                        ending = Some(Ending::without_sidecar(ending));
                    }
                    Some(stop) = stops.recv() => {
                        ending = Some(Ending::asked(ending, stop));
                        boundary.signal(Signal::TERM);
                    }
                    () = shown(clock, limit), if ending.is_none() => {
                        ending = Some(Ending::limited(ExitReason::TimeLimit, self.world.config.grace));
                        boundary.signal(Signal::TERM);
                    }
                    why = &mut filled, if ending.is_none() => {
                        note = Some(why);
                        ending = Some(Ending::limited(ExitReason::DiskLimit, self.world.config.grace));
                        boundary.signal(Signal::TERM);
                    }
                    Ok(()) = session.changed() => self.learn_session(plan, session.borrow_and_update().clone()),
                    () = reached(hang_up), if hang_up.is_some() && !hung_up => {
                        hung_up = true;
                        boundary.signal(Signal::HUP);
                    }
                    () = reached(ending.map(|ending| ending.kill_at)), if ending.is_some_and(|e| !e.killed) => {
                        boundary.kill();
                        ending = ending.map(Ending::killed);
                    }
                }
            }
        };
        let (over, is_over) = oneshot::channel::<()>();
        let end = async {
            let ended = end.await;
            drop(over);
            ended
        };
        // The bottle's end waits for a commit that is under way: what its files are then is still whole.
        let committing = self.take_commits((plan, &*running.backend), &registered, commits, is_over);
        let ((), ended, ()) = tokio::join!(announce, end, committing);
        if let Some(note) = note {
            running.registered.amend(|record| add_note(record, &note));
        }
        // From here on it does not run any more, and whoever asks for its end is told so.
        drop(stops);
        Box::pin(self.settle(running, hold, ended)).await
    }

    fn started(&self, running: &Running) -> Started {
        Started {
            v: Version,
            bottle: running.plan.bottle.clone(),
            request: self.request.id.clone(),
            agent: self.request.agent.clone(),
            bottles: running.plan.resolved.bottles.clone(),
            launcher: self.world.id().clone(),
            backend: running.backend.name().to_owned(),
            runtime: running.plan.runtime.map(|runtime| runtime.as_str().to_owned()),
            attempt: self.attempt,
            label: running.plan.label.clone(),
            color: running.plan.color.clone(),
            answers: running.plan.terminal.is_none() && running.plan.client.headless.result.is_some(),
            at: self.world.clock.now(),
            steps: std::mem::take(&mut *self.times.lock().unwrap_or_else(std::sync::PoisonError::into_inner)),
        }
    }
}

/// Completes when the clock shows that time or a later one. A bus identity ends by the same clock, which goes on while
/// the host sleeps; the runtime's timers do not.
async fn shown(clock: &Clock, at: Timestamp) {
    const AT_LEAST_EVERY: Duration = Duration::from_secs(30);
    while let Ok(left) = Duration::try_from(at.duration_since(clock.now()))
        && !left.is_zero()
    {
        tokio::time::sleep(left.min(AT_LEAST_EVERY)).await;
    }
}

/// Completes at that time; without one, never.
async fn reached(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
