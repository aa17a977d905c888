//! Secrets, of which nothing is ever said but that it is wrong.

use serde_json::{Map, Value, json};
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
        &["data invalid"],
    );
    check(
        "data: {a: [MARKER], b: 5}",
        &["data.a wrongType", "data.b wrongType"],
    );
    check("stringData: {a: {b: MARKER}}", &["stringData.a wrongType"]);
    check("data: MARKER", &["data wrongType"]);
    check("data: [MARKER]", &["data wrongType"]);
    check("spec: {a: MARKER}", &["unknownField"]);
}

#[test]
fn what_the_server_prints_in_place_of_a_value_is_not_taken_for_one() {
    check("data: {a: <redacted>}", &["data.a invalid"]);
    check("stringData: {a: <redacted>}", &["stringData.a invalid"]);
}

/// A Secret with everything that it can have.
fn whole() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": "x", "namespace": "default", "labels": {"a": "b"}, "annotations": {"c": "d"}},
        "type": "Opaque", "immutable": false, "data": {"k": "dg=="}, "stringData": {"t": "v"},
    })
}

/// Every manifest that comes of `value` by putting `marker` in one place: as a value of any type, as the
/// name of a field that is there, as one more field.
fn spoilt(value: &Value, marker: &str) -> Vec<Value> {
    let mut all = vec![
        json!(marker),
        json!([marker]),
        json!({"a": marker}),
        json!({marker: 1}),
    ];
    let Value::Object(fields) = value else { return all };
    let with = |fields: &Map<String, Value>, name: &str, value: Value| {
        let mut fields = fields.clone();
        fields.insert(name.to_owned(), value);
        Value::Object(fields)
    };
    all.push(with(fields, marker, json!(marker)));
    for (name, inner) in fields {
        let mut others = fields.clone();
        others.remove(name);
        all.push(with(&others, marker, inner.clone()));
        all.extend(
            spoilt(inner, marker)
                .into_iter()
                .map(|inner| with(fields, name, inner)),
        );
    }
    all
}

#[test]
fn what_is_pasted_anywhere_into_a_secret_is_not_quoted() {
    let mut refused = 0;
    for marker in [
        "MARKER MARKER",
        "MARKER/+/MARKER==",
        "!MARKER",
        &"MARKER".repeat(100),
    ] {
        for document in spoilt(&whole(), marker) {
            let text = document.to_string();
            for format in [Format::Json, Format::Yaml] {
                if let Err(told) = parse(text.as_bytes(), format, "default") {
                    refused += 1;
                    assert!(!format!("{told:?}").contains("MARKER"), "{text}: {told:?}");
                }
            }
        }
    }
    assert!(refused > 400, "{refused}");
}

#[test]
fn a_secret_of_a_misspelt_kind_is_not_quoted_either() {
    for kind in ["Secert", "Secrets", "secret", "ConfigMap", "MARKER", "Gateway"] {
        let text = format!(
            "apiVersion: MARKER\nkind: {kind}\nmetadata: {{name: x}}\ndata: {{a: MARKER}}\nMARKER: 1"
        );
        let told = parse(text.as_bytes(), Format::Yaml, "default").unwrap_err();
        assert!(!format!("{told:?}").contains("MARKER"), "{kind}: {told:?}");
    }
    let told = parse(
        b"apiVersion: v1\nkind: Secert\nmetadata: {name: x}\ntype: MARKER",
        Format::Yaml,
        "default",
    );
    assert!(!format!("{told:?}").contains("MARKER"), "{told:?}");
}

#[test]
fn a_secret_that_is_no_yaml_is_not_quoted() {
    let whole = secret("type: Opaque\ndata:\n  k: TUFSS0VS\nstringData:\n  t: \"MARKER\"\n  u: MARKER");
    let mut refused = 0;
    for at in 0..=whole.len() {
        let (before, after) = whole.split_at(at);
        for broken in [
            "", ":", "\"", "'", "*", "&", "!", "!a ", "[", "{", "}", "%", "@", "`", "\t", "|", "? ", "<<: ",
        ] {
            let text = match broken {
                "" => before.to_owned(),
                _ => format!("{before}{broken}{after}"),
            };
            if let Err(told) = parse(text.as_bytes(), Format::Yaml, "default") {
                refused += 1;
                let told = format!("{told:?}");
                assert!(
                    !told.contains("MARKER") && !told.contains("TUFSS0VS"),
                    "{text}: {told}"
                );
            }
        }
    }
    assert!(refused > 500, "{refused}");
    for rest in [
        "data: {MARKER: a, MARKER: b}",
        "data: !MARKER {a: b}",
        "data: !<MARKER> {a: b}",
        "data: !!MARKER {a: b}",
        "data: !e!MARKER {a: b}",
        "data: {a: !!binary MARKER!}",
        "data: {a: !!float MARKER}",
        "data: {a: !!int MARKER}",
        "data: {a: *MARKER}",
        "data: {? [MARKER] : b}",
        "<<: MARKER",
        "data: {a: .inf}",
    ] {
        let told = parse(secret(rest).as_bytes(), Format::Yaml, "default").unwrap_err();
        assert!(!format!("{told:?}").contains("MARKER"), "{rest}: {told:?}");
    }
    for rest in [
        r#""MARKER": 1, "MARKER": 2}"#,
        r#""MARKER" 1}"#,
        r#""a": MARKER}"#,
        r#""a": "MARKER"#,
        r#""a": "MARKER\q"}"#,
    ] {
        let text = format!(r#"{{"kind": "Secret", "data": {{{rest}}}"#);
        for format in [Format::Json, Format::Auto] {
            let told = parse(text.as_bytes(), format, "default").unwrap_err();
            assert!(!format!("{told:?}").contains("MARKER"), "{rest}: {told:?}");
        }
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
    assert!(read[0].has_last_applied());
    let kept = read[0].clone().without_what_is_carried();
    assert!(!kept.has_last_applied() && !kept.to_json().to_string().contains("last-applied"));
}

#[test]
fn a_config_map_has_text_that_is_not_too_long_and_nothing_else() {
    let config_map = |fields: &str| {
        violations(&format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: x}}\n{fields}\n"
        ))
    };
    assert_eq!(config_map("data: {ca.crt: x, any: ''}\nimmutable: true"), [""; 0]);
    assert_eq!(config_map(""), [""; 0]);
    for (fields, expected) in [
        ("data: {ca.crt: 7}", "data[\"ca.crt\"] wrongType"),
        ("binaryData: {ca.crt: AAAA}", "binaryData unsupported"),
        ("values: {ca.crt: x}", "values unknownField"),
        ("spec: {}", "spec unknownField"),
    ] {
        assert_eq!(config_map(fields), [format!("ConfigMap/default/x {expected}")]);
    }
    let long = format!("data: {{a: {}, b: y}}", "x".repeat(1024 * 1024));
    assert_eq!(config_map(&long), ["ConfigMap/default/x data outOfRange"]);
}
