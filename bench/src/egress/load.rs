//! Load: some connections that ask as fast as they are answered, for some time.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bytes::Bytes;
use futures::future::try_join_all;

use super::HOST;
use super::client::{Connection, Way};

/// Requests before the clock starts.
const WARM_UP: usize = 50;

/// What the connections ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asks {
    /// A short page.
    Get,
    /// The same, with 2 KB of JSON.
    Post,
}

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

    /// A percentile of the latency, from 0 to 99, in microseconds.
    pub(crate) fn percentile(&self, percent: usize) -> f64 {
        let at = self.latencies.len() * percent / 100;
        self.latencies.get(at).map_or(f64::NAN, |latency| latency.as_secs_f64() * 1e6)
    }
}

/// One run.
///
/// # Errors
/// A request does not get its answer.
pub(crate) async fn run(
    way: &Way,
    asks: Asks,
    connections: usize,
    time: Duration,
) -> anyhow::Result<Outcome> {
    let ready = (0..connections).map(|_| connect(way, asks));
    let ready = try_join_all(ready).await?;
    let before = way.processor_time()?;
    let begun = Instant::now();
    let tasks = ready.into_iter().map(|connection| async move {
        #[expect(clippy::disallowed_methods, reason = "it is joined right here")]
        tokio::spawn(ask(connection, asks, begun + time)).await.context("a task of the load")?
    });
    let mut latencies = try_join_all(tasks).await?.concat();
    let (time, processor) = (begun.elapsed(), way.processor_time()?.saturating_sub(before));
    latencies.sort_unstable();
    Ok(Outcome { latencies, time, processor })
}

async fn connect(way: &Way, asks: Asks) -> anyhow::Result<Connection> {
    let mut connection = way.connect(HOST).await.context("connecting")?;
    for _ in 0..WARM_UP {
        once(&mut connection, asks).await?;
    }
    Ok(connection)
}

async fn once(connection: &mut Connection, asks: Asks) -> anyhow::Result<()> {
    match asks {
        Asks::Get => connection.get("/").await,
        Asks::Post => connection.post(JSON.clone()).await,
    }
}

/// 2 KB of what agents send: words, numbers, an id, a path.
static JSON: LazyLock<Bytes> = LazyLock::new(|| {
    let line = |n: usize| {
        serde_json::json!({ "id": format!("{:08x}-{:04x}", n * 7919, n * 31), "file": format!("src/part{n}/file.rs"),
            "text": "the request was refused because no route names this host", "line": n })
    };
    let text = serde_json::json!({ "model": "bench-1", "messages": (0..14).map(line).collect::<Vec<_>>() });
    Bytes::from(text.to_string())
});

async fn ask(mut connection: Connection, asks: Asks, end: Instant) -> anyhow::Result<Vec<Duration>> {
    let mut latencies = Vec::with_capacity(64 * 1024);
    loop {
        let begun = Instant::now();
        if begun >= end {
            return Ok(latencies);
        }
        once(&mut connection, asks).await?;
        latencies.push(begun.elapsed());
    }
}
