//! `/metrics`: everything that is counted, for Prometheus.

use std::time::Duration;

use sluice_core::{Millis, Snapshot};
use sluice_model::Key;

use super::{Totals, Traffic, text::Text};
use crate::{
    memory::resident,
    request::Reason,
    tls::{HandshakeFailure, Handshakes},
};

/// Upper bounds of the duration histogram, in seconds.
const BOUNDS: [f64; 14] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// What is known besides the sums.
#[derive(Debug)]
pub(crate) struct Facts<'a> {
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) now: Millis,
    /// Microseconds that the live snapshot took from its arrival to its publication.
    pub(crate) build_us: u64,
    /// Whether a control plane is connected.
    pub(crate) connected: bool,
    /// Whether requests are taken.
    pub(crate) ready: bool,
    /// Bytes of memory past which requests are refused.
    pub(crate) ceiling: u64,
    /// Until when the certificate of this proxy is good, since 1970.
    pub(crate) certificate: Option<Duration>,
}

/// The text of `/metrics`.
pub(crate) fn render(totals: &Totals, facts: &Facts<'_>) -> String {
    let mut text = Text::default();
    requests(&mut text, totals);
    connections(&mut text, totals);
    gauges(&mut text, totals);
    handshakes(&mut text, &totals.counters.handshakes);
    snapshot(&mut text, facts);
    endpoints(&mut text, facts);
    text.finish()
}

fn requests(text: &mut Text, totals: &Totals) {
    let mut traffic: Vec<_> = totals.traffic.iter().collect();
    traffic.sort_unstable_by_key(|(label, _)| *label);

    text.metric(
        "sluice_requests_total",
        "counter",
        "Requests by route, variant and class of answer.",
    );
    for (label, traffic) in &traffic {
        for (class, count) in CLASSES
            .iter()
            .zip(traffic.classes)
            .filter(|(_, count)| *count != 0)
        {
            let labels = [
                ("route", label.route()),
                ("rule", label.rule()),
                ("variant", label.variant()),
                ("code", *class),
            ];
            text.sample("sluice_requests_total", &labels, count);
        }
    }

    let name = "sluice_request_duration_seconds";
    text.metric(
        name,
        "histogram",
        "From the request's head to the end of its answer.",
    );
    for (label, traffic) in &traffic {
        let labels = [
            ("route", label.route()),
            ("rule", label.rule()),
            ("variant", label.variant()),
        ];
        histogram(text, name, labels, traffic);
    }

    text.metric(
        "sluice_request_errors_total",
        "counter",
        "Requests that went wrong, by reason and whose fault.",
    );
    for (reason, count) in Reason::all().zip(totals.counters.reasons.0) {
        let labels = [("reason", reason.as_str()), ("fault", reason.fault().as_str())];
        text.sample("sluice_request_errors_total", &labels, count);
    }
}

fn histogram(text: &mut Text, name: &str, labels: [(&str, &str); 3], traffic: &Traffic) {
    let [route, rule, variant] = labels;
    let bucket = format!("{name}_bucket");
    for (bound, count) in BOUNDS.iter().zip(traffic.latency.cumulative(&BOUNDS)) {
        let le = bound.to_string();
        text.sample(&bucket, &[route, rule, variant, ("le", &le)], count);
    }
    let count = traffic.latency.len();
    text.sample(&bucket, &[route, rule, variant, ("le", "+Inf")], count);
    text.sample(&format!("{name}_sum"), &labels, traffic.latency.sum_seconds());
    text.sample(&format!("{name}_count"), &labels, count);
}

fn connections(text: &mut Text, totals: &Totals) {
    let counters = &totals.counters;
    for (name, help, value) in [
        (
            "sluice_connections_accepted_total",
            "Client connections taken.",
            counters.accepted,
        ),
        (
            "sluice_connections_refused_total",
            "Client connections closed at once: too many.",
            counters.refused,
        ),
        (
            "sluice_connections_slow_total",
            "Client connections closed: an answer was taken too slowly.",
            counters.slow_readers,
        ),
        (
            "sluice_upstream_connects_total",
            "Upstream connections made.",
            counters.connects,
        ),
        (
            "sluice_upstream_reused_total",
            "Requests sent on a kept upstream connection.",
            counters.reused,
        ),
        (
            "sluice_upstream_retries_total",
            "Requests sent a second time.",
            counters.retries,
        ),
        (
            "sluice_mirrored_total",
            "Copies of requests for mirrors.",
            counters.mirrored,
        ),
        (
            "sluice_mirrors_dropped_total",
            "Copies of requests that did not arrive whole, or got no answer.",
            counters.mirrors_dropped,
        ),
        (
            "sluice_upgrades_total",
            "Connections upgraded to another protocol.",
            counters.upgrades,
        ),
        (
            "sluice_request_bytes_total",
            "Bytes of request bodies.",
            counters.request_bytes,
        ),
        (
            "sluice_response_bytes_total",
            "Bytes of response bodies.",
            counters.response_bytes,
        ),
        (
            "sluice_endpoint_ejections_total",
            "Endpoints left out for failing.",
            counters.ejections,
        ),
        (
            "sluice_access_log_dropped_total",
            "Access log lines that found no room.",
            counters.dropped_log_lines,
        ),
        (
            "sluice_samples_lost_total",
            "Sampled requests, and those that they stand for, that no control plane took in time.",
            totals.lost_samples(),
        ),
        (
            "sluice_debug_told_total",
            "Requests told what became of them, for a debug token that held.",
            counters.debug_told,
        ),
        (
            "sluice_debug_ignored_total",
            "Requests whose debug token did not hold, or was not verified: too many in a second.",
            counters.debug_ignored,
        ),
    ] {
        text.single(name, "counter", help, value);
    }
    let name = "sluice_connections_over_limit_total";
    let help = "Client connections turned away, as their listener or client had too many; without a \
                listener, as all of their port had.";
    text.metric(name, "counter", help);
    for (listener, count) in &counters.over_limit {
        let listener = listener.as_ref().map_or("", Key::as_str);
        text.sample(name, &[("listener", listener)], *count);
    }
}

