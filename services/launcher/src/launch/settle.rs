//! Step 8: what is left is put away.

use std::time::Instant;

use bus::message::record::BottleState;
use bus::message::run::{ExitReason, Exited, StateKept};
use bus::message::{Message, Version};

use bus::{BusError, Link};

use super::live::Ended;
use super::snapshot::keep_for;
use super::{Launch, Running, made};
use crate::client::{self, Ending};
use crate::record::{Owner, add_note};
use crate::state::StateDir;
use crate::step::Step;

/// What became of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Settled {
    /// It is over, and said so.
    Over,
    /// It was stopped so that its request can be run again.
    HandedBack,
}

impl Launch<'_> {
    pub(super) async fn settle(self, running: Running, ended: Ended) -> Settled {
        let Running { plan, mut registered, backend, boundary, sidecars, pumps, terminal, since } = running;
        drop(terminal);
        let duration = since.elapsed();
        self.observe(&plan, Step::Settle).await;
        self.bus_or_stop().await;
        let (settling, _span) = (Instant::now(), self.span(Step::Settle));
        let (recorded, said) =
            tokio::join!(registered.change(|record| record.state = BottleState::Settling), pumps.finish());
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
        let recorded = registered.end(state, |record| {
            record.code = Some(ended.code);
            if let Some(note) = &note {
                add_note(record, note);
            }
            record.state = if ended.hand_back { BottleState::Lost } else { BottleState::Exited };
            if ended.hand_back {
                add_note(record, made::HANDED_BACK);
            }
        });
        if ended.hand_back {
            warn(&plan.bottle, recorded.await);
            return Settled::HandedBack;
        }
        let (published, recorded) = tokio::join!(self.tell(&exited), recorded);
        warn(&plan.bottle, published);
        warn(&plan.bottle, recorded);
        let ms = settling.elapsed().as_secs_f64() * 1000.0;
        tracing::info!(bottle = %plan.bottle, code = ended.code, reason = ?ended.reason, settle_ms = ms, "the bottle is over");
        Settled::Over
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
            match self.bus.publish(event).await {
                Err(BusError::Deadline { .. }) if !self.life.is_stopping() => self.bus_or_stop().await,
                told => return told.map(drop),
            }
        }
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

fn warn(bottle: &base::id::Slug, told: Result<(), BusError>) {
    if let Err(error) = told {
        tracing::warn!(%bottle, error = base::error::chain(&error), "an end was not told");
    }
}
