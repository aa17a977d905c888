//! Trust in numbers, for `/metrics`: who was let in and who was not, and what runs out when.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;

use super::view::AuthorityStage;
use super::{Stranger, Trust};
use crate::clock;
use crate::store::UnixMillis;

/// What was counted since the process started. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Counters {
    enrolments: Family<Enrolment, Counter>,
    connections: Family<Refusal, Counter>,
    proxies: Family<Refusal, Counter>,
}

/// A request for a certificate, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Enrolment {
    request: &'static str,
    outcome: &'static str,
}

/// Why somebody was not let in.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Refusal {
    reason: &'static str,
}

/// The identities of proxies that are known, by what they are worth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Good for a connection.
    pub(super) standing: usize,
    /// Not renewed in time.
    pub(super) expired: usize,
    /// Taken back.
    pub(super) revoked: usize,
    /// When the first of those that stand runs out if it is not renewed.
    pub(super) next_expiry: Option<UnixMillis>,
}

impl Counters {
    /// A `join` or `renew` came to this.
    pub(super) fn enrolled(&self, request: &'static str, outcome: &'static str) {
        self.enrolments
            .get_or_create(&Enrolment { request, outcome })
            .inc();
    }

    /// A connection was closed before it was served.
    pub(super) fn turned_away(&self, reason: &'static str) {
        self.connections.get_or_create(&Refusal { reason }).inc();
    }

    /// A proxy was not let in.
    pub(super) fn refused(&self, reason: Stranger) {
        let reason = reason.label();
        self.proxies.get_or_create(&Refusal { reason }).inc();
    }
}

/// Tells of trust at each scrape.
#[derive(Debug)]
pub struct TrustCollector(Trust);

impl TrustCollector {
    /// A collector of what `trust` knows.
    pub fn new(trust: Trust) -> Self {
        Self(trust)
    }
}

impl Collector for TrustCollector {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let counters = &self.0.shared.counters;
        let help = "Requests of proxies for certificates, by what came of them";
        let metric = encoder.encode_descriptor("sluice_enrolments", help, None, MetricType::Counter)?;
        counters.enrolments.encode(metric)?;
        let help = "Connections to the port of proxies that were closed before they were served";
        let name = "sluice_control_connections_refused";
        let metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        counters.connections.encode(metric)?;
        let help = "Times that a proxy was not let in for who it is";
        let name = "sluice_control_proxies_refused";
        let metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        counters.proxies.encode(metric)?;
        identities(&mut encoder, self.0.shared.directory.tally(clock::wall()))?;
        authorities(&mut encoder, &self.0)
    }
}

fn identities(encoder: &mut DescriptorEncoder<'_>, tally: Tally) -> fmt::Result {
    let help = "Proxies that have joined, by what their certificates are worth";
    let mut metric = encoder.encode_descriptor("sluice_identities", help, None, MetricType::Gauge)?;
    for (state, count) in [
        ("standing", tally.standing),
        ("expired", tally.expired),
        ("revoked", tally.revoked),
    ] {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        metric.encode_family(&[("state", state)])?.encode_gauge(&count)?;
    }
    let Some(next) = tally.next_expiry else {
        return Ok(());
    };
    let help = "When the first certificate of a proxy runs out that is not renewed";
    let name = "sluice_identity_next_expiry_timestamp_seconds";
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    metric.encode_gauge(&seconds(next.0))
}

fn authorities(encoder: &mut DescriptorEncoder<'_>, trust: &Trust) -> fmt::Result {
    let Some(standing) = trust.standing() else {
        return Ok(());
    };
    let help = "When the certificate of this control plane runs out; it gets another one before";
    let name = "sluice_control_certificate_expiry_timestamp_seconds";
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    metric.encode_gauge(&seconds(standing.expires_at.0))?;
    let help = "When the root of an authority runs out";
    let name = "sluice_authority_expiry_timestamp_seconds";
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for authority in trust.authorities() {
        let stage = match authority.stage {
            AuthorityStage::Incoming => "incoming",
            AuthorityStage::Issuing => "issuing",
            AuthorityStage::Outgoing => "outgoing",
        };
        let number = authority.number.to_string();
        let labels = [("number", number.as_str()), ("stage", stage)];
        metric
            .encode_family(&labels)?
            .encode_gauge(&seconds(authority.expires_at_ms))?;
    }
    Ok(())
}

fn seconds(millis: u64) -> f64 {
    millis as f64 / 1_000.0
}
