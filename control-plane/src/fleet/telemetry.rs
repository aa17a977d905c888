//! What one proxy reports: how its endpoints fare, on the stream that it has now, and traffic by rule and
//! variant, since its process connected, until its lease is over. In memory, bounded for each proxy and for all of them together.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use sluice_proto::v1;

use super::ailing::Ailing;
use super::room::{Room, Share};

/// Bytes that the endpoints of all proxies may take: about 340,000 of them.
const ENDPOINT_ROOM: usize = 64 << 20;
/// Bytes that the traffic of all proxies may take.
const TRAFFIC_ROOM: usize = 256 << 20;
/// Rules and variants that are kept for one proxy.
const MAX_TRAFFIC: usize = 20_000;
/// Bins of one latency sketch.
const MAX_BINS: usize = 4_096;
/// Longest name in a report, in bytes: that of a key.
pub(super) const MAX_NAME: usize = 1_024;
/// Bytes that a rule or variant takes, about, beside its names and the bins of its sketch.
const ENTRY: usize = 400;
/// Bytes that one of these takes, about.
const BIN: usize = 32;

/// What the reports of all proxies of a control plane may take. Clones are the same.
#[derive(Clone, Debug)]
pub(super) struct Rooms {
    pub(super) endpoints: Room,
    pub(super) traffic: Room,
}

/// The sum of a proxy's reports.
#[derive(Debug)]
pub(super) struct Telemetry {
    pub(super) endpoints: Ailing,
    traffic: BTreeMap<(String, String), Traffic>,
    /// What `traffic` takes.
    share: Share,
    dropped_log_lines: u64,
    /// Entries about traffic that did not fit.
    refused: u64,
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
    /// Endpoints that are ejected, or failed a request in the last ten minutes; all others are healthy.
    /// Empty while the proxy is not connected.
    pub endpoints: Vec<EndpointView>,
    /// Traffic by rule and variant.
    pub traffic: Vec<TrafficView>,
    /// Entries of reports that were not kept because there were too many, of this proxy or of all
    /// together: the lists above are not whole then.
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
    /// Failures since the endpoint came.
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

impl Default for Rooms {
    fn default() -> Self {
        Self::of(ENDPOINT_ROOM, TRAFFIC_ROOM)
    }
}

impl Rooms {
    /// So many bytes for each.
    pub(super) fn of(endpoints: usize, traffic: usize) -> Self {
        Self {
            endpoints: Room::of(endpoints),
            traffic: Room::of(traffic),
        }
    }
}

/// Of a proxy that reports to another replica.
impl Default for Telemetry {
    fn default() -> Self {
        Self::within(&Rooms::of(0, 0))
    }
}

impl Telemetry {
    /// Nothing yet; what comes shares `rooms` with the other proxies.
    pub(super) fn within(rooms: &Rooms) -> Self {
        Self {
            endpoints: Ailing::within(&rooms.endpoints),
            traffic: BTreeMap::new(),
            share: rooms.traffic.share(),
            dropped_log_lines: 0,
            refused: 0,
        }
    }

    /// Endpoints and traffic are not known any more; their room is for others.
    pub(super) fn clear(&mut self) {
        self.endpoints.clear();
        self.traffic.clear();
        self.share.give_back(usize::MAX);
        self.refused = 0;
    }

    /// Adds one report.
    pub(super) fn fold(&mut self, report: v1::Report) {
        self.dropped_log_lines = self.dropped_log_lines.saturating_add(report.dropped_log_lines);
        self.endpoints.fold(&report);
        for traffic in report.traffic {
            self.fold_traffic(traffic);
        }
    }

