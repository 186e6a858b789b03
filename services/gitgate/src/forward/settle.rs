//! Pushes whose end nobody heard: upstream's answer was lost, or the gate was killed. Upstream itself says what became of
//! them, as soon as it can be asked.

use std::sync::Arc;
use std::time::Duration;

use bus::message::Version;
use bus::message::push::Rejected;
use tokio::time::sleep;

use crate::gate::Gate;
use crate::record::Intent;

/// How long one look may take.
const PATIENCE: Duration = Duration::from_secs(600);
/// Between two looks that failed.
const PAUSE: Duration = Duration::from_secs(10);

/// Settles what an earlier process left.
pub(crate) fn settle_all(gate: &Arc<Gate>) {
    for intent in gate.recorder.intents() {
        settle(Arc::clone(gate), intent);
    }
}

/// Records what became of a push, once that is known. It stays on disk until then.
pub(crate) fn settle(gate: Arc<Gate>, intent: Intent) {
    let life = gate.life.clone();
    let stop = gate.life.stop_token();
    life.spawn(async move {
        stop.run_until_cancelled(known(&gate, intent)).await;
    });
}

async fn known(gate: &Gate, intent: Intent) {
    let repo = &intent.accepted.repo;
    let Some(mirror) = gate.mirrors.get(repo) else {
        tracing::error!(repo, "a push of a repository that is served no more can never be settled");
        return;
    };
    let view = loop {
        match mirror.fresh(Duration::ZERO, PATIENCE).await {
            Ok(view) => break view,
            Err(_) => sleep(PAUSE).await,
        }
    };
    let is_there = |update: &bus::message::push::RefUpdate| {
        view.refs.get(&update.name).map(|object| object.as_str()) == update.new.as_deref()
    };
    if intent.accepted.refs.iter().all(is_there) {
        gate.recorder.accepted(intent).await;
        return;
    }
    let accepted = &intent.accepted;
    let rejected = Rejected {
        v: Version,
        bottle: accepted.bottle.clone(),
        repo: accepted.repo.clone(),
        at: accepted.at,
        refs: accepted.refs.clone(),
        objects: Some(accepted.objects),
        reason: "upstream's answer was lost, and upstream does not have what was pushed".to_owned(),
        findings: Vec::new(),
    };
    gate.recorder.withdrawn(intent, rejected).await;
}
