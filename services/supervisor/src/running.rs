//! `policy.running`: what the sidecars say they run.

use base::error::chain;
use bus::message::revision::PolicyRunning;
use bus::{Bus, BusError, Subscription, Trace};
use tokio::sync::broadcast;

use crate::revision::Restored;
use crate::store::Store;

/// A sidecar's word, after what follows from it has been stored.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    pub(crate) running: PolicyRunning,
    /// The revision that brought the old policy back, when one was refused.
    pub(crate) restored: Option<u64>,
}

/// Hears the sidecars until the connection is closed. A refusal is dealt with here, whether or not anybody waits for
/// it: the supervisor that asked may have been killed since.
pub(crate) async fn serve(bus: Bus, mut said: Subscription<PolicyRunning>, heard: broadcast::Sender<Heard>) {
    loop {
        let said = match said.next().await {
            Ok(said) => said,
            Err(error) => {
                tracing::error!(error = chain(&error), "sidecars are not heard any more");
                return;
            }
        };
        match said.message {
            Ok(running) => {
                let restored = restore(&bus, &running, said.trace).await;
                // Nobody may be waiting.
                let _ = heard.send(Heard { running, restored });
            }
            Err(malformed) => tracing::warn!(%malformed, "a sidecar's word is not understood"),
        }
    }
}

async fn restore(bus: &Bus, running: &PolicyRunning, trace: Trace) -> Option<u64> {
    let refused = running.refused.as_ref()?;
    let bottle = running.bottle.as_str();
    match try_restore(bus, running, refused.revision, trace).await {
        Ok(Restored::Revision(revision)) => {
            let reason = base::inert(&refused.reason, 300);
            tracing::warn!(
                bottle,
                refused = refused.revision,
                reason,
                restored = revision.revision,
                "refused"
            );
            Some(revision.revision)
        }
        Ok(Restored::Superseded) => None,
        Ok(Restored::Unknown) => {
            tracing::error!(bottle, refused = refused.revision, running = running.running, "cannot restore");
            None
        }
        Err(error) => {
            tracing::error!(bottle, error = chain(&error), "cannot restore");
            None
        }
    }
}

async fn try_restore(
    bus: &Bus,
    running: &PolicyRunning,
    refused: u64,
    trace: Trace,
) -> Result<Restored, BusError> {
    let store = Store::new(&bus.with_trace(trace));
    let outcome = store.restore(&running.bottle, refused, running.running).await?;
    if let Restored::Revision(revision) = &outcome {
        store.push(revision).await?;
    }
    Ok(outcome)
}
