//! TrafficPolicy.

use crate::check_specs;

fn check_policies(cases: &[(&str, &[&str])]) {
    for (spec, expected) in cases {
        check_specs(
            "sluice.dev/v1",
            "TrafficPolicy",
            &[(&format!("{{{spec}}}"), expected)],
        );
    }
}

const GATEWAY: &str = "targetRefs: [{kind: Gateway, name: a}]";
const ROUTE: &str = "targetRefs: [{kind: HTTPRoute, name: a}]";

#[test]
fn limits_are_numbers_with_a_unit_and_within_what_works() {
    let limits = |limits: &str| format!("{GATEWAY}, limits: {{{limits}}}");
    check_policies(&[
        (
            &limits(
                "connections: 10k, connectionsPerClient: 5, requestHeaderBytes: 64Ki, requestBodyBytes: unlimited",
            ),
            &[],
        ),
        (
            &limits("connections: 0, requestHeaders: 1001, uriBytes: unlimited, requestHeaderBytes: 2Mi"),
            &[
                "spec.limits.connections outOfRange",
                "spec.limits.requestHeaderBytes outOfRange",
                "spec.limits.requestHeaders outOfRange",
                "spec.limits.uriBytes outOfRange",
            ],
        ),
        (&limits("connections: -1"), &["spec.limits.connections invalid"]),
        (&limits("uriBytes: 1.5"), &["spec.limits.uriBytes invalid"]),
        (&limits("uriBytes: 1mb"), &["spec.limits.uriBytes invalid"]),
        (&limits("uriBytes: true"), &["spec.limits.uriBytes wrongType"]),
        (&limits("conections: 1"), &["spec.limits.conections unknownField"]),
        (
            &format!("{GATEWAY}, timeouts: {{idle: 0s, requestHead: 1}}, minimumRates: {{response: 0}}"),
            &["spec.timeouts.requestHead wrongType"],
        ),
    ]);
}

#[test]
fn a_route_bounds_bodies_only() {
    check_policies(&[
        (&format!("{ROUTE}, limits: {{requestBodyBytes: 1Mi}}"), &[]),
        (
            &format!(
                "{ROUTE}, limits: {{connections: 1, requestBodyBytes: 1}}, timeouts: {{idle: 1s}}, \
                 minimumRates: {{response: 1}}"
            ),
            &[
                "spec.limits.connections conflict",
                "spec.timeouts.idle conflict",
                "spec.minimumRates.response conflict",
            ],
        ),
    ]);
}

#[test]
fn a_policy_is_for_gateways_or_routes() {
    check_policies(&[
        ("targetRefs: []", &["spec.targetRefs outOfRange"]),
        (
            "targetRefs: [{kind: Backend, name: a}]",
            &["spec.targetRefs[0].kind invalid"],
        ),
        (
            "targetRefs: [{kind: Gateway, group: x, name: a}]",
            &["spec.targetRefs[0].group invalid"],
        ),
        (
            "targetRefs: [{kind: Gateway, name: a}, {kind: Gateway, name: a, sectionName: b}, {kind: Gateway, name: a}]",
            &["spec.targetRefs[2] duplicate"],
        ),
    ]);
}
