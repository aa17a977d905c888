//! Bounds of one TrafficPolicy.

use sluice_model::Code;

use super::targets::{named, validate_targets};
use crate::kind::Kind;
use crate::quantity::Quantity;
use crate::report::Report;
use crate::traffic_policy::{TrafficLimits, TrafficPolicySpec};

/// Most bytes of a head or a target, and most header lines: beyond, they are data and belong
/// into a body.
const MAX_HEAD: u64 = 1024 * 1024;
const MAX_HEADERS: u64 = 1000;

pub(super) fn validate(spec: &TrafficPolicySpec, report: &mut Report<'_>) {
    validate_targets(
        &spec.target_refs,
        &[named(Kind::Gateway), named(Kind::HTTPRoute)],
        report,
    );
    if let Some(limits) = &spec.limits {
        report.field("limits", |report| validate_limits(limits, report));
    }
    let for_routes = spec
        .target_refs
        .iter()
        .any(|target| target.kind.as_str() == Kind::HTTPRoute.as_str());
    if for_routes {
        validate_for_routes(spec, report);
    }
}

fn validate_limits(limits: &TrafficLimits, report: &mut Report<'_>) {
    let bounds = [
        ("connections", limits.connections, u64::MAX),
        ("connectionsPerClient", limits.connections_per_client, u64::MAX),
        ("requestHeaderBytes", limits.request_header_bytes, MAX_HEAD),
        ("requestHeaders", limits.request_headers, MAX_HEADERS),
        ("uriBytes", limits.uri_bytes, MAX_HEAD),
        ("requestBodyBytes", limits.request_body_bytes, u64::MAX),
        ("requestsPerConnection", limits.requests_per_connection, u64::MAX),
    ];
    for (name, limit, most) in bounds {
        match limit {
            Some(Quantity::Of(0)) => report.add_in(name, Code::OutOfRange, "must be at least 1"),
            Some(limit) if limit.count() > most => {
                report.add_in(
                    name,
                    Code::OutOfRange,
                    format_args!("must be at most {most}, not {limit}"),
                );
            }
            Some(_) | None => {}
        }
    }
}

/// A connection has begun, and its request's head has been read, before there is a route.
fn validate_for_routes(spec: &TrafficPolicySpec, report: &mut Report<'_>) {
    let limits = spec.limits.unwrap_or_default();
    let timeouts = spec.timeouts.unwrap_or_default();
    let rates = spec.minimum_rates.unwrap_or_default();
    let fields = [
        ("limits", "connections", limits.connections.is_some()),
        (
            "limits",
            "connectionsPerClient",
            limits.connections_per_client.is_some(),
        ),
        (
            "limits",
            "requestHeaderBytes",
            limits.request_header_bytes.is_some(),
        ),
        ("limits", "requestHeaders", limits.request_headers.is_some()),
        ("limits", "uriBytes", limits.uri_bytes.is_some()),
        (
            "limits",
            "requestsPerConnection",
            limits.requests_per_connection.is_some(),
        ),
        ("timeouts", "requestHead", timeouts.request_head.is_some()),
        ("timeouts", "requestBody", timeouts.request_body.is_some()),
        ("timeouts", "idle", timeouts.idle.is_some()),
        ("minimumRates", "requestBody", rates.request_body.is_some()),
        ("minimumRates", "response", rates.response.is_some()),
    ];
    for (group, name, _) in fields.into_iter().filter(|(_, _, is_set)| *is_set) {
        report.field(group, |report| {
            let message = "goes with Gateways only: it holds before the route is known";
            report.add_in(name, Code::Conflict, message);
        });
    }
}
