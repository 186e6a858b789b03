//! Load: some connections that ask as fast as they are answered, for some time.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use futures::future::try_join_all;

use super::HOST;
use super::client::{Connection, Way};

/// Requests before the clock starts.
const WARM_UP: usize = 50;

/// What a run brought.
pub(crate) struct Outcome {
    /// Sorted.
    latencies: Vec<Duration>,
    time: Duration,
    /// The proxy's.
    processor: Duration,
}

impl Outcome {
    pub(crate) fn per_second(&self) -> f64 {
        self.latencies.len() as f64 / self.time.as_secs_f64()
    }

    /// The processor time that the proxy spent on each request, in microseconds.
    pub(crate) fn processor_micros(&self) -> f64 {
        self.processor.as_secs_f64() * 1e6 / self.latencies.len() as f64
    }

    /// The median latency in microseconds.
    pub(crate) fn p50(&self) -> f64 {
        self.latencies.get(self.latencies.len() / 2).map_or(f64::NAN, |latency| latency.as_secs_f64() * 1e6)
    }
}

/// One run.
///
/// # Errors
/// A request does not get its answer.
pub(crate) async fn run(way: &Way, connections: usize, time: Duration) -> anyhow::Result<Outcome> {
    let ready = (0..connections).map(|_| connect(way));
    let ready = try_join_all(ready).await?;
    let before = way.processor_time()?;
    let begun = Instant::now();
    let tasks = ready.into_iter().map(|connection| async move {
        #[expect(clippy::disallowed_methods, reason = "it is joined right here")]
        tokio::spawn(ask(connection, begun + time)).await.context("a task of the load")?
    });
    let mut latencies = try_join_all(tasks).await?.concat();
    let (time, processor) = (begun.elapsed(), way.processor_time()?.saturating_sub(before));
    latencies.sort_unstable();
    Ok(Outcome { latencies, time, processor })
}

async fn connect(way: &Way) -> anyhow::Result<Connection> {
    let mut connection = way.connect(HOST).await.context("connecting")?;
    for _ in 0..WARM_UP {
        connection.get("/").await?;
    }
    Ok(connection)
}

async fn ask(mut connection: Connection, end: Instant) -> anyhow::Result<Vec<Duration>> {
    let mut latencies = Vec::with_capacity(64 * 1024);
    loop {
        let begun = Instant::now();
        if begun >= end {
            return Ok(latencies);
        }
        connection.get("/").await?;
        latencies.push(begun.elapsed());
    }
}
