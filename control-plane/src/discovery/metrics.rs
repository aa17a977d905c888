//! The sources of endpoints in numbers, for `/metrics`.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use super::{Board, Totals};

/// Tells how the sources are doing at each scrape.
#[derive(Debug)]
pub struct SourceCollector(Board);

type Column = fn(&Totals) -> u64;

impl SourceCollector {
    /// A collector of what is on `board`.
    pub fn new(board: Board) -> Self {
        Self(board)
    }
}

impl Collector for SourceCollector {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let totals = self.0.totals();
        let gauges: [(&str, &str, Column); 4] = [
            (
                "sluice_discovery_sources_up",
                "Names and services that are followed",
                |of| of.up,
            ),
            (
                "sluice_discovery_sources_down",
                "Names and services that do not answer, or have not yet",
                |of| of.down,
            ),
            ("sluice_discovery_endpoints", "Endpoints that were found", |of| {
                of.endpoints
            }),
            ("sluice_discovery_skipped", "Values that are no endpoints", |of| {
                of.skipped
            }),
        ];
        for (name, help, column) in gauges {
            let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for (source, of) in &totals {
                let value = i64::try_from(column(of)).unwrap_or(i64::MAX);
                ConstGauge::new(value).encode(metric.encode_family(&[("source", *source)])?)?;
            }
        }
        let counters: [(&str, &str, Column); 2] = [
            (
                "sluice_discovery_updates",
                "Answers other than the one before",
                |of| of.updates,
            ),
            (
                "sluice_discovery_errors",
                "Times that a name or a service could not be asked for",
                |of| of.errors,
            ),
        ];
        for (name, help, column) in counters {
            let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for (source, of) in &totals {
                ConstCounter::new(column(of)).encode(metric.encode_family(&[("source", *source)])?)?;
            }
        }
        Ok(())
    }
}