    fn fold_traffic(&mut self, report: v1::RouteTraffic) {
        let names = report.rule.len() + report.variant.len();
        let key = (report.rule, report.variant);
        if !self.traffic.contains_key(&key) {
            let is_short = key.0.len() <= MAX_NAME && key.1.len() <= MAX_NAME;
            let fits = is_short && self.traffic.len() < MAX_TRAFFIC;
            if !fits || !self.share.take(ENTRY + names) {
                return self.refuse();
            }
        }
        let traffic = self.traffic.entry(key).or_default();
        traffic.requests = traffic.requests.saturating_add(report.requests);
        traffic.failures = traffic.failures.saturating_add(report.failures);
        if let Some(sketch) = &report.latency {
            // As many as there can be afterwards; then as many as there are.
            let new = traffic.latency.new_bins(sketch);
            let most = traffic.latency.bins.len() + new;
            if !self.share.take(BIN * new) {
                return self.refuse();
            }
            traffic.latency.merge(sketch);
            self.share.give_back(BIN * (most - traffic.latency.bins.len()));
        }
    }

    fn refuse(&mut self) {
        self.refused += 1;
        self.share.refuse();
    }

    /// Access-log lines that the proxy dropped.
    pub(super) fn dropped_log_lines(&self) -> u64 {
        self.dropped_log_lines
    }

    /// Entries of reports that were not kept.
    pub(super) fn overflowed(&self) -> u64 {
        self.refused + self.endpoints.refused()
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
        TelemetryView {
            endpoints: self.endpoints.view(),
            traffic: self.traffic().collect(),
            overflowed: self.overflowed(),
        }
    }
}

impl Latency {
    /// How many bins `sketch` has that this has not.
    fn new_bins(&self, sketch: &v1::Sketch) -> usize {
        let is_new = |bin: &&i32| !self.bins.contains_key(bin);
        sketch.bins.iter().filter(is_new).count().min(MAX_BINS)
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    fn traffic(rule: &str, bins: std::ops::Range<i32>) -> v1::Report {
        let counts = vec![1; bins.len()];
        let latency = v1::Sketch {
            alpha: 0.01,
            bins: bins.collect(),
            counts,
            ..v1::Sketch::default()
        };
        v1::Report {
            traffic: vec![v1::RouteTraffic {
                rule: rule.into(),
                requests: 10,
                failures: 1,
                latency: Some(latency),
                ..v1::RouteTraffic::default()
            }],
            ..v1::Report::default()
        }
    }

    #[test]
    fn traffic_is_kept_as_far_as_there_is_room_for_all_proxies() {
        let rooms = Rooms::of(0, 2 * (ENTRY + 1) + 5 * BIN);
        let [mut one, mut other] = [(); 2].map(|()| Telemetry::within(&rooms));
        one.fold(traffic("a", 0..3));
        other.fold(traffic("a", 0..2));
        assert_eq!(rooms.traffic.taken(), 2 * (ENTRY + 1) + 5 * BIN);
        // Known bins go on counting; new ones and new rules find no room.
        one.fold(traffic("a", 1..3));
        one.fold(traffic("a", 2..4));
        other.fold(traffic("b", 0..0));
        assert_eq!(
            (one.overflowed(), other.overflowed(), rooms.traffic.refused()),
            (1, 1, 2)
        );
        let seen = &one.traffic[&("a".to_owned(), String::new())];
        assert_eq!((seen.requests, seen.latency.bins.values().sum::<u64>()), (30, 5));
        drop(one);
        other.fold(traffic("b", 0..0));
        assert_eq!(rooms.traffic.taken(), 2 * (ENTRY + 1) + 2 * BIN);
        drop(other);
        assert_eq!(rooms.traffic.taken(), 0);
    }

    #[test]
    fn a_sketch_takes_what_its_bins_take_also_when_it_starts_anew() {
        let rooms = Rooms::of(0, 1 << 20);
        let mut telemetry = Telemetry::within(&rooms);
        telemetry.fold(traffic("a", 0..500));
        let mut finer = traffic("a", 0..20);
        if let Some(latency) = &mut finer.traffic[0].latency {
            latency.alpha = 0.001;
        }
        telemetry.fold(finer);
        assert_eq!(rooms.traffic.taken(), ENTRY + 1 + 20 * BIN);
        let wide = i32::try_from(MAX_BINS).unwrap() + 100;
        telemetry.fold(traffic("a", 0..wide));
        assert_eq!(rooms.traffic.taken(), ENTRY + 1 + MAX_BINS * BIN);
        assert_eq!(telemetry.overflowed(), 0);
    }
}
