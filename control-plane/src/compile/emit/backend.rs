//! A Backend: how it is spoken to, and where it is.

use std::collections::HashSet;
use std::net::IpAddr;

use sluice_core::Entry;
use sluice_intent::{
    BackendProtocol, BackendSpec, Discovery, Duration, Endpoint, OutlierDetection, Resource,
};
use sluice_model::{Key, Kind, MAX_ENDPOINTS, Outlier};
use sluice_proto::v1;

use super::{entry, upstream_tls};
use crate::compile::World;
use crate::compile::source::{self, Found, NO_PORT, Source};

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
    [
        entry(Kind::Backend, &segments, &backend),
        endpoints(world, resource, spec),
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

/// Where it is, as far as that is known. As long as a source was never heard of, the Backend stays
/// where it was: to say something about its discovery is no reason to lose its endpoints.
fn endpoints(world: &World, resource: &Resource, spec: &BackendSpec) -> Option<Entry> {
    let id = &resource.id;
    let segments = [id.namespace.as_str(), id.name.as_str()];
    let endpoints = match source::discovered(spec, &id.namespace) {
        None => written(world, spec),
        Some(source) => match world.found.get(&source) {
            Some(found) => distinct(found.iter().map(|one| at_port(*one, spec))),
            None => {
                let key = Key::new(Kind::Endpoints, &segments).ok()?;
                if let Some(known) = world.resources().get(&key) {
                    return Some(known.clone());
                }
                Vec::new()
            }
        },
    };
    entry(Kind::Endpoints, &segments, &v1::Endpoints { endpoints })
}

/// Addresses as they are written, names as last looked up.
fn written(world: &World, spec: &BackendSpec) -> Vec<v1::Endpoint> {
    let found = |endpoint: &Endpoint| {
        let written = endpoint.address.as_str();
        let addresses: Vec<IpAddr> = match written.parse() {
            Ok(address) => vec![address],
            Err(_) => {
                let source = Source::Addresses(written.into());
                let found = world.found.get(&source).map_or(&[][..], |found| found);
                found.iter().map(|one| one.address).collect()
            }
        };
        let (port, weight) = (endpoint.port, endpoint.weight());
        addresses.into_iter().map(move |address| Found {
            address,
            port,
            weight,
        })
    };
    distinct(spec.endpoints().iter().flat_map(found))
}

/// An address whose source does not say the port has that of the Backend.
fn at_port(found: Found, spec: &BackendSpec) -> Found {
    let written = match &spec.discovery {
        Some(Discovery::Dns(dns)) => dns.port,
        _ => None,
    };
    match found.port {
        NO_PORT => Found {
            port: written.unwrap_or(NO_PORT),
            ..found
        },
        _ => found,
    }
}

/// Weight 0 gets nothing, so it does not travel; an address that two names share is there once.
fn distinct(found: impl Iterator<Item = Found>) -> Vec<v1::Endpoint> {
    let mut seen = HashSet::new();
    found
        .map(|one| Found {
            address: one.address.to_canonical(),
            ..one
        })
        .filter(|one| one.weight > 0 && seen.insert((one.address, one.port)))
        .take(MAX_ENDPOINTS)
        .map(|one| v1::Endpoint {
            address: one.address.to_string(),
            port: one.port.into(),
            weight: one.weight,
        })
        .collect()
}
