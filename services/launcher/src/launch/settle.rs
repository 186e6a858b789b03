//! Step 8: what is left is put away.

use std::time::Instant;

use bus::message::record::{BottleRecord, BottleState, End};
use bus::message::run::{ExitReason, Exited, StateKept};
use bus::message::{Message, Version};

use bus::{BusError, Link};

use super::live::Ended;
use super::snapshot::keep_for;
use super::{Launch, Running, made};
use crate::client::{self, Ending};
use crate::hold::Hold;
use crate::reach::within_reach;
use crate::record::{Owner, Registered, add_note};
use crate::state::StateDir;
use crate::step::Step;

/// What became of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Settled {
    /// It is over, and said so.
    Over,
    /// It is over, and nobody heard of that: whoever gets its request next tells it.
    Untold,
    /// It was stopped so that its request can be run again.
    HandedBack,
}

impl Launch<'_> {
    pub(super) async fn settle(self, running: Running, hold: &Hold, ended: Ended) -> Settled {
        let Running { plan, mut registered, backend, boundary, sidecars, pumps, terminal, since } = running;
        drop(terminal);
        let duration = since.elapsed();
        self.observe(&plan, Step::Settle).await;
        self.bus_or_stop().await;
        let (settling, _span) = (Instant::now(), self.span(Step::Settle));
        let bus = (&self.bus, self.life);
        let recording = registered.change(|record| record.state = BottleState::Settling);
        let (recorded, said) = tokio::join!(within_reach(bus, recording), pumps.finish());
        warn(&plan.bottle, recorded);
        let gone =
            made::end((&*backend, &self.world.config), &plan.bottle, Some(boundary), Some(sidecars)).await;
        let failure = client::failure(&Ending {
            reason: ended.reason,
            code: ended.code,
            answer: said.answer.as_ref(),
            tails: said.tails.each_ref().map(String::as_str),
            login: &plan.client.login,
        });
        let is_clean = ended.reason == ExitReason::Completed && ended.code == 0 && failure.is_none();
        let told = said.answer.as_ref().and_then(|answer| answer.session.clone());
        let session = plan.session.as_ref().and_then(|session| session.id.clone().or(told));
        let transcript = self.snapshot(&plan, session.as_ref(), &mut registered).await;
        let note = transcript.as_ref().err().map(|lost| base::error::chain(lost));
        if let Some(note) = &note {
            tracing::error!(bottle = %plan.bottle, reason = note, "a transcript was not stored; the state is kept");
        }
        let directory = self.world.config.state().of(&plan.bottle);
        let state = match (gone, &transcript) {
            (true, Ok(_)) => keep(&directory, is_clean || ended.hand_back).await,
            (true, Err(lost)) => keep_for(lost, &directory),
            (false, _) => StateKept::Kept,
        };
        let exited = Exited {
            v: Version,
            bottle: plan.bottle.clone(),
            request: self.request.id.clone(),
            reason: ended.reason,
            code: ended.code,
            session,
            transcript: transcript.unwrap_or_default(),
            result: said.result(),
            failure,
            note: note.clone(),
            state,
            at: self.world.clock.now(),
            duration_ms: u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
        };
        // From here on it is not run again, and who was not told yet hears of it from the next launcher.
        if !ended.hand_back
            && let Err(error) = self.note_end(hold, &exited).await
        {
            let is_for_good = error.is_for_good();
            warn(&plan.bottle, Err(error));
            // Another launcher has it by now, or it will be run again: nothing is told of this try.
            if !is_for_good {
                return Settled::Untold;
            }
        }
        registered.amend(|record| is_over(record, &ended, note.as_deref()));
        let recorded = self.record_end(&mut registered, state).await;
        if ended.hand_back {
            warn(&plan.bottle, recorded);
            return Settled::HandedBack;
        }
        // Last, since whoever hears of it may look it up or go on with its session.
        let told = self.tell(&exited).await;
        let ms = settling.elapsed().as_secs_f64() * 1000.0;
        tracing::info!(bottle = %plan.bottle, code = ended.code, reason = ?ended.reason, settle_ms = ms, "the bottle is over");
        let is_told = [&recorded, &told]
            .iter()
            .all(|done| done.as_ref().map_or_else(|error| error.is_for_good(), |()| true));
        warn(&plan.bottle, recorded);
        warn(&plan.bottle, told);
        if is_told { Settled::Over } else { Settled::Untold }
    }
}

impl Launch<'_> {
    /// Waits for the bus, or for the launcher's stop: the last records of a bottle and its end are for the bus, and only
    /// a launcher that is to end cannot wait for it.
    pub(super) async fn bus_or_stop(&self) {
        let mut link = self.bus.link();
        tokio::select! {
            // The sender lives as long as the connection, which this has.
            _ = link.wait_for(|link| *link == Link::Up) => {}
            () = self.life.stopping() => {}
        }
    }

    /// Publishes an event, however long the bus is away, unless the launcher is to stop.
    pub(super) async fn tell<M: Message>(&self, event: &M) -> Result<(), BusError> {
        loop {
            let told = within_reach((&self.bus, self.life), self.bus.publish(event)).await.map(drop);
            if !self.tries_again(&told).await {
                return told;
            }
        }
    }

    async fn note_end(&self, hold: &Hold, exited: &Exited) -> Result<(), BusError> {
        let end = End::Exited(Box::new(exited.clone()));
        loop {
            let noted = within_reach((&self.bus, self.life), hold.ends(end.clone())).await;
            if !self.tries_again(&noted).await {
                return noted;
            }
        }
    }

    async fn record_end(&self, registered: &mut Registered, state: StateKept) -> Result<(), BusError> {
        loop {
            let recorded = within_reach((&self.bus, self.life), registered.end(state, |_| ())).await;
            if !self.tries_again(&recorded).await {
                return recorded;
            }
        }
    }

    /// Whether something is to be done on the bus again, which was away for it and is back. A launcher that is to stop
    /// does not try again.
    pub(super) async fn tries_again(&self, done: &Result<(), BusError>) -> bool {
        let again = matches!(done, Err(BusError::Deadline { .. })) && !self.life.is_stopping();
        if again {
            self.bus_or_stop().await;
        }
        again
    }
}

/// The one rule of what is kept (L6): a program that ended by itself with exit code 0 and, if it is one that gives answers,
/// with an answer, or a run that is handed back, leaves nothing; everything else leaves its directory.
async fn keep(state: &StateDir, removes: bool) -> StateKept {
    let (done, kept) = if removes {
        (state.remove().await, StateKept::Removed)
    } else {
        (Owner::forget(state), StateKept::Kept)
    };
    match done {
        Ok(()) => kept,
        Err(error) => {
            tracing::warn!(state = %state.path().display(), error = base::error::chain(&error), "state was not put away");
            StateKept::Kept
        }
    }
}

fn is_over(record: &mut BottleRecord, ended: &Ended, note: Option<&str>) {
    record.code = Some(ended.code);
    if let Some(note) = note {
        add_note(record, note);
    }
    record.state = if ended.hand_back { BottleState::Lost } else { BottleState::Exited };
    if ended.hand_back {
        add_note(record, made::HANDED_BACK);
    }
}

fn warn(bottle: &base::id::Slug, told: Result<(), BusError>) {
    if let Err(error) = told {
        tracing::warn!(%bottle, error = base::error::chain(&error), "an end was not told");
    }
}