fn gauges(text: &mut Text, totals: &Totals) {
    let gauges = totals.gauges();
    for (name, help, value) in [
        (
            "sluice_connections",
            "Open client connections.",
            gauges.connections,
        ),
        (
            "sluice_requests_in_flight",
            "Requests under way.",
            gauges.requests,
        ),
        (
            "sluice_upstream_idle_connections",
            "Upstream connections kept for the next request.",
            gauges.idle_upstream,
        ),
        (
            "sluice_upgraded_connections",
            "Upgraded connections.",
            gauges.upgraded,
        ),
    ] {
        text.single(name, "gauge", help, value);
    }
}

fn handshakes(text: &mut Text, handshakes: &Handshakes) {
    let name = "sluice_tls_handshakes_total";
    text.metric(
        name,
        "counter",
        "TLS handshakes with clients that were completed.",
    );
    text.sample(name, &[("kind", "full")], handshakes.full);
    text.sample(name, &[("kind", "resumed")], handshakes.resumed);
    let name = "sluice_tls_handshake_failures_total";
    text.metric(name, "counter", "TLS handshakes with clients that failed.");
    for (failure, count) in HandshakeFailure::ALL.into_iter().zip(handshakes.failed) {
        text.sample(name, &[("reason", failure.as_str())], count);
    }
}

fn snapshot(text: &mut Text, facts: &Facts<'_>) {
    let revision = facts.snapshot.position().revision.0;
    text.single(
        "sluice_snapshot_revision",
        "gauge",
        "Revision of the live snapshot.",
        revision,
    );
    let resources = facts.snapshot.resources().len();
    text.single(
        "sluice_snapshot_resources",
        "gauge",
        "Resources of the live snapshot.",
        resources,
    );
    memory(text, facts.ceiling);
    let seconds = facts.build_us as f64 / 1e6;
    let help = "Time to verify, build and publish the live snapshot.";
    text.single("sluice_snapshot_build_seconds", "gauge", help, seconds);
    let help = "Whether a control plane is connected.";
    text.single(
        "sluice_control_connected",
        "gauge",
        help,
        u8::from(facts.connected),
    );
    if let Some(end) = facts.certificate {
        let help = "When the certificate for control planes runs out, in seconds since 1970.";
        text.single(
            "sluice_certificate_expiry_timestamp_seconds",
            "gauge",
            help,
            end.as_secs(),
        );
    }
    let help = "Whether a complete snapshot is live and bound.";
    text.single("sluice_ready", "gauge", help, u8::from(facts.ready));
}

fn memory(text: &mut Text, ceiling: u64) {
    let help = "Bytes that the process has in memory.";
    text.single(
        "sluice_memory_resident_bytes",
        "gauge",
        help,
        resident().unwrap_or(0),
    );
    let help = "Bytes in memory past which new requests get 503.";
    text.single("sluice_memory_limit_bytes", "gauge", help, ceiling);
}

fn endpoints(text: &mut Text, facts: &Facts<'_>) {
    let mut endpoints: Vec<_> = facts
        .snapshot
        .backends()
        .flat_map(|backend| {
            backend
                .endpoints
                .iter()
                .map(|one| (backend.backend.key.owner(), one))
        })
        .collect();
    endpoints.sort_unstable_by_key(|(backend, endpoint)| (*backend, endpoint.address));
    text.metric(
        "sluice_endpoint_healthy",
        "gauge",
        "1 while an endpoint takes traffic, 0 while it is left out.",
    );
    for (backend, endpoint) in &endpoints {
        let address = endpoint.address.to_string();
        let healthy = u8::from(!endpoint.health.is_ejected(facts.now));
        let labels = [("backend", *backend), ("endpoint", &address)];
        text.sample("sluice_endpoint_healthy", &labels, healthy);
    }
    text.metric(
        "sluice_endpoint_failures_total",
        "counter",
        "Requests to an endpoint that failed.",
    );
    for (backend, endpoint) in &endpoints {
        let address = endpoint.address.to_string();
        let labels = [("backend", *backend), ("endpoint", &address)];
        text.sample(
            "sluice_endpoint_failures_total",
            &labels,
            endpoint.health.failures(),
        );
    }
}
