//! How long the way of a revision to the fleet takes, stage by stage, and what views cost.

mod histogram;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;

use histogram::Histogram;

/// A stage on the way of a revision. The stages do not overlap, so what one proxy waits for is about
/// their sum. The first three are counted once for each revision and replica, the others once for each
/// proxy that was connected when the revision was published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The transaction of the write. On the replica that writes.
    Commit,
    /// From the commit until this replica begins with it: on the one that wrote from the end of the
    /// transaction, on others by the database's clock, from shortly before its end.
    Notify,
    /// Making the world and the snapshots of all views, encoded. On the replica that writes this comes
    /// before the commit, so that nothing is committed that does not compile; on others it begins with
    /// reading what changed.
    Compile,
    /// From the publication until the update is handed to the stream: encoding the difference, once for
    /// all streams, and waiting for the answer to the update before.
    Send,
    /// What the proxy took to build the snapshot, as it says.
    Build,
    /// From the stream to the acknowledgement, without what the proxy took to build.
    Ack,
}

impl Stage {
    /// Every stage, in the order of the way.
    pub const ALL: [Self; 6] = [
        Self::Commit,
        Self::Notify,
        Self::Compile,
        Self::Send,
        Self::Build,
        Self::Ack,
    ];

    /// The label in metrics.
    const fn name(self) -> &'static str {
        match self {
            Self::Commit => "commit",
            Self::Notify => "notify",
            Self::Compile => "compile",
            Self::Send => "send",
            Self::Build => "build",
            Self::Ack => "ack",
        }
    }
}

/// What this process measured since it started. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Measures {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// By stage.
    propagation: [Histogram; Stage::ALL.len()],
    view_changes: Histogram,
    view_versions: AtomicU64,
}

impl Measures {
    /// A stage took so long.
    pub fn took(&self, stage: Stage, time: Duration) {
        self.shared.propagation[stage as usize].observe(time);
    }

    /// Making the views that proxies have now took so long.
    pub fn views_made(&self, time: Duration) {
        self.shared.view_changes.observe(time);
    }

    /// So many views have another version than before.
    pub fn versions_made(&self, count: usize) {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        self.shared.view_versions.fetch_add(count, Ordering::Relaxed);
    }
}

#[cfg(test)]
impl Measures {
    /// All that a stage took, to the microsecond.
    pub(crate) fn sum_of(&self, stage: Stage) -> Duration {
        self.shared.propagation[stage as usize].sum()
    }

    /// How often a stage was counted.
    pub(crate) fn count_of(&self, stage: Stage) -> u64 {
        self.shared.propagation[stage as usize].count()
    }
}

/// Tells of them at each scrape.
#[derive(Debug)]
pub struct MeasuresCollector(Measures);

impl MeasuresCollector {
    /// A collector of these.
    pub fn new(measures: Measures) -> Self {
        Self(measures)
    }
}

impl Collector for MeasuresCollector {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let shared = &self.0.shared;
        let help = "What each stage of the way of a revision to the fleet took";
        let name = "sluice_propagation_seconds";
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
        for stage in Stage::ALL {
            let labels = [("stage", stage.name())];
            shared.propagation[stage as usize].encode(metric.encode_family(&labels)?)?;
        }
        let help = "What it took to make the views that proxies came to have";
        let name = "sluice_view_change_seconds";
        let metric = encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
        shared.view_changes.encode(metric)?;
        let help = "Versions of views that were published";
        let name = "sluice_view_versions";
        let metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        ConstCounter::new(shared.view_versions.load(Ordering::Relaxed)).encode(metric)
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;
    use prometheus_client::registry::Registry;

    use super::*;

    fn text(measures: &Measures) -> String {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(MeasuresCollector::new(measures.clone())));
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        text
    }

    fn assert_tells(measures: &Measures, lines: &[&str]) {
        let text = text(measures);
        for line in lines {
            assert!(
                text.lines().any(|known| known == *line),
                "{line} is not in\n{text}"
            );
        }
    }

    #[test]
    fn times_are_counted_in_the_bucket_that_they_fit_into() {
        let measures = Measures::default();
        let micros = [0, 100, 101, 9_999_999, 10_000_001];
        for micros in micros {
            measures.took(Stage::Ack, Duration::from_micros(micros));
        }
        let bucket = |bound: &str, count: u64| {
            format!("sluice_propagation_seconds_bucket{{le=\"{bound}\",stage=\"ack\"}} {count}")
        };
        let lines = [
            bucket("0.0001", 2),
            bucket("0.00025", 3),
            bucket("5.0", 3),
            bucket("10.0", 4),
            bucket("+Inf", 5),
            "sluice_propagation_seconds_count{stage=\"ack\"} 5".to_owned(),
            "sluice_propagation_seconds_sum{stage=\"ack\"} 20.000201".to_owned(),
        ];
        assert_tells(&measures, &lines.each_ref().map(|line| line.as_str()));
    }

    #[test]
    fn every_stage_has_a_series_of_its_own_from_the_start() {
        let measures = Measures::default();
        measures.took(Stage::Commit, Duration::from_millis(3));
        for stage in Stage::ALL {
            let count = u64::from(stage == Stage::Commit);
            let line = format!(
                "sluice_propagation_seconds_count{{stage=\"{}\"}} {count}",
                stage.name()
            );
            assert_tells(&measures, &[&line]);
        }
        measures.views_made(Duration::from_millis(2));
        measures.versions_made(3);
        assert_tells(
            &measures,
            &[
                "sluice_view_versions_total 3",
                "sluice_view_change_seconds_count 1",
            ],
        );
    }
}
