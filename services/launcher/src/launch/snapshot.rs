//! Step 8's part in sessions: the transcript is stored before anything is removed (L7).

use base::id::Slug;
use bus::BusError;
use bus::message::run::StateKept;

use super::Launch;
use crate::plan::Plan;
use crate::record::{Owner, Registered};
use crate::session::{self, Lost, SessionNote};
use crate::state::StateDir;

/// How often the same transcript is sent to a bus that answers and does not take it; after that it is for reconciliation.
const TRIES: usize = 10;

impl Launch<'_> {
    /// Writes down what makes up the session, before the program that fills it runs.
    ///
    /// # Errors
    /// The state directory cannot be written.
    pub(super) fn note_session(&self, plan: &Plan) -> std::io::Result<()> {
        match self.session_note(plan) {
            Some(note) => note.store(&self.world.config.state().of(&plan.bottle)),
            None => Ok(()),
        }
    }

    /// Notes the session's id, which the program has just told, for whoever finds the bottle after the launcher's death.
    pub(super) fn learn_session(&self, plan: &Plan, id: Option<String>) {
        let Some(mut note) = self.session_note(plan) else { return };
        note.session.id = note.session.id.or(id);
        if let Err(error) = note.store(&self.world.config.state().of(&plan.bottle)) {
            tracing::warn!(bottle = %plan.bottle, error = base::error::chain(&error), "the session's id was not noted");
        }
    }

    fn session_note(&self, plan: &Plan) -> Option<SessionNote> {
        let session = plan.session.clone()?;
        Some(SessionNote { session, limit: self.world.config.transcript })
    }

    /// Stores the transcript and says so in the record. A session whose `id` is known only now has it there, too.
    ///
    /// # Errors
    /// [`Lost`]; the state must stay.
    pub(super) async fn snapshot(
        &self,
        plan: &Plan,
        id: Option<&String>,
        registered: &mut Registered,
    ) -> Result<Option<String>, Lost> {
        let Some(note) = self.session_note(plan) else { return Ok(None) };
        let stored = self.store(&plan.bottle, &note).await;
        registered.amend(|record| {
            if let Some(session) = &mut record.session {
                session.id = id.cloned();
                session.transcript = stored.as_ref().ok().cloned();
            }
        });
        let stored = stored?;
        // Before the state goes: whoever dies in between leaves one of the two.
        registered.change(|_| ()).await.map_err(Lost::NotYet)?;
        Ok(Some(stored))
    }

    async fn store(&self, bottle: &Slug, note: &SessionNote) -> Result<String, Lost> {
        let state = self.world.config.state().of(bottle);
        let mut left = TRIES;
        loop {
            left -= 1;
            match session::store(&self.bus, bottle, &state, note).await {
                Err(Lost::NotYet(BusError::Deadline { .. })) if left > 0 && !self.life.is_stopping() => {
                    self.bus_or_stop().await;
                }
                stored => return stored,
            }
        }
    }
}

/// Keeps the state of a bottle whose transcript is not stored. As long as it may be another time, so that reconciliation
/// finds it; otherwise until somebody removes it.
pub(super) fn keep_for(lost: &Lost, state: &StateDir) -> StateKept {
    if !lost.is_for_now() {
        let done = SessionNote::forget(state).and_then(|()| Owner::forget(state));
        if let Err(error) = done {
            tracing::warn!(state = %state.path().display(), error = base::error::chain(&error), "state was not put away");
        }
    }
    StateKept::Kept
}
