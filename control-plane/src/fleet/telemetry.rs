//! What one proxy reports: how its endpoints fare, and traffic by rule and variant. In memory,
//! since its process connected, and bounded.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use sluice_proto::v1;
use tokio::time::Instant;

/// Endpoints that are kept for one proxy.
const MAX_ENDPOINTS: usize = 50_000;
/// Rules and variants that are kept for one proxy.
const MAX_TRAFFIC: usize = 20_000;
/// Bins of one latency sketch.
const MAX_BINS: usize = 4_096;
/// Longest name in a report, in bytes: that of a key.
const MAX_NAME: usize = 1_024;

/// The sum of a proxy's reports.
#[derive(Debug, Default)]
pub(super) struct Telemetry {
    endpoints: BTreeMap<(String, String), v1::EndpointHealth>,
    traffic: BTreeMap<(String, String), Traffic>,
    dropped_log_lines: u64,
    /// Entries that did not fit.
    overflowed: u64,
    last: Option<Instant>,
}

#[derive(Debug, Default)]
struct Traffic {
    requests: u64,
    failures: u64,
    latency: Latency,
}

/// A DDSketch (Masson, Rim, Lee 2019) as it travels: counts by bucket index.
#[derive(Debug, Default)]
struct Latency {
    alpha: f64,
    bins: BTreeMap<i32, u64>,
    zeros: u64,
}

/// What a proxy reported since it connected.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TelemetryView {
    /// Endpoints that the proxy told of.
    pub endpoints: Vec<EndpointView>,
    /// Traffic by rule and variant.
    pub traffic: Vec<TrafficView>,
    /// Entries of reports that were not kept because there were too many.
    pub overflowed: u64,
}

/// One endpoint as one proxy sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct EndpointView {
    /// Key of the backend.
    pub backend: String,
    /// `IP:PORT`
    pub address: String,
    /// `healthy`, `ejected` or `unknown`.
    pub state: &'static str,
    /// Failures so far.
    pub failures: u64,
}

/// Traffic of one rule, or of one variant on it.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TrafficView {
    /// Key of the rule.
    pub rule: String,
    /// Name of the variant; empty outside of an experiment.
    pub variant: String,
    /// Requests.
    pub requests: u64,
    /// Answers of 500 and above, and requests without an answer.
    pub failures: u64,
    /// Median latency in milliseconds; absent without any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p50_ms: Option<f64>,
    /// 99th percentile of latency in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p99_ms: Option<f64>,
}

impl Telemetry {
    /// Adds one report.
    pub(super) fn fold(&mut self, report: v1::Report, now: Instant) {
        self.last = Some(now);
        self.dropped_log_lines = self.dropped_log_lines.saturating_add(report.dropped_log_lines);
        for health in report.endpoints {
            let key = (health.backend.clone(), health.address.clone());
            let known = self.endpoints.contains_key(&key);
            if (known || self.endpoints.len() < MAX_ENDPOINTS)
                && key.0.len() <= MAX_NAME
                && key.1.len() <= MAX_NAME
            {
                self.endpoints.insert(key, health);
            } else {
                self.overflowed += 1;
            }
        }
        for traffic in report.traffic {
            self.fold_traffic(traffic);
        }
    }

    fn fold_traffic(&mut self, report: v1::RouteTraffic) {
        let key = (report.rule, report.variant);
        let known = self.traffic.contains_key(&key);
        if (!known && self.traffic.len() >= MAX_TRAFFIC) || key.0.len() > MAX_NAME || key.1.len() > MAX_NAME {
            self.overflowed += 1;
            return;
        }
        let traffic = self.traffic.entry(key).or_default();
        traffic.requests = traffic.requests.saturating_add(report.requests);
        traffic.failures = traffic.failures.saturating_add(report.failures);
        if let Some(sketch) = &report.latency {
            traffic.latency.merge(sketch);
        }
    }

    /// Access-log lines that the proxy dropped.
    pub(super) fn dropped_log_lines(&self) -> u64 {
        self.dropped_log_lines
    }

    /// Endpoints that are ejected now, and all that are known.
    pub(super) fn endpoint_counts(&self) -> (usize, usize) {
        let ejected = self.endpoints.values();
        let ejected = ejected
            .filter(|health| health.state() == v1::endpoint_health::State::Ejected)
            .count();
        (ejected, self.endpoints.len())
    }

    fn traffic(&self) -> impl Iterator<Item = TrafficView> {
        self.traffic.iter().map(|((rule, variant), traffic)| TrafficView {
            rule: rule.clone(),
            variant: variant.clone(),
            requests: traffic.requests,
            failures: traffic.failures,
            p50_ms: traffic.latency.quantile(0.5),
            p99_ms: traffic.latency.quantile(0.99),
        })
    }

    pub(super) fn view(&self) -> TelemetryView {
        let endpoint = |health: &v1::EndpointHealth| EndpointView {
            backend: health.backend.clone(),
            address: health.address.clone(),
            state: match health.state() {
                v1::endpoint_health::State::Healthy => "healthy",
                v1::endpoint_health::State::Ejected => "ejected",
                v1::endpoint_health::State::Unspecified => "unknown",
            },
            failures: health.failures,
        };
        TelemetryView {
            endpoints: self.endpoints.values().map(endpoint).collect(),
            traffic: self.traffic().collect(),
            overflowed: self.overflowed,
        }
    }
}

impl Latency {
    /// Adds a sketch of the same accuracy; of another one the counts cannot be added up, and the
    /// newer sketch starts anew.
    fn merge(&mut self, sketch: &v1::Sketch) {
        if !(sketch.alpha > 0.0 && sketch.alpha < 1.0) {
            return;
        }
        if self.alpha != sketch.alpha {
            *self = Self {
                alpha: sketch.alpha,
                ..Self::default()
            };
        }
        self.zeros = self.zeros.saturating_add(sketch.zeros);
        for (bin, count) in sketch.bins.iter().zip(&sketch.counts) {
            let full = self.bins.len() >= MAX_BINS && !self.bins.contains_key(bin);
            // A full sketch gives up the lowest bins first, as DDSketch does: the high ones matter.
            let bin = match (full, self.bins.first_key_value()) {
                (true, Some((lowest, _))) => *lowest,
                _ => *bin,
            };
            let counted = self.bins.entry(bin).or_default();
            *counted = counted.saturating_add(*count);
        }
    }

    /// The value that `share` of all are not above, at most `alpha` off.
    fn quantile(&self, share: f64) -> Option<f64> {
        let total = self
            .bins
            .values()
            .fold(self.zeros, |total, count| total.saturating_add(*count));
        if total == 0 {
            return None;
        }
        let rank = (share * (total - 1) as f64) as u64;
        let mut below = self.zeros;
        if rank < below {
            return Some(0.0);
        }
        let gamma = (1.0 + self.alpha) / (1.0 - self.alpha);
        let bin = self.bins.iter().find(|(_, count)| {
            below = below.saturating_add(**count);
            rank < below
        });
        bin.map(|(bin, _)| gamma.powi(*bin) * 2.0 * gamma / (1.0 + gamma))
    }
}
