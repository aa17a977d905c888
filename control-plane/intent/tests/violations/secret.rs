//! Secrets, of which nothing is ever said but that it is wrong.

use sluice_intent::{Format, parse};

use crate::violations;

const MARKER: &str = "TUFSS0VSLU1BUktFUg";

fn secret(rest: &str) -> String {
    format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: x}}\n{rest}\n")
}

/// Holds a Secret to its violations, and those to silence.
fn check(rest: &str, expected: &[&str]) {
    let input = secret(rest);
    let expected: Vec<_> = expected
        .iter()
        .map(|line| format!("Secret/default/x {line}"))
        .collect();
    assert_eq!(violations(&input), expected, "{rest}");
    let told = format!("{:?}", parse(input.as_bytes(), Format::Auto, "default"));
    assert!(!told.contains("MARKER") && !told.contains(MARKER), "{told}");
}

#[test]
fn a_tls_secret_has_a_chain_and_a_key() {
    check(
        "type: kubernetes.io/tls\nstringData: {tls.crt: MARKER, tls.key: MARKER}",
        &[],
    );
    check(
        "type: kubernetes.io/tls\ndata: {ca.crt: TUFSS0VSLU1BUktFUg==}",
        &[r#"data["tls.crt"] missing"#, r#"data["tls.key"] missing"#],
    );
    check("type: kubernetes.io/dockerconfigjson", &["type invalid"]);
}

#[test]
fn a_value_that_is_no_base64_is_told_by_its_key_alone() {
    check("data: {a: MARKER!}", &["data.a invalid"]);
    check(
        &format!("data: {{a: {MARKER}==, 'x y': {MARKER}==}}"),
        &[r#"data["x y"] invalid"#],
    );
    check(
        "data: {a: [MARKER], b: 5}",
        &["data.a wrongType", "data.b wrongType"],
    );
    check("stringData: {a: {b: MARKER}}", &["stringData.a wrongType"]);
    check("data: MARKER", &["data wrongType"]);
    check("data: [MARKER]", &["data wrongType"]);
    check("spec: {a: MARKER}", &["spec unknownField"]);
}

#[test]
fn what_the_server_prints_in_place_of_a_value_is_not_taken_for_one() {
    check("data: {a: <redacted>}", &["data.a invalid"]);
    check("stringData: {a: <redacted>}", &["stringData.a invalid"]);
}

#[test]
fn a_secret_that_is_no_yaml_is_not_quoted() {
    for text in [
        "stringData: {a: MARKER",
        "stringData: {a: MARKER: b}",
        "stringData: &a [*b, MARKER]",
    ] {
        let told = parse(secret(text).as_bytes(), Format::Yaml, "default").unwrap_err();
        assert!(!format!("{told:?}").contains("MARKER"), "{told:?}");
    }
}

#[test]
fn an_annotation_does_not_repeat_a_value() {
    let annotated = |text: &str| {
        let head = format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: x, annotations: {{{text}}}}}\n");
        violations(&(head + "stringData: {a: MARKER-MARKER}\n"))
    };
    let repeated = ["Secret/default/x metadata.annotations invalid"];
    assert_eq!(annotated("note: is MARKER-MARKER"), repeated);
    assert_eq!(annotated("note: is TUFSS0VSLU1BUktFUg=="), repeated);
    assert!(annotated("note: a certificate").is_empty());
    // kubectl's own is dropped.
    assert!(annotated("kubectl.kubernetes.io/last-applied-configuration: MARKER-MARKER").is_empty());
}

#[test]
fn what_kubectl_kept_of_a_secret_is_dropped() {
    let text = "apiVersion: v1\nkind: Secret\nmetadata: {name: x, annotations: \
                {kubectl.kubernetes.io/last-applied-configuration: MARKER, a/b: c}}\n";
    let read = parse(text.as_bytes(), Format::Yaml, "default").unwrap();
    let written = read[0].to_json().to_string();
    assert!(
        !written.contains("MARKER") && written.contains("a/b"),
        "{written}"
    );
}
