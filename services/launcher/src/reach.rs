//! The bus for a launcher that is to stop: one that is away is waited for no longer than a moment, since a stop has a deadline
//! and a bottle's end has many things to say. What is not said then is found by the next launcher.

use std::time::Duration;

use base::lifecycle::Lifecycle;
use bus::{Bus, BusError, Link};

/// How long a bus may be away that only starts anew.
const MOMENT: Duration = Duration::from_secs(2);

/// Does something on the bus, which has its own deadline; not at all where a launcher is to stop and the bus is away.
///
/// # Errors
/// What the deed says; [`BusError::Deadline`] if it was not done.
pub(crate) async fn within_reach<T>(
    (bus, life): (&Bus, &Lifecycle),
    deed: impl Future<Output = Result<T, BusError>>,
) -> Result<T, BusError> {
    if life.is_stopping() {
        let mut link = bus.link();
        // The sender lives as long as the connection, which this has.
        if tokio::time::timeout(MOMENT, link.wait_for(|link| *link == Link::Up)).await.is_err() {
            let doing = "telling of a bottle's end while the launcher stops".to_owned();
            return Err(BusError::Deadline { doing, deadline: MOMENT });
        }
    }
    deed.await
}
