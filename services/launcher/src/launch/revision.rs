//! Step 2 for the policy: the supervisor stores its first revision.

use std::time::{Duration, Instant};

use bus::message::revision::{PolicyChange, PolicyChangeReply};
use bus::{Bus, BusError};

/// How long the supervisor may take to store a revision.
const SUPERVISOR: Duration = Duration::from_secs(10);
/// How long one that was asked may take to answer before it is asked again, and the pause until then.
const ONE_TRY: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(100);

/// Has the first revision of a policy stored; its number, or the answer that it was not. A supervisor that is being started
/// again is waited for.
pub(super) async fn first_revision(
    bus: &Bus,
    change: &PolicyChange,
) -> Result<Result<u64, PolicyChangeReply>, BusError> {
    let end = Instant::now() + SUPERVISOR;
    let mut asked_before = false;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        match bus.request(change, left.min(ONE_TRY)).await {
            Ok(PolicyChangeReply::Stored { revision } | PolicyChangeReply::Running { revision }) => {
                return Ok(Ok(revision));
            }
            // Nobody else makes the first revision of this bottle: it was stored by one that did not live to say so.
            Ok(PolicyChangeReply::Conflict { current: 1 }) if asked_before => return Ok(Ok(1)),
            Ok(reply) => return Ok(Err(reply)),
            Err(BusError::NoResponders { .. } | BusError::Deadline { .. }) if left > ONE_TRY => {
                asked_before = true;
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) => return Err(error),
        }
    }
}
