//! HTTPRoute.

use crate::check_specs;

fn check_routes(cases: &[(&str, &[&str])]) {
    check_specs("gateway.networking.k8s.io/v1", "HTTPRoute", cases);
}

/// Cases of one match, with fields relative to it.
fn check_matches(cases: &[(&str, &[&str])]) {
    for (condition, expected) in cases {
        let spec = format!("{{rules: [{{matches: [{condition}]}}]}}");
        let expected: Vec<_> = expected
            .iter()
            .map(|line| format!("spec.rules[0].matches[0]{line}"))
            .collect();
        let expected: Vec<_> = expected.iter().map(String::as_str).collect();
        check_routes(&[(&spec, &expected)]);
    }
}

/// Cases of one rule, with fields relative to it.
pub(crate) fn check_rules(cases: &[(&str, &[&str])]) {
    for (rule, expected) in cases {
        let spec = format!("{{rules: [{rule}]}}");
        let expected: Vec<_> = expected
            .iter()
            .map(|line| format!("spec.rules[0]{line}"))
            .collect();
        let expected: Vec<_> = expected.iter().map(String::as_str).collect();
        check_routes(&[(&spec, &expected)]);
    }
}

#[test]
fn every_wrong_field_is_told_at_once() {
    check_routes(&[(
        "{parentRefs: [{nam: edge}], hostnames: [Shop.example.com, 10.0.0.1], \
          rules: [{matches: [{path: {type: Prefix, value: 7}, method: FETCH}], \
          filters: [{type: URLRewrite, requestRedirect: {statusCode: 200}}], \
          backendRefs: [{name: a, port: '80', weight: -1}, {name: b, port: 0, weight: 1000001}], \
          timeouts: {request: 1d}, extra: 1}]}",
        &[
            "spec.hostnames[0] invalid",
            "spec.hostnames[1] invalid",
            "spec.parentRefs[0].nam unknownField",
            "spec.parentRefs[0].name missing",
            "spec.rules[0].backendRefs[0].port wrongType",
            "spec.rules[0].backendRefs[0].weight outOfRange",
            "spec.rules[0].backendRefs[1].port outOfRange",
            "spec.rules[0].backendRefs[1].weight outOfRange",
            "spec.rules[0].extra unknownField",
            "spec.rules[0].filters[0].urlRewrite missing",
            "spec.rules[0].filters[0].requestRedirect conflict",
            "spec.rules[0].filters[0].requestRedirect.statusCode invalid",
            "spec.rules[0].matches[0].method invalid",
            "spec.rules[0].matches[0].path.type invalid",
            "spec.rules[0].matches[0].path.value wrongType",
            "spec.rules[0].timeouts.request invalid",
        ],
    )]);
}

#[test]
fn an_unknown_field_hides_no_violation_of_the_known_ones() {
    check_routes(&[(
        "{hostname: [a], rules: [{name: a, matches: [{path: {value: shop}}]}, {name: a}]}",
        &[
            "spec.hostname unknownField",
            "spec.rules[0].matches[0].path.value invalid",
            "spec.rules[1].name duplicate",
        ],
    )]);
}

#[test]
fn paths_are_absolute_and_normal_and_free_of_what_ends_a_path() {
    let at = ".path.value invalid";
    check_matches(&[
        ("{path: {value: shop}}", &[at]),
        ("{path: {value: ''}}", &[at]),
        ("{path: {type: Exact, value: //shop}}", &[at]),
        ("{path: {value: /a/./b}}", &[at]),
        ("{path: {value: /a/../b}}", &[at]),
        ("{path: {value: /a%2fb}}", &[at]),
        ("{path: {value: /a%2Fb}}", &[at]),
        ("{path: {value: '/a#b'}}", &[at]),
        ("{path: {value: '/a?b=c'}}", &[at]),
        ("{path: {value: '/a b'}}", &[at]),
        ("{path: {value: /büro}}", &[at]),
        ("{path: {value: /a%zz}}", &[at]),
        ("{path: {value: /a/..}}", &[at]),
        ("{path: {value: /a/.}}", &[at]),
        ("{path: {value: a//b/..}}", &[at, at, at]),
        (
            &format!("{{path: {{value: /{}}}}}", "a".repeat(1024)),
            &[".path.value outOfRange"],
        ),
        (&format!("{{path: {{value: /{}}}}}", "a".repeat(1023)), &[]),
        ("{path: {value: /a/..b/.c/%2e}}", &[]),
    ]);
}

