//! The gate's connection to the bus, which may be away.

use std::time::Duration;

use base::error::chain;
use base::lifecycle::Lifecycle;
use bus::Bus;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::config::BusConfig;

/// Between two tries to connect for the first time.
const PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Connects, for as long as it takes. What is published belongs to the bottle's trace.
#[must_use]
pub fn keep(config: BusConfig, life: &Lifecycle) -> watch::Receiver<Option<Bus>> {
    let (sender, shared) = watch::channel(None);
    let stop = life.stop_token();
    life.spawn(async move {
        let bus = stop.run_until_cancelled(connected(config)).await;
        sender.send_replace(bus);
        // Whoever waits for the first connection waits for the sender's news.
        stop.cancelled().await;
    });
    shared
}

async fn connected(config: BusConfig) -> Bus {
    let mut pause = PAUSE;
    loop {
        match Bus::connect(config.connect.clone()).await {
            Ok(bus) => return bus.with_trace(config.trace),
            Err(error) => tracing::warn!(error = chain(&error), "no bus yet; pushes are refused"),
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
