//! Times in buckets. Counting one costs two additions to atomics, so it may be done for each proxy.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::{MetricEncoder, NoLabelSet};

/// Upper bounds of the buckets in microseconds, from 0.1 ms to 10 s; one more takes the rest.
const BOUNDS: [u64; 16] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    2_500_000, 5_000_000, 10_000_000,
];

/// How often something took how long.
#[derive(Debug, Default)]
pub(super) struct Histogram {
    buckets: [AtomicU64; BOUNDS.len() + 1],
    /// All of it, in microseconds.
    sum: AtomicU64,
}

impl Histogram {
    /// Counts one.
    pub(super) fn observe(&self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let bucket = BOUNDS.partition_point(|bound| *bound < micros);
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(micros, Ordering::Relaxed);
    }

    /// How many were counted.
    #[cfg(test)]
    pub(super) fn count(&self) -> u64 {
        let counts = self.buckets.iter().map(|count| count.load(Ordering::Relaxed));
        counts.sum()
    }

    /// All of it.
    #[cfg(test)]
    pub(super) fn sum(&self) -> Duration {
        Duration::from_micros(self.sum.load(Ordering::Relaxed))
    }

    /// Tells of it, in seconds.
    pub(super) fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let counts = self.buckets.iter().map(|count| count.load(Ordering::Relaxed));
        let bounds = BOUNDS.iter().map(|micros| *micros as f64 / 1e6);
        let buckets: Vec<_> = bounds.chain([f64::INFINITY]).zip(counts).collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        let sum = self.sum.load(Ordering::Relaxed) as f64 / 1e6;
        encoder.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
    }
}
