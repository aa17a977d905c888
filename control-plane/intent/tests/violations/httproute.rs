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
fn check_rules(cases: &[(&str, &[&str])]) {
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
fn filters_agree_with_their_type_and_with_each_other() {
    let redirect = "{type: RequestRedirect, requestRedirect: {scheme: https}}";
    let rewrite = "{type: URLRewrite, urlRewrite: {hostname: a.example}}";
    check_rules(&[
        (
            "{filters: [{type: URLRewrite}]}",
            &[".filters[0].urlRewrite missing"],
        ),
        ("{filters: [{urlRewrite: {}}]}", &[".filters[0].type missing"]),
        (
            "{filters: [{type: URLRewrit, urlRewrite: {}}]}",
            &[".filters[0].type invalid"],
        ),
        (
            "{filters: [{type: RequestMirror, requestMirror: {backendRef: {name: a}}}, {type: CORS}]}",
            &[".filters[1].cors missing"],
        ),
        (
            &format!("{{filters: [{rewrite}, {rewrite}]}}"),
            &[".filters[1].type duplicate"],
        ),
        (
            &format!("{{filters: [{redirect}, {rewrite}]}}"),
            &[".filters[0] conflict"],
        ),
        (
            &format!("{{filters: [{redirect}], backendRefs: [{{name: a}}]}}"),
            &[".backendRefs conflict"],
        ),
        (
            &format!("{{backendRefs: [{{name: a, filters: [{rewrite}, {rewrite}]}}]}}"),
            &[".backendRefs[0].filters[1].type duplicate"],
        ),
    ]);
}

#[test]
fn redirects_and_rewrites_lead_to_places_that_can_exist() {
    let redirect =
        |fields: &str| format!("{{filters: [{{type: RequestRedirect, requestRedirect: {fields}}}]}}");
    let at = |field: &str| format!(".filters[0].requestRedirect{field}");
    let with_exact = "{matches: [{path: {type: Exact, value: /a}}, {headers: [{name: a, value: b}]}], \
        filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /b}}}]}";
    check_rules(&[
        (&redirect("{statusCode: 304}"), &[&at(".statusCode invalid")]),
        (&redirect("{statusCode: 308, port: 8443, scheme: https}"), &[]),
        (
            &redirect("{hostname: '*.example.com'}"),
            &[&at(".hostname invalid")],
        ),
        (&redirect("{scheme: ftp}"), &[&at(".scheme invalid")]),
        (&redirect("{port: 65536}"), &[&at(".port outOfRange")]),
        (
            &redirect("{path: {type: ReplaceFullPath, replaceFullPath: a}}"),
            &[&at(".path.replaceFullPath invalid")],
        ),
        (
            &redirect("{path: {type: ReplaceFullPath}}"),
            &[&at(".path.replaceFullPath missing")],
        ),
        (
            &redirect("{path: {type: ReplaceFullPath, replaceFullPath: /, replacePrefixMatch: /}}"),
            &[&at(".path.replacePrefixMatch conflict")],
        ),
        (
            &redirect("{path: {type: ReplacePrefixMatch, replacePrefixMatch: ''}}"),
            &[],
        ),
        (with_exact, &[".filters[0].urlRewrite.path conflict"]),
        (
            "{matches: [{path: {type: Exact, value: /a}}], backendRefs: [{name: a, filters: [{type: URLRewrite, \
              urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /b}}}]}]}",
            &[".backendRefs[0].filters[0].urlRewrite.path conflict"],
        ),
    ]);
}

#[test]
fn header_edits_leave_framing_and_host_alone() {
    let edit = |fields: &str| {
        format!("{{filters: [{{type: RequestHeaderModifier, requestHeaderModifier: {fields}}}]}}")
    };
    let at = |field: &str| format!(".filters[0].requestHeaderModifier{field}");
    check_rules(&[
        (
            &edit("{set: [{name: x-a, value: a}, {name: X-A, value: b}]}"),
            &[&at(".set[1].name duplicate")],
        ),
        (
            &edit("{set: [{name: x-a, value: a}], add: [{name: x-a, value: b}], remove: [x-b]}"),
            &[],
        ),
        (&edit("{remove: [a, A]}"), &[&at(".remove[1] duplicate")]),
        (&edit("{remove: ['a:']}"), &[&at(".remove[0] invalid")]),
        (
            &edit("{add: [{name: Transfer-Encoding, value: chunked}]}"),
            &[&at(".add[0].name invalid")],
        ),
        (
            &edit("{set: [{name: Host, value: a}]}"),
            &[&at(".set[0].name invalid")],
        ),
        (
            &edit("{set: [{name: a, value: \"b\\r\\nc: d\"}]}"),
            &[&at(".set[0].value invalid")],
        ),
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

#[test]
fn mirrors_copy_a_part_to_a_backend_and_may_be_many() {
    let mirror =
        |rest: &str| format!("{{type: RequestMirror, requestMirror: {{backendRef: {{name: a}}{rest}}}}}");
    let at = |field: &str| format!(".filters[0].requestMirror.{field}");
    let one = |rest: &str| format!("{{filters: [{}]}}", mirror(rest));
    check_rules(&[
        (
            &format!(
                "{{filters: [{}, {}]}}",
                mirror(", percent: 100"),
                mirror(", percent: 0")
            ),
            &[],
        ),
        (&one(", percent: 101"), &[&at("percent outOfRange")]),
        (
            &one(", percent: 1, fraction: {numerator: 1}"),
            &[&at("fraction conflict")],
        ),
        (
            &one(", fraction: {numerator: 101}"),
            &[&at("fraction.numerator outOfRange")],
        ),
        (
            &one(", fraction: {numerator: 0, denominator: 0}"),
            &[&at("fraction.denominator outOfRange")],
        ),
        (
            "{filters: [{type: RequestMirror, requestMirror: {backendRef: {name: a, weight: 1}}}]}",
            &[&at("backendRef.weight unknownField")],
        ),
    ]);
}

#[test]
fn cors_names_origins_as_browsers_do() {
    let cors = |rest: &str| format!("{{filters: [{{type: CORS, cors: {{{rest}}}}}]}}");
    let at = |field: &str| format!(".filters[0].cors.{field}");
    check_rules(&[
        (
            &cors("allowOrigins: ['*', 'https://*.a.example:8443'], allowMethods: ['*', GET], maxAge: 1"),
            &[],
        ),
        (
            &cors("allowOrigins: [a.example]"),
            &[&at("allowOrigins[0] invalid")],
        ),
        (&cors("allowHeaders: ['a b']"), &[&at("allowHeaders[0] invalid")]),
        (
            &cors("allowCredentials: 'true', maxAge: 0"),
            &[&at("allowCredentials wrongType"), &at("maxAge outOfRange")],
        ),
    ]);
}

#[test]
fn filters_of_a_single_backend_do_not_answer_in_its_place() {
    let with = |filter: &str| format!("{{backendRefs: [{{name: a, filters: [{filter}]}}]}}");
    check_rules(&[
        (
            &with("{type: URLRewrite, urlRewrite: {hostname: a.example}}"),
            &[],
        ),
        (
            &with("{type: RequestMirror, requestMirror: {backendRef: {name: b}}}"),
            &[],
        ),
        (
            &with("{type: RequestRedirect, requestRedirect: {}}"),
            &[".backendRefs[0].filters[0].type conflict"],
        ),
        (
            &with("{type: CORS, cors: {}}"),
            &[".backendRefs[0].filters[0].type conflict"],
        ),
    ]);
}
