//! The fleet in numbers, for `/metrics`.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use sluice_proto::v1;
use tokio::sync::watch;
use tokio::time::Instant;

use super::registry::Fleet;
use super::samples::{Lost, Samples};
use super::status::{FleetSummary, ProxyStatus};
use super::telemetry::Rooms;
use crate::clock;
use crate::live::Published;

/// Rules and variants that have series of their own; the rest is in their proxies' `/metrics`.
const MAX_SERIES: usize = 10_000;

/// Longest name that becomes a label, in bytes: that of a key.
const MAX_NAME: usize = 1_024;

/// Traffic by rule and variant.
#[derive(Clone, Debug, Default)]
pub(super) struct Traffic(BTreeMap<(String, String), Counts>);

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    requests: u64,
    failures: u64,
}

impl Traffic {
    /// Adds what one proxy reports.
    pub(super) fn add(&mut self, reports: &[v1::RouteTraffic]) {
        for report in reports {
            let key = (report.rule.clone(), report.variant.clone());
            let fits = self.0.len() < MAX_SERIES && key.0.len() <= MAX_NAME && key.1.len() <= MAX_NAME;
            if fits || self.0.contains_key(&key) {
                let counts = self.0.entry(key).or_default();
                counts.requests = counts.requests.saturating_add(report.requests);
                counts.failures = counts.failures.saturating_add(report.failures);
            }
        }
    }
}

/// Tells of the fleet and of the live revision at each scrape.
pub struct FleetCollector {
    fleet: Arc<Fleet>,
    published: watch::Receiver<Arc<Published>>,
}

impl FleetCollector {
    /// A collector of what `fleet` knows.
    pub fn new(fleet: Arc<Fleet>, published: watch::Receiver<Arc<Published>>) -> Self {
        Self { fleet, published }
    }
}

impl fmt::Debug for FleetCollector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FleetCollector").finish_non_exhaustive()
    }
}

impl Collector for FleetCollector {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let published = Arc::clone(&self.published.borrow());
        let census = self.fleet.census(&published, Instant::now());
        let resources = count(published.version.resources.len());
        for (name, help, value) in [
            (
                "sluice_control_revision",
                "Newest revision that is published",
                count(published.revision().0),
            ),
            (
                "sluice_control_resources",
                "Wire resources that are published",
                resources,
            ),
            (
                "sluice_control_views",
                "Views that are published",
                count(published.world.views().count()),
            ),
            (
                "sluice_fleet_endpoints_ailing",
                "Endpoints that are ejected or failed requests lately, over all proxies",
                count(census.ailing),
            ),
            (
                "sluice_fleet_endpoints_ejected",
                "Endpoints that proxies have ejected",
                count(census.ejected),
            ),
        ] {
            gauge(&mut encoder, name, help, &[(&[], value)])?;
        }
        reports(&mut encoder, &census.rooms)?;
        samples(&mut encoder, self.fleet.samples())?;
        whereabouts(&mut encoder, &census.replicas)?;
        traffic(&mut encoder, &census.traffic)
    }
}

fn gauge(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    series: &[(&[(&str, &str)], i64)],
) -> fmt::Result {
    let kind = ConstGauge::new(0i64).metric_type();
    let mut metric = encoder.encode_descriptor(name, help, None, kind)?;
    let mut encode =
        |(labels, value): &(&[(&str, &str)], i64)| metric.encode_family(labels)?.encode_gauge(value);
    series.iter().try_for_each(&mut encode)
}

/// What is kept of reports, and what was not.
fn reports(encoder: &mut DescriptorEncoder<'_>, rooms: &Rooms) -> fmt::Result {
    let rooms = [("endpoints", &rooms.endpoints), ("traffic", &rooms.traffic)];
    let kept = rooms.map(|(of, room)| ([("of", of)], count(room.taken())));
    let kept = kept.each_ref().map(|(labels, bytes)| (&labels[..], *bytes));
    let help = "What is kept of the reports of proxies takes so much, about";
    gauge(encoder, "sluice_fleet_report_bytes", help, &kept)?;
    let kind = ConstCounter::new(0u64).metric_type();
    let help = "Entries of reports that were not kept, as there were too many";
    let mut metric = encoder.encode_descriptor("sluice_fleet_report_overflows", help, None, kind)?;
    for (of, room) in rooms {
        ConstCounter::new(room.refused()).encode(metric.encode_family(&[("of", of)])?)?;
    }
    Ok(())
}

/// What was not kept of what proxies sampled.
fn samples(encoder: &mut DescriptorEncoder<'_>, samples: &Samples) -> fmt::Result {
    let kind = ConstCounter::new(0u64).metric_type();
    let help = "Kinds of sampled requests that were not kept";
    let mut metric = encoder.encode_descriptor("sluice_fleet_samples_lost", help, None, kind)?;
    for (why, name) in Lost::ALL {
        ConstCounter::new(samples.lost(why)).encode(metric.encode_family(&[("why", name)])?)?;
    }
    Ok(())
}

/// Where the proxies are: the whole fleet, whichever replica is scraped.
fn whereabouts(
    encoder: &mut DescriptorEncoder<'_>,
    replicas: &BTreeMap<String, FleetSummary>,
) -> fmt::Result {
    let kind = ConstGauge::new(0i64).metric_type();
    let help = "Proxies by status and by the replica that holds them";
    let mut metric = encoder.encode_descriptor("sluice_fleet_proxies", help, None, kind)?;
    for (replica, summary) in replicas {
        for status in ProxyStatus::ALL {
            let labels = [("replica", replica.as_str()), ("status", status.name())];
            metric
                .encode_family(&labels)?
                .encode_gauge(&count(summary.of(status)))?;
        }
    }
    let help = "Proxies whose streams stand, by the replica that holds them";
    let mut metric = encoder.encode_descriptor("sluice_fleet_connected", help, None, kind)?;
    for (replica, summary) in replicas {
        let labels = [("replica", replica.as_str())];
        metric
            .encode_family(&labels)?
            .encode_gauge(&count(summary.connected))?;
    }
    let help = "For how long the proxy that lacks a revision for longest has done so; 0 when none does";
    let oldest = replicas
        .values()
        .filter_map(|summary| summary.behind_since_ms)
        .min();
    let ago = oldest.map_or(0, |since| clock::wall().0.saturating_sub(since));
    let mut metric = encoder.encode_descriptor("sluice_fleet_oldest_behind_seconds", help, None, kind)?;
    metric.encode_gauge(&Duration::from_millis(ago).as_secs_f64())
}

fn traffic(encoder: &mut DescriptorEncoder<'_>, traffic: &Traffic) -> fmt::Result {
    let requests: fn(&Counts) -> u64 = |counts| counts.requests;
    let failures: fn(&Counts) -> u64 = |counts| counts.failures;
    for (name, help, value) in [
        (
            "sluice_fleet_requests",
            "Requests by rule and variant, over all proxies",
            requests,
        ),
        (
            "sluice_fleet_failures",
            "Answers of 500 and above, and requests without one",
            failures,
        ),
    ] {
        let kind = ConstCounter::new(0u64).metric_type();
        let mut metric = encoder.encode_descriptor(name, help, None, kind)?;
        for ((rule, variant), counts) in &traffic.0 {
            let labels = [("rule", rule.as_str()), ("variant", variant.as_str())];
            ConstCounter::new(value(counts)).encode(metric.encode_family(&labels)?)?;
        }
    }
    Ok(())
}

fn count(number: impl TryInto<i64>) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}
