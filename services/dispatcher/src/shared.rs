//! What the dispatcher's parts have in common.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use base::Secret;
use base::clock::Clock;
use base::lifecycle::Lifecycle;
use bus::Bus;
use manifest::DispatchFile;
use telemetry::Tracer;

use crate::busy::Busy;
use crate::config::{Limits, WebhookSecrets};
use crate::forge::Forge;
use crate::posting::Posting;
use crate::runs::Runs;
use crate::standing::Standings;

/// See the module.
pub(crate) struct Shared {
    pub(crate) bus: Bus,
    pub(crate) clock: Clock,
    pub(crate) tracer: Tracer,
    pub(crate) file: DispatchFile,
    pub(crate) limits: Limits,
    pub(crate) forges: BTreeMap<String, Forge>,
    pub(crate) standings: Standings,
    pub(crate) posting: Posting,
    pub(crate) life: Lifecycle,
    pub(crate) secrets: BTreeMap<String, WebhookSecrets>,
    pub(crate) runs: Mutex<Runs>,
    /// Conversations of which something could not be done at once.
    pub(crate) behind: Busy,
}

impl Shared {
    /// The secret of a webhook that there is.
    pub(crate) fn secret(&self, webhook: &str) -> &Secret {
        // Made of the same file, by `Config::new`.
        &self.secrets[webhook].hook
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
