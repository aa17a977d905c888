//! Metadata, apiVersion and kind.

use crate::violations;

/// Holds each manifest of an empty Backend, its head written in YAML flow style, to its violations.
fn check_heads(cases: &[(&str, &[&str])]) {
    for (head, expected) in cases {
        assert_eq!(
            violations(&format!("{{{head}, spec: {{endpoints: []}}}}")),
            *expected,
            "{head}"
        );
    }
}

#[test]
fn names_labels_and_annotations_follow_the_kubernetes_rules() {
    let backend = "apiVersion: sluice.dev/v1, kind: Backend";
    let long = "a".repeat(64);
    check_heads(&[
        (backend, &["document[0] metadata missing"]),
        (
            &format!("{backend}, metadata: {{}}"),
            &["document[0] metadata.name missing"],
        ),
        (
            &format!("{backend}, metadata: {{name: 7}}"),
            &["document[0] metadata.name wrongType"],
        ),
        (
            &format!("{backend}, metadata: {{name: A_b}}"),
            &["Backend/default/A_b metadata.name invalid"],
        ),
        (&format!("{backend}, metadata: {{name: a.b-c}}"), &[]),
        (
            &format!("{backend}, metadata: {{name: a, nam: b}}"),
            &["Backend/default/a metadata.nam unknownField"],
        ),
        (
            &format!("{backend}, metadata: {{name: a, namespace: a.b}}"),
            &["Backend/a.b/a metadata.namespace invalid"],
        ),
        (
            &format!("{backend}, metadata: {{name: a, labels: {{'-': a, b: '-', c: 1, d: {long}}}}}"),
            &[
                "Backend/default/a metadata.labels.- invalid",
                "Backend/default/a metadata.labels.b invalid",
                "Backend/default/a metadata.labels.c wrongType",
                "Backend/default/a metadata.labels.d outOfRange",
            ],
        ),
        (
            &format!(
                "{backend}, metadata: {{name: a, annotations: {{a/b/c: x, d: {}}}}}",
                "x".repeat(262_144)
            ),
            &[r#"Backend/default/a metadata.annotations["a/b/c"] invalid"#],
        ),
        (
            &format!(
                "{backend}, metadata: {{name: a, annotations: {{d: {}}}}}",
                "x".repeat(262_144)
            ),
            &["Backend/default/a metadata.annotations outOfRange"],
        ),
    ]);
}

#[test]
fn a_kind_is_read_only_in_its_own_group() {
    let named = "metadata: {name: a}";
    check_heads(&[
        (
            &format!("apiVersion: gateway.networking.k8s.io/v1, kind: Backend, {named}"),
            &["Backend/default/a apiVersion unknownKind"],
        ),
        (
            &format!("apiVersion: sluice.dev/v2, kind: Backend, {named}"),
            &["Backend/default/a apiVersion unknownKind"],
        ),
        (
            &format!("apiVersion: v1, kind: Service, {named}"),
            &["Service/default/a kind unknownKind"],
        ),
        (
            &format!("apiVersion: gateway.networking.k8s.io/v1, kind: GRPCRoute, {named}"),
            &["GRPCRoute/default/a kind unsupported"],
        ),
        (
            &format!("kind: Backend, {named}"),
            &["Backend/default/a apiVersion missing"],
        ),
        (
            &format!("apiVersion: sluice.dev/v1, {named}"),
            &["document[0] kind missing"],
        ),
        (
            named,
            &["document[0] apiVersion missing", "document[0] kind missing"],
        ),
        (
            &format!("apiVersion: 1, kind: [], {named}"),
            &["document[0] apiVersion wrongType", "document[0] kind wrongType"],
        ),
    ]);
}

#[test]
fn an_age_is_a_number_and_goes_with_what_the_older_one_of_wins() {
    let violations = |head: &str, age: &str| {
        let metadata = format!("metadata: {{name: a, annotations: {{sluice.dev/created: '{age}'}}}}");
        violations(&format!("{{{head}, {metadata}}}"))
    };
    let route = "apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, spec: {}";
    assert_eq!(violations(route, "7"), [""; 0]);
    let field = r#"metadata.annotations["sluice.dev/created"]"#;
    assert_eq!(
        violations(route, "old"),
        [format!("HTTPRoute/default/a {field} invalid")]
    );
    let backend = "apiVersion: sluice.dev/v1, kind: Backend, spec: {endpoints: []}";
    assert_eq!(
        violations(backend, "7"),
        [format!("Backend/default/a {field} conflict")]
    );
}

#[test]
fn a_gateway_is_for_proxies_that_a_selector_names() {
    let gateway = |selector: &str| {
        violations(&format!(
            "{{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, \
             metadata: {{name: a, annotations: {{sluice.dev/proxy-selector: '{selector}'}}}}, \
             spec: {{gatewayClassName: sluice, listeners: [{{name: a, port: 80, protocol: HTTP}}]}}}}"
        ))
    };
    for selector in ["", "zone=eu", "zone in (eu, us),!legacy"] {
        assert_eq!(gateway(selector), [""; 0], "{selector}");
    }
    let refused = [r#"Gateway/default/a metadata.annotations["sluice.dev/proxy-selector"] invalid"#];
    assert_eq!(gateway("zone=eu us"), refused);
    assert_eq!(gateway("zone in (eu"), refused);
    check_heads(&[(
        "apiVersion: sluice.dev/v1, kind: Backend, \
         metadata: {name: a, annotations: {sluice.dev/proxy-selector: zone=eu}}",
        &[r#"Backend/default/a metadata.annotations["sluice.dev/proxy-selector"] conflict"#],
    )]);
}

#[test]
fn a_slot_table_goes_with_experiments_and_is_whole() {
    let experiment = |slots: &str| {
        violations(&format!(
            "{{apiVersion: sluice.dev/v1, kind: Experiment, \
             metadata: {{name: a, annotations: {{sluice.dev/slots: '{slots}', note: {}}}}}, \
             spec: {{targetRefs: [{{kind: HTTPRoute, name: r}}], unit: {{cookie: c}}, \
             variants: [{{name: v, share: 100, backendRefs: [{{name: b}}]}}]}}}}",
            "x".repeat(262_100)
        ))
    };
    let whole = r#"{"salt":"default/a/1","variants":["v","gone"],"runs":[9000,0,1000,1]}"#;
    assert_eq!(experiment(whole), [""; 0], "beside as many notes as there may be");
    let refused = [r#"Experiment/default/a metadata.annotations["sluice.dev/slots"] invalid"#];
    for wrong in [
        "",
        "{}",
        &whole.replace("9000", "8000"),
        &whole.replace("1]", "2]"),
    ] {
        assert_eq!(experiment(wrong), refused, "{wrong}");
    }
    check_heads(&[(
        "apiVersion: sluice.dev/v1, kind: Backend, metadata: {name: a, annotations: {sluice.dev/slots: ''}}",
        &[r#"Backend/default/a metadata.annotations["sluice.dev/slots"] conflict"#],
    )]);
}
