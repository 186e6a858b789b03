//! The terminals of the bottles that run here: who is attached to them, and what is typed (L1, L4).
//!
//! Bytes pass as they are: what they mean is a matter between the program and the person's own terminal.

mod clients;
mod desk;
mod master;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use base::id::Slug;
use bus::message::Version;
use bus::message::terminal::{TerminalOutcome, TerminalReply, TerminalRequest};

pub(crate) use desk::Desk;
pub(crate) use master::Master;

/// Every terminal by its bottle.
#[derive(Clone, Default)]
pub(crate) struct Terminals(Arc<Mutex<HashMap<Slug, Arc<Desk>>>>);

/// A terminal that is listed as long as this lives.
pub(crate) struct Listed {
    terminals: Terminals,
    bottle: Slug,
}

impl Terminals {
    pub(crate) fn list(&self, bottle: &Slug, desk: Desk) -> Listed {
        self.lock().insert(bottle.clone(), Arc::new(desk));
        Listed { terminals: self.clone(), bottle: bottle.clone() }
    }

    /// Does what is asked for; nothing if the bottle has no terminal here.
    pub(crate) fn serve(&self, request: &TerminalRequest) -> Option<TerminalReply> {
        let desk = self.lock().get(&request.bottle).cloned();
        desk.map(|desk| desk.serve(request))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Slug, Arc<Desk>>> {
        // Each change is one insertion or removal.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.terminals.lock().remove(&self.bottle);
    }
}

/// An answer with a reason.
pub(crate) fn refused(outcome: TerminalOutcome, reason: impl Into<String>) -> TerminalReply {
    TerminalReply { v: Version, outcome, reason: Some(reason.into()) }
}
