//! Experiment.

use crate::check_specs;

/// Cases of a spec whose other fields are right.
fn check_experiments(cases: &[(&str, &[&str])]) {
    let right = [
        ("targetRefs", "[{kind: HTTPRoute, name: shop}]"),
        ("unit", "{cookie: visitor}"),
        ("variants", "[{name: a, share: 100, backendRefs: [{name: a}]}]"),
    ];
    for (fields, expected) in cases {
        let rest: String = right
            .iter()
            .filter(|(name, _)| !fields.contains(name))
            .map(|(name, value)| format!(", {name}: {value}"))
            .collect();
        check_specs(
            "sluice.dev/v1",
            "Experiment",
            &[(&format!("{{{fields}{rest}}}"), expected)],
        );
    }
}

#[test]
fn a_unit_comes_from_exactly_one_place() {
    check_experiments(&[
        ("unit: {}", &["spec.unit invalid"]),
        ("unit: {cookie: a, header: b}", &["spec.unit invalid"]),
        ("unit: {jwtClaim: sub}", &["spec.unit.jwtClaim unsupported"]),
        ("unit: {cooky: a}", &["spec.unit.cooky unknownField"]),
        ("unit: {cookie: 'a b'}", &["spec.unit.cookie invalid"]),
        ("unit: {clientIP: {}}", &[]),
        ("unit: {clientIP: true}", &["spec.unit.clientIP wrongType"]),
        ("unit: {clientIP: {v: 4}}", &["spec.unit.clientIP.v unknownField"]),
        ("unit: {queryParam: visitor}", &[]),
    ]);
}

#[test]
fn shares_are_percentages_of_two_decimals_that_add_up_to_a_hundred() {
    let variants = |shares: &[&str]| {
        let list: Vec<_> = shares
            .iter()
            .enumerate()
            .map(|(index, share)| format!("{{name: v{index}, share: {share}, backendRefs: [{{name: a}}]}}"))
            .collect();
        format!("variants: [{}]", list.join(", "))
    };
    check_experiments(&[
        (&variants(&["33.33", "33.33", "33.34"]), &[]),
        (&variants(&["0", "100"]), &[]),
        (
            &variants(&["33.33", "33.33", "33.33"]),
            &["spec.variants invalid"],
        ),
        (&variants(&["60", "60"]), &["spec.variants invalid"]),
        (
            &variants(&["33.333", "66.667"]),
            &["spec.variants[0].share invalid", "spec.variants[1].share invalid"],
        ),
        (
            &variants(&["101", "-1"]),
            &[
                "spec.variants[0].share outOfRange",
                "spec.variants[1].share outOfRange",
            ],
        ),
        (&variants(&["'50'", "50"]), &["spec.variants[0].share wrongType"]),
    ]);
}

#[test]
fn variants_targets_and_headers_are_distinct_and_possible() {
    check_experiments(&[
        (
            "variants: [{name: a, share: 50, backendRefs: []}, {name: a, share: 50, backendRefs: [{name: a}]}]",
            &[
                "spec.variants[0].backendRefs outOfRange",
                "spec.variants[1].name duplicate",
            ],
        ),
        (
            "variants: [{name: A, share: 100, backendRefs: [{name: a}]}]",
            &["spec.variants[0].name invalid"],
        ),
        (
            "variants: [{name: a, share: 100, backendRefs: [{name: a, filters: \
              [{type: URLRewrite, urlRewrite: {}}]}]}]",
            &[],
        ),
        (
            "variants: [{name: a, share: 100, backendRefs: [{name: a, filters: \
              [{type: RequestRedirect, requestRedirect: {}}, {type: CORS, cors: {}}]}]}]",
            &[
                "spec.variants[0].backendRefs[0].filters[0].type conflict",
                "spec.variants[0].backendRefs[0].filters[1].type conflict",
            ],
        ),
        (
            "targetRefs: [{kind: HTTPRoute, name: a}, {kind: HTTPRoute, name: a}, {kind: Gateway, name: a}]",
            &["spec.targetRefs[1] duplicate", "spec.targetRefs[2].kind invalid"],
        ),
        ("targetRefs: []", &["spec.targetRefs outOfRange"]),
        (
            "override: {header: 'x y'}, upstreamHeader: ''",
            &["spec.override.header invalid", "spec.upstreamHeader outOfRange"],
        ),
        (
            "override: {header: x-variant}, upstreamHeader: Host",
            &["spec.upstreamHeader invalid"],
        ),
    ]);
}
