//! Gateway and GatewayClass.

use crate::check_specs;

fn check_listeners(cases: &[(&str, &[&str])]) {
    for (listeners, expected) in cases {
        let spec = format!("{{gatewayClassName: sluice, listeners: {listeners}}}");
        let expected: Vec<_> = expected
            .iter()
            .map(|line| format!("spec.listeners{line}"))
            .collect();
        let expected: Vec<_> = expected.iter().map(String::as_str).collect();
        check_specs("gateway.networking.k8s.io/v1", "Gateway", &[(&spec, &expected)]);
    }
}

#[test]
fn listeners_have_a_name_a_port_and_a_protocol_that_is_served() {
    check_listeners(&[
        ("[]", &[" outOfRange"]),
        (
            "[{}]",
            &["[0].name missing", "[0].port missing", "[0].protocol missing"],
        ),
        ("[{name: a, port: 0, protocol: HTTP}]", &["[0].port outOfRange"]),
        ("[{name: a, port: 80.5, protocol: HTTP}]", &["[0].port wrongType"]),
        (
            "[{name: a, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: a}]}}]",
            &[],
        ),
        ("[{name: a, port: 80, protocol: http}]", &["[0].protocol invalid"]),
        (
            "[{name: a, port: 80, protocol: HTTP, hostname: '*'}]",
            &["[0].hostname invalid"],
        ),
    ]);
}

#[test]
fn no_two_listeners_of_a_gateway_are_the_same() {
    check_listeners(&[
        (
            "[{name: a, port: 80, protocol: HTTP}, {name: a, port: 81, protocol: HTTP}]",
            &["[1].name duplicate"],
        ),
        (
            "[{name: a, port: 80, protocol: HTTP}, {name: b, port: 80, protocol: HTTP}]",
            &["[1] conflict"],
        ),
        (
            "[{name: a, port: 80, protocol: HTTP, hostname: a.example}, \
              {name: b, port: 80, protocol: HTTP}, {name: c, port: 81, protocol: HTTP, hostname: a.example}]",
            &[],
        ),
    ]);
}

#[test]
fn allowed_routes_say_which_namespaces_in_one_way() {
    let listener = |routes: &str| format!("[{{name: a, port: 80, protocol: HTTP, allowedRoutes: {routes}}}]");
    let at = |field: &str| format!("[0].allowedRoutes{field}");
    check_listeners(&[
        (
            &listener("{namespaces: {from: All}, kinds: [{kind: HTTPRoute}]}"),
            &[],
        ),
        (
            &listener("{namespaces: {from: Some}}"),
            &[&at(".namespaces.from invalid")],
        ),
        (
            &listener("{namespaces: {from: Selector}}"),
            &[&at(".namespaces.selector missing")],
        ),
        (
            &listener("{namespaces: {selector: {matchLabels: {'a b': c}}}}"),
            &[&at(r#".namespaces.selector.matchLabels["a b"] invalid"#)],
        ),
        (
            &listener("{namespaces: {from: All, selector: {}}}"),
            &[&at(".namespaces.selector conflict")],
        ),
        (
            &listener(
                "{namespaces: {from: Selector, selector: {matchExpressions: \
                 [{key: a, operator: In}, {key: a, operator: Exists, values: [b]}]}}}",
            ),
            &[
                &at(".namespaces.selector.matchExpressions[0].values missing"),
                &at(".namespaces.selector.matchExpressions[1].values conflict"),
            ],
        ),
    ]);
}

#[test]
fn settings_this_version_has_not_are_called_unsupported() {
    check_specs(
        "gateway.networking.k8s.io/v1beta1",
        "Gateway",
        &[(
            "{listeners: [{name: a, port: 80, protocol: HTTP}], addresses: [{value: 10.0.0.1}], address: 1}",
            &[
                "spec.address unknownField",
                "spec.addresses unsupported",
                "spec.gatewayClassName missing",
            ],
        )],
    );
    check_specs(
        "gateway.networking.k8s.io/v1",
        "GatewayClass",
        &[
            ("{}", &["spec.controllerName missing"]),
            ("{controllerName: sluice.dev/gateway}", &[]),
        ],
    );
}
