//! How long things took, counted in buckets without a lock.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::{MetricType, TypedMetric};

/// The buckets' upper bounds, in nanoseconds: 10 µs to 100 s, by tens.
const BOUNDS: [u64; 8] =
    [10_000, 100_000, 1_000_000, 10_000_000, 100_000_000, 1_000_000_000, 10_000_000_000, 100_000_000_000];

/// A histogram of durations.
#[derive(Clone, Debug, Default)]
pub(crate) struct Times(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    /// For each bound those below it, and last those over all.
    buckets: [AtomicU64; BOUNDS.len() + 1],
    nanoseconds: AtomicU64,
}

/// Counts the time until it is dropped.
pub(crate) struct Stopwatch(Option<(Times, Instant)>);

impl Times {
    pub(crate) fn observe(&self, took: Duration) {
        let took = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let bucket = BOUNDS.partition_point(|bound| *bound < took);
        self.0.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.0.nanoseconds.fetch_add(took, Ordering::Relaxed);
    }
}

impl Stopwatch {
    /// Begins, if anybody wants to know.
    pub(crate) fn start(times: Option<&Times>) -> Self {
        Self(times.map(|times| (times.clone(), Instant::now())))
    }
}

impl Drop for Stopwatch {
    fn drop(&mut self) {
        if let Some((times, since)) = &self.0 {
            times.observe(since.elapsed());
        }
    }
}

impl EncodeMetric for Times {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let counts = self.0.buckets.each_ref().map(|bucket| bucket.load(Ordering::Relaxed));
        let bounds = BOUNDS.iter().map(|bound| *bound as f64 / 1e9).chain([f64::INFINITY]);
        let buckets: Vec<_> = bounds.zip(counts).collect();
        let sum = self.0.nanoseconds.load(Ordering::Relaxed) as f64 / 1e9;
        encoder.encode_histogram::<NoLabelSet>(sum, counts.iter().sum(), &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

impl TypedMetric for Times {
    const TYPE: MetricType = MetricType::Histogram;
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;
    use prometheus_client::registry::Registry;

    use super::*;

    #[test]
    fn durations_fall_into_buckets() {
        let times = Times::default();
        for micros in [9, 10, 11, 2_000_000, 200_000_000] {
            times.observe(Duration::from_micros(micros));
        }
        drop(Stopwatch::start(None));
        let mut registry = Registry::default();
        registry.register("t", "T", times);
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        insta::assert_snapshot!(text, @r#"
        # HELP t T.
        # TYPE t histogram
        t_sum 202.00003
        t_count 5
        t_bucket{le="0.00001"} 2
        t_bucket{le="0.0001"} 3
        t_bucket{le="0.001"} 3
        t_bucket{le="0.01"} 3
        t_bucket{le="0.1"} 3
        t_bucket{le="1.0"} 3
        t_bucket{le="10.0"} 4
        t_bucket{le="100.0"} 4
        t_bucket{le="+Inf"} 5
        # EOF
        "#);
    }
}
