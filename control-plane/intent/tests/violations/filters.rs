//! Filters of HTTPRoutes.

use crate::httproute::check_rules;

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
