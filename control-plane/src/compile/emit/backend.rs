//! A Backend: how it is spoken to, and where it is.

use std::collections::HashSet;
use std::net::IpAddr;

use sluice_core::Entry;
use sluice_intent::{BackendProtocol, BackendSpec, Duration, OutlierDetection, Resource};
use sluice_model::{Kind, MAX_ENDPOINTS, Outlier};
use sluice_proto::v1;

use super::{entry, upstream_tls};
use crate::compile::World;

/// Nothing for a Backend whose TLS cannot be had: what refers to it answers 500.
pub(super) fn entries(world: &World, resource: &Resource, spec: &BackendSpec) -> Vec<Entry> {
    let Ok(tls) = upstream_tls::resolve(world, resource) else {
        return Vec::new();
    };
    let id = &resource.id;
    let segments = [id.namespace.as_str(), id.name.as_str()];
    let protocol = match spec.protocol.unwrap_or_default() {
        BackendProtocol::Http => v1::backend::Protocol::Http,
        BackendProtocol::H2c => v1::backend::Protocol::H2c,
    };
    let backend = v1::Backend {
        protocol: protocol.into(),
        // The model's own default, 5 s, stands for 0.
        connect_timeout_ms: spec.connect_timeout.map_or(0, Duration::as_millis),
        outlier: spec.outlier_detection.as_ref().map(outlier),
        tls,
    };
    let endpoints = v1::Endpoints {
        endpoints: endpoints(world, spec),
    };
    [
        entry(Kind::Backend, &segments, &backend),
        entry(Kind::Endpoints, &segments, &endpoints),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// What is left out has the default: 5 failures, 30 s, 300 s, 50 %.
fn outlier(written: &OutlierDetection) -> v1::Outlier {
    let default = Outlier::default();
    let millis = |written: Option<Duration>, default: std::time::Duration| {
        written.map_or(
            u64::try_from(default.as_millis()).unwrap_or(u64::MAX),
            Duration::as_millis,
        )
    };
    let base = millis(written.base_ejection_time, default.base_ejection);
    v1::Outlier {
        failures: written.consecutive_failures.unwrap_or(default.failures),
        base_ejection_ms: base,
        max_ejection_ms: millis(written.max_ejection_time, default.max_ejection).max(base),
        max_ejected_percent: written
            .max_ejected_percent
            .unwrap_or(default.max_ejected_percent)
            .into(),
    }
}

/// Addresses as they are, names as last looked up. Weight 0 gets nothing, so it does not travel;
/// an address that two names share is there once.
fn endpoints(world: &World, spec: &BackendSpec) -> Vec<v1::Endpoint> {
    let mut seen = HashSet::new();
    let mut endpoints = Vec::with_capacity(spec.endpoints.len());
    for endpoint in spec.endpoints.iter().filter(|endpoint| endpoint.weight() > 0) {
        let written = endpoint.address.as_str();
        let literal = written.parse::<IpAddr>().ok();
        let found = literal.as_ref().map_or_else(
            || world.addresses.get(written).map_or(&[][..], |found| found),
            std::slice::from_ref,
        );
        for address in found.iter().map(IpAddr::to_canonical) {
            if endpoints.len() < MAX_ENDPOINTS && seen.insert((address, endpoint.port)) {
                endpoints.push(v1::Endpoint {
                    address: address.to_string(),
                    port: endpoint.port.into(),
                    weight: endpoint.weight(),
                });
            }
        }
    }
    endpoints
}
