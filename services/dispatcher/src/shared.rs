//! What the dispatcher's parts have in common.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use base::Secret;
use base::clock::Clock;
use base::id::RequestId;
use base::lifecycle::Lifecycle;
use bus::Bus;
use manifest::DispatchFile;
use telemetry::Tracer;

use crate::config::{Limits, WebhookSecrets};
use crate::forge::Forge;
use crate::posting::Posting;
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
    /// Which conversation a run in hand belongs to: as many entries as runs.
    pub(crate) runs: Mutex<HashMap<RequestId, String>>,
    /// The same by bottle, for what its sidecars say.
    pub(crate) bottles: Mutex<HashMap<String, String>>,
}

impl Shared {
    /// The secret of a webhook that there is.
    pub(crate) fn secret(&self, webhook: &str) -> &Secret {
        // Made of the same file, by `Config::new`.
        &self.secrets[webhook].hook
    }

    /// The conversation that a run belongs to.
    pub(crate) fn key_of(&self, request: &RequestId) -> Option<String> {
        lock(&self.runs).get(request).cloned()
    }

    pub(crate) fn key_of_bottle(&self, bottle: &str) -> Option<String> {
        lock(&self.bottles).get(bottle).cloned()
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