#[test]
fn regular_expressions_must_compile_and_stay_small() {
    check_matches(&[
        (
            "{path: {type: RegularExpression, value: '/a(b'}}",
            &[".path.value invalid"],
        ),
        (
            "{path: {type: RegularExpression, value: '(?=a)'}}",
            &[".path.value invalid"],
        ),
        (
            "{path: {type: RegularExpression, value: 'a)|(b'}}",
            &[".path.value invalid"],
        ),
        (
            "{path: {type: RegularExpression, value: '(?x)a # b'}}",
            &[".path.value invalid"],
        ),
        (
            "{path: {type: RegularExpression, value: '\\p{Klingon}'}}",
            &[".path.value invalid"],
        ),
        (
            "{path: {type: RegularExpression, value: '(?:\\w{1000}){1000}'}}",
            &[".path.value outOfRange"],
        ),
        ("{path: {type: RegularExpression, value: 'no-slash.*'}}", &[]),
        (
            "{headers: [{type: RegularExpression, name: a, value: '['}], \
              queryParams: [{type: RegularExpression, name: a, value: '*'}]}",
            &[".headers[0].value invalid", ".queryParams[0].value invalid"],
        ),
    ]);
}

#[test]
fn headers_and_query_parameters_have_one_condition_per_name() {
    check_matches(&[
        (
            "{headers: [{name: X-A, value: a}, {name: x-a, value: b}]}",
            &[".headers[1].name duplicate"],
        ),
        (
            "{queryParams: [{name: a, value: a}, {name: a, value: b}]}",
            &[".queryParams[1].name duplicate"],
        ),
        ("{queryParams: [{name: a, value: a}, {name: A, value: b}]}", &[]),
        (
            "{headers: [{name: 'a b', value: a}]}",
            &[".headers[0].name invalid"],
        ),
        (
            "{headers: [{name: a, value: ' a'}]}",
            &[".headers[0].value invalid"],
        ),
        (
            "{headers: [{name: a, value: \"a\\nb\"}]}",
            &[".headers[0].value invalid"],
        ),
        (
            "{headers: [{name: a, value: ''}]}",
            &[".headers[0].value outOfRange"],
        ),
        ("{headers: [{name: a}]}", &[".headers[0].value missing"]),
        (
            "{headers: [{name: a, value: true}]}",
            &[".headers[0].value wrongType"],
        ),
        (
            &format!("{{queryParams: [{{name: a, value: {}}}]}}", "a".repeat(1025)),
            &[".queryParams[0].value outOfRange"],
        ),
        ("{method: get}", &[".method invalid"]),
    ]);
}

#[test]
fn the_limits_of_the_gateway_api_hold() {
    let many = |count: usize, item: &str| vec![item; count].join(", ");
    check_routes(&[
        ("{rules: []}", &["spec.rules outOfRange"]),
        (
            &format!("{{rules: [{}]}}", many(17, "{}")),
            &["spec.rules outOfRange"],
        ),
        (
            &format!("{{hostnames: [{}]}}", many(17, "a")),
            &["spec.hostnames outOfRange"],
        ),
        (
            &format!("{{rules: [{{matches: [{}]}}]}}", many(65, "{}")),
            &["spec.rules[0].matches outOfRange"],
        ),
        (
            &format!(
                "{{rules: [{0}, {0}, {{}}]}}",
                format_args!("{{matches: [{}]}}", many(64, "{}"))
            ),
            &["spec.rules outOfRange"],
        ),
        (
            &format!("{{rules: [{{backendRefs: [{}]}}]}}", many(17, "{name: a}")),
            &["spec.rules[0].backendRefs outOfRange"],
        ),
        (
            "{parentRefs: [{name: a}, {name: a, sectionName: b}, {name: a, namespace: default, kind: Gateway}]}",
            &["spec.parentRefs[2] duplicate"],
        ),
        (
            "{rules: [{retry: {attempts: 1}, sessionPersistence: {}}]}",
            &[
                "spec.rules[0].retry unsupported",
                "spec.rules[0].sessionPersistence unsupported",
            ],
        ),
    ]);
}

#[test]
fn an_attempt_may_not_outlast_its_request() {
    check_rules(&[
        (
            "{timeouts: {request: 1s, backendRequest: 2s}}",
            &[".timeouts.backendRequest invalid"],
        ),
        ("{timeouts: {request: 0s, backendRequest: 2s}}", &[]),
        ("{timeouts: {request: 1s, backendRequest: 1000ms}}", &[]),
        ("{timeouts: {request: 10}}", &[".timeouts.request wrongType"]),
    ]);
}
