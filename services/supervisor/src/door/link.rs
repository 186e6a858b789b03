//! The door's connection to the bus, which may be away.

use std::time::Duration;

use base::error::chain;
use base::lifecycle::Lifecycle;
use bus::{Bus, Connect, Link, Trace};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

/// Between two tries to connect for the first time.
const PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// The connection, once there is one.
pub(super) type Shared = watch::Receiver<Option<Bus>>;

/// Connects, for as long as it takes. What is published belongs to that trace.
pub(super) fn keep(connect: Connect, trace: Trace, life: &Lifecycle) -> Shared {
    let (sender, shared) = watch::channel(None);
    let stop = life.stop_token();
    life.spawn(async move {
        let bus = stop.run_until_cancelled(connected(connect)).await;
        sender.send_replace(bus.map(|bus| bus.with_trace(trace)));
        // Whoever waits for the first connection waits for the sender's news.
        stop.cancelled().await;
    });
    shared
}

async fn connected(connect: Connect) -> Bus {
    let mut pause = PAUSE;
    loop {
        match Bus::connect(connect.clone()).await {
            Ok(bus) => return bus,
            Err(error) => tracing::warn!(error = chain(&error), "no bus yet"),
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// The connection, if it is up within that time.
pub(super) async fn up(shared: &Shared, within: Duration) -> Option<Bus> {
    let mut shared = shared.clone();
    let up = async {
        let bus = shared.wait_for(Option::is_some).await.ok()?.clone()?;
        bus.link().wait_for(|link| *link == Link::Up).await.ok()?;
        Some(bus)
    };
    timeout(within, up).await.ok().flatten()
}
