//! TrafficPolicies as limits of listeners and rules.

use sluice_intent::{Duration, Quantity, ResourceId, SectionName, Spec, TrafficPolicySpec};
use sluice_proto::v1;

use crate::compile::World;
use crate::compile::reference;

/// The limits of one listener; none when no policy says anything. Field by field the policy for
/// the listener comes before the one for its Gateway, and an older one before a newer one.
pub(super) fn of_listener(world: &World, gateway: &ResourceId, listener: &SectionName) -> Option<v1::Limits> {
    let mut limits = v1::Limits::default();
    for section in [Some(listener), None] {
        for (_, policy) in policies(world, gateway, section) {
            inherit(&mut limits, &settings(policy));
        }
    }
    (limits != v1::Limits::default()).then_some(limits)
}

/// Most bytes of a request's body under one rule; 0 when no policy says anything.
pub(super) fn of_rule(world: &World, route: &ResourceId, rule: Option<&SectionName>) -> u64 {
    let own = rule.map(|name| policies(world, route, Some(name)));
    let all = own.into_iter().flatten().chain(policies(world, route, None));
    let mut sizes = all.map(|(_, policy)| settings(policy).body_bytes);
    sizes.find(|bytes| *bytes > 0).unwrap_or(0)
}

/// The policies for exactly this section of `target`, or for all of it, the one that holds first:
/// the oldest, then by name.
pub(in crate::compile) fn policies<'a>(
    world: &'a World,
    target: &'a ResourceId,
    section: Option<&'a SectionName>,
) -> impl Iterator<Item = (&'a ResourceId, &'a TrafficPolicySpec)> {
    let means = move |id: &ResourceId, spec: &TrafficPolicySpec| {
        spec.target_refs.iter().any(|one| {
            one.section_name.as_ref() == section
                && reference::policy_target(one, &id.namespace).as_ref() == Some(target)
        })
    };
    world
        .attached(target)
        .into_iter()
        .filter_map(move |intent| match &intent.resource.spec {
            Spec::TrafficPolicy(spec) if means(&intent.resource.id, spec) => {
                Some((&intent.resource.id, spec))
            }
            _ => None,
        })
}

/// What one policy sets, as it travels: 0 is not set, the greatest value of a type is no limit.
pub(in crate::compile) fn settings(policy: &TrafficPolicySpec) -> v1::Limits {
    let limits = policy.limits.unwrap_or_default();
    let timeouts = policy.timeouts.unwrap_or_default();
    let rates = policy.minimum_rates.unwrap_or_default();
    let long = |limit: Option<Quantity>| limit.map_or(0, Quantity::count);
    let short = |limit: Option<Quantity>| u32::try_from(long(limit)).unwrap_or(u32::MAX);
    let millis = |timeout: Option<Duration>| match timeout {
        Some(timeout) if timeout.is_zero() => u64::MAX,
        other => other.map_or(0, Duration::as_millis),
    };
    let rate = |rate: Option<Quantity>| match rate {
        Some(Quantity::Of(0)) => u64::MAX,
        other => long(other),
    };
    v1::Limits {
        connections: long(limits.connections),
        connections_per_client: short(limits.connections_per_client),
        header_bytes: short(limits.request_header_bytes),
        header_count: short(limits.request_headers),
        uri_bytes: short(limits.uri_bytes),
        body_bytes: long(limits.request_body_bytes),
        requests_per_connection: long(limits.requests_per_connection),
        head_timeout_ms: millis(timeouts.request_head),
        body_timeout_ms: millis(timeouts.request_body),
        idle_timeout_ms: millis(timeouts.idle),
        body_min_rate: rate(rates.request_body),
        response_min_rate: rate(rates.response),
    }
}

/// Fills in what is not set, which is 0, from `other`.
fn inherit(limits: &mut v1::Limits, other: &v1::Limits) {
    fn set<T: Default + PartialEq + Copy>(own: &mut T, other: T) {
        if *own == T::default() {
            *own = other;
        }
    }
    set(&mut limits.connections, other.connections);
    set(&mut limits.connections_per_client, other.connections_per_client);
    set(&mut limits.header_bytes, other.header_bytes);
    set(&mut limits.header_count, other.header_count);
    set(&mut limits.uri_bytes, other.uri_bytes);
    set(&mut limits.body_bytes, other.body_bytes);
    set(&mut limits.requests_per_connection, other.requests_per_connection);
    set(&mut limits.head_timeout_ms, other.head_timeout_ms);
    set(&mut limits.body_timeout_ms, other.body_timeout_ms);
    set(&mut limits.idle_timeout_ms, other.idle_timeout_ms);
    set(&mut limits.body_min_rate, other.body_min_rate);
    set(&mut limits.response_min_rate, other.response_min_rate);
}

/// The fields, as users know them, that both policies set.
pub(in crate::compile) fn disputed(one: &v1::Limits, other: &v1::Limits) -> Vec<&'static str> {
    let both = |one: u64, other: u64| one > 0 && other > 0;
    let fields = [
        ("limits.connections", both(one.connections, other.connections)),
        (
            "limits.connectionsPerClient",
            both(
                one.connections_per_client.into(),
                other.connections_per_client.into(),
            ),
        ),
        (
            "limits.requestHeaderBytes",
            both(one.header_bytes.into(), other.header_bytes.into()),
        ),
        (
            "limits.requestHeaders",
            both(one.header_count.into(), other.header_count.into()),
        ),
        (
            "limits.uriBytes",
            both(one.uri_bytes.into(), other.uri_bytes.into()),
        ),
        ("limits.requestBodyBytes", both(one.body_bytes, other.body_bytes)),
        (
            "limits.requestsPerConnection",
            both(one.requests_per_connection, other.requests_per_connection),
        ),
        (
            "timeouts.requestHead",
            both(one.head_timeout_ms, other.head_timeout_ms),
        ),
        (
            "timeouts.requestBody",
            both(one.body_timeout_ms, other.body_timeout_ms),
        ),
        ("timeouts.idle", both(one.idle_timeout_ms, other.idle_timeout_ms)),
        (
            "minimumRates.requestBody",
            both(one.body_min_rate, other.body_min_rate),
        ),
        (
            "minimumRates.response",
            both(one.response_min_rate, other.response_min_rate),
        ),
    ];
    let disputed = fields.into_iter().filter(|(_, disputed)| *disputed);
    disputed.map(|(name, _)| name).collect()
}
