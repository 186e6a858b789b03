//! What follows from a bottle's end: nobody needs its policy any more, and nobody waits for its proposals.

use std::time::Duration;

use base::clock::Clock;
use base::error::chain;
use base::id::Slug;
use bus::layout::BOTTLES;
use bus::message::record::BottleRecord;
use bus::{Bus, BusError, Change, Watch};
use jiff::Timestamp;

use crate::proposals::Proposals;
use crate::store::Store;

/// What becomes of a stored policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Its bottle lives, or may be about to.
    Kept,
    /// Its bottle is over, or was forgotten long ago.
    Removed,
}

/// How old a policy is that no bottle is recorded for. A launch records both at the same time, in any order.
const ORPHAN: Duration = Duration::from_secs(60 * 60);

fn fate(recorded: Option<&BottleRecord>, stored: Timestamp, now: Timestamp) -> Fate {
    let kept = match recorded {
        Some(bottle) => bottle.state.is_live(),
        None => now.duration_since(stored).unsigned_abs() < ORPHAN,
    };
    if kept { Fate::Kept } else { Fate::Removed }
}

/// Deals with every stored policy: the supervisor before this one may have been killed between storing a revision and
/// pushing it, or have missed a bottle's end.
pub(crate) async fn settle(bus: &Bus) -> Result<(), BusError> {
    let (store, bottles) = (Store::new(bus), bus.bucket(&BOTTLES));
    for key in store.bottles().await? {
        let Ok(bottle) = key.parse() else { continue };
        let settled = async {
            let Some(policy) = store.stored(&bottle).await? else { return Ok(()) };
            let recorded = bottles.get(&key).await?;
            match fate(recorded.as_ref().map(|found| &found.value), policy.at, Clock::System.now()) {
                Fate::Kept => store.push(&policy.value).await,
                Fate::Removed => store.remove(&bottle).await,
            }
        };
        match settled.await {
            // One unreadable value must not keep the others from their sidecars.
            Err(error @ BusError::Malformed { .. }) => {
                tracing::error!(
                    bottle = key,
                    error = chain(&error),
                    "a policy is neither pushed nor removed"
                );
            }
            settled => settled?,
        }
    }
    Ok(())
}

/// Removes the policy and ends the proposals of each bottle that ends, until the connection is closed.
pub(crate) async fn serve(bus: Bus, mut bottles: Watch<BottleRecord>, proposals: Proposals) {
    let store = Store::new(&bus);
    loop {
        let over = match bottles.next().await {
            Ok(change) => over(&change),
            Err(error) => {
                tracing::error!(error = chain(&error), "the ends of bottles are not heard any more");
                return;
            }
        };
        let Some(bottle) = over else { continue };
        let ended = async {
            store.remove(&bottle).await?;
            proposals.orphan(&bottle).await
        };
        if let Err(error) = ended.await {
            let (bottle, error) = (bottle.as_str(), chain(&error));
            tracing::warn!(bottle, error, "what is left of a bottle that is over waits for the next start");
        }
    }
}

/// The bottle that a change of the registry ends, if it ends one.
fn over(change: &Change<BottleRecord>) -> Option<Slug> {
    let is_over = match &change.value {
        Some(Ok(found)) => !found.value.state.is_live(),
        Some(Err(_)) => false,
        None => true,
    };
    change.key.parse().ok().filter(|_| is_over)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bus::Value;

    fn record(state: &str) -> BottleRecord {
        serde_json::from_value(serde_json::json!({
            "v": 1, "bottle": "me-00000", "request": "r1", "attempt": 1, "agent": "me", "bottles": [], "launcher": "l1",
            "backend": "namespace", "state": state, "label": "me", "created_at": "2026-01-01T00:00:00Z",
            "updated_at": "2026-01-01T00:00:00Z",
        }))
        .unwrap()
    }

    const STATES: [(&str, Fate); 6] = [
        ("starting", Fate::Kept),
        ("running", Fate::Kept),
        ("settling", Fate::Kept),
        ("exited", Fate::Removed),
        ("failed", Fate::Removed),
        ("lost", Fate::Removed),
    ];

    #[test]
    fn a_policy_lives_as_long_as_its_bottle() {
        let now: Timestamp = "2026-01-02T00:00:00Z".parse().unwrap();
        let before = |seconds| now - jiff::SignedDuration::from_secs(seconds);
        for (state, fate_of_it) in STATES {
            assert_eq!(fate(Some(&record(state)), before(1), now), fate_of_it, "{state}");
            assert_eq!(fate(Some(&record(state)), before(100_000), now), fate_of_it, "{state}");
            let value = Value { value: record(state), revision: 1, at: now, expires: false };
            let over = over(&Change { key: "me-00000".to_owned(), value: Some(Ok(value)) });
            assert_eq!(over.is_some(), fate_of_it == Fate::Removed, "{state}");
        }
        for (age, fate_of_it) in [(0, Fate::Kept), (3599, Fate::Kept), (3600, Fate::Removed)] {
            assert_eq!(fate(None, before(age), now), fate_of_it, "{age} seconds");
        }
        assert!(over(&Change { key: "me-00000".to_owned(), value: None }).is_some());
    }
}
