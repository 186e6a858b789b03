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
    latencies: Vec<Duration>,
    time: Duration,
}

impl Outcome {
    pub(crate) fn per_second(&self) -> f64 {
        self.latencies.len() as f64 / self.time.as_secs_f64()
    }

    /// The median latency in microseconds.
    pub(crate) fn p50(mut self) -> f64 {
        self.latencies.sort_unstable();
        self.latencies.get(self.latencies.len() / 2).map_or(f64::NAN, |latency| latency.as_secs_f64() * 1e6)
    }
}

/// One run.
///
/// # Errors
/// A request does not get its answer.
pub(crate) async fn run(way: &Way, connections: usize, time: Duration) -> anyhow::Result<Outcome> {
    let mut ready = Vec::with_capacity(connections);
    for _ in 0..connections {
        let mut connection = way.connect(HOST).await.context("connecting")?;
        for _ in 0..WARM_UP {
            connection.get("/").await?;
        }
        ready.push(connection);
    }
    let begun = Instant::now();
    let tasks = ready.into_iter().map(|connection| async move {
        #[expect(clippy::disallowed_methods, reason = "it is joined right here")]
        tokio::spawn(ask(connection, begun + time)).await.context("a task of the load")?
    });
    let latencies = try_join_all(tasks).await?.concat();
    Ok(Outcome { latencies, time: begun.elapsed() })
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
