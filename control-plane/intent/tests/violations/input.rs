//! Whole inputs: documents, lists, repetitions, hostile bytes.

use std::fmt::Write;

use sluice_intent::{Format, Resource, parse, parse_within};
use sluice_model::Code;

use crate::violations;

const BACKEND: &str =
    "{apiVersion: sluice.dev/v1, kind: Backend, metadata: {name: a}, spec: {endpoints: []}}";

fn ids(resources: &[Resource]) -> Vec<String> {
    resources.iter().map(|resource| resource.id.to_string()).collect()
}

/// The only violation of an input that cannot be read at all.
fn refusal(input: &str, format: Format) -> Code {
    let told = parse(input.as_bytes(), format, "default").unwrap_err();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0].resource, "input");
    told[0].code
}

#[test]
fn documents_and_nested_lists_are_read_in_order_and_empty_ones_skipped() {
    let other = BACKEND.replace("name: a", "name: b, namespace: team");
    let third = BACKEND.replace("name: a", "name: c");
    let input = format!(
        "---\n# nothing\n---\n{BACKEND}\n---\napiVersion: v1\nkind: List\nmetadata: {{resourceVersion: ''}}\nitems:\n\
         - {{apiVersion: v1, kind: List, items: [{other}]}}\n- {third}\n---\n...\n"
    );
    let resources = parse(input.as_bytes(), Format::Yaml, "shop").unwrap();
    assert_eq!(
        ids(&resources),
        ["Backend/shop/a", "Backend/team/b", "Backend/shop/c"]
    );
    assert_eq!(parse(b"", Format::Auto, "default"), Ok(Vec::new()));
    assert_eq!(parse(b"null", Format::Json, "default"), Ok(Vec::new()));
}

#[test]
fn violations_of_every_document_are_told_and_say_where_it_stands() {
    let input =
        format!("{BACKEND}\n---\n7\n---\nkind: List\nitems: [{{kind: Backend}}, {BACKEND}]\nitem: 1\n");
    assert_eq!(
        violations(&input),
        [
            "document[1] wrongType",
            "document[2] item unknownField",
            "document[2] apiVersion missing",
            "document[2].items[0] apiVersion missing",
            "Backend/default/a duplicate",
        ]
    );
    assert_eq!(
        violations("apiVersion: v1\nkind: List\nitems: {}\n"),
        ["document[0] items wrongType"]
    );
}

#[test]
fn json_is_read_as_json_and_flow_yaml_as_yaml() {
    let json =
        r#"{"apiVersion":"sluice.dev/v1","kind":"Backend","metadata":{"name":"a"},"spec":{"endpoints":[]}}"#;
    for (input, format) in [
        (json, Format::Json),
        (json, Format::Yaml),
        (json, Format::Auto),
        (BACKEND, Format::Auto),
    ] {
        let resources = parse(input.as_bytes(), format, "default").unwrap();
        assert_eq!(ids(&resources), ["Backend/default/a"]);
    }
    let two = format!("{json}\n{}", json.replace(r#""a""#, r#""b""#));
    assert_eq!(parse(two.as_bytes(), Format::Json, "default").unwrap().len(), 2);
    assert_eq!(refusal(BACKEND, Format::Json), Code::Malformed);
}

#[test]
fn a_repeated_key_is_refused_in_yaml_and_in_json() {
    assert_eq!(refusal("kind: a\nkind: b\n", Format::Yaml), Code::Malformed);
    assert_eq!(
        refusal(r#"{"kind": "a", "kind": "b"}"#, Format::Json),
        Code::Malformed
    );
    assert_eq!(
        refusal(r#"{"kind": "a", "kind": "b"}"#, Format::Auto),
        Code::Malformed
    );
}

#[test]
fn what_kubectl_prints_is_applied_again_unchanged() {
    let input = "
apiVersion: gateway.networking.k8s.io/v1beta1
kind: HTTPRoute
metadata:
  name: a
  uid: 0b5f
  resourceVersion: '7'
  generation: 3
  creationTimestamp: null
  managedFields: [{manager: kubectl}]
  ownerReferences: []
  finalizers: [x]
  selfLink: /a
spec:
  hostnames: null
status:
  parents: []
";
    let resources = parse(input.as_bytes(), Format::Yaml, "default").unwrap();
    assert_eq!(
        resources[0].to_json(),
        serde_json::json!({
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "HTTPRoute",
            "metadata": {"name": "a", "namespace": "default"},
            "spec": {}
        })
    );
}

#[test]
fn yaml_words_are_strings_unless_they_are_true_or_false() {
    let input = "{apiVersion: sluice.dev/v1, kind: Backend, metadata: {name: a, labels: {a: on, b: yes, c: n}}, \
                 spec: {endpoints: []}}";
    let resources = parse(input.as_bytes(), Format::Yaml, "default").unwrap();
    let labels: Vec<_> = resources[0].labels.iter().collect();
    assert_eq!(labels, [("a", "on"), ("b", "yes"), ("c", "n")]);
}

#[test]
fn comments_may_be_long_and_stand_anywhere() {
    let comment = "# a line\n  ".repeat(100);
    let input = BACKEND.replace(", kind", &format!(", {comment}kind")).replace(
        "endpoints: []",
        &format!("endpoints: {comment} [ {comment} ] {comment}"),
    );
    assert_eq!(violations(&input), Vec::<String>::new());
    let block = "apiVersion: v1\nkind: List\nitems:\n- # a\n  # b\n".to_owned() + &"  # c\n".repeat(100);
    assert_eq!(violations(&format!("{block}  {BACKEND}\n")), Vec::<String>::new());
}

#[test]
fn merge_keys_fill_in_what_is_not_written() {
    let input = "
apiVersion: sluice.dev/v1
kind: Backend
metadata: {name: a}
spec:
  endpoints:
  - &first {address: a, port: 80, weight: 5}
  - {<<: *first, address: b}
";
    let resources = parse(input.as_bytes(), Format::Yaml, "default").unwrap();
    let second = &resources[0].to_json()["spec"]["endpoints"][1];
    assert_eq!(
        second,
        &serde_json::json!({"address": "b", "port": 80, "weight": 5})
    );
}

#[test]
fn a_single_manifest_is_read_with_the_same_checks() {
    let manifest = |endpoints: serde_json::Value| {
        serde_json::json!({"apiVersion": "sluice.dev/v1", "kind": "Backend", "metadata": {"name": "a"},
            "spec": {"endpoints": endpoints}})
    };
    let resource = Resource::from_json(manifest(serde_json::json!([])), "team").unwrap();
    assert_eq!(resource.id.to_string(), "Backend/team/a");
    let twice = serde_json::json!([{"address": "a", "port": 1}, {"address": "a", "port": 1}]);
    let told = Resource::from_json(manifest(twice), "team").unwrap_err();
    assert_eq!(
        (told[0].field.as_str(), told[0].code),
        ("spec.endpoints[1]", Code::Duplicate)
    );
    let told = Resource::from_json(manifest(serde_json::json!([])), "Team").unwrap_err();
    assert_eq!(
        (told[0].field.as_str(), told[0].code),
        ("metadata.namespace", Code::Invalid)
    );
    assert!(
        Resource::from_json(
            serde_json::json!({"apiVersion": "v1", "kind": "List", "items": []}),
            "team"
        )
        .is_err()
    );
}

#[test]
fn anchors_are_read_and_bombs_are_refused() {
    let input = "
apiVersion: v1
kind: List
items:
- {apiVersion: sluice.dev/v1, kind: Backend, metadata: {name: a}, spec: &spec {endpoints: [{address: b, port: 1}]}}
- {apiVersion: sluice.dev/v1, kind: Backend, metadata: {name: b}, spec: *spec}
";
    let resources = parse(input.as_bytes(), Format::Yaml, "default").unwrap();
    assert_eq!(resources[0].spec, resources[1].spec);

    let mut laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let list = vec![format!("*a{}", level - 1); 10].join(", ");
        writeln!(laughs, "a{level}: &a{level} [{list}]").unwrap();
    }
    assert_eq!(refusal(&laughs, Format::Yaml), Code::Malformed);

    let copies = vec!["*long"; 90].join(", ");
    let long = format!("a: &long {}\nb: [{copies}]\n", "x".repeat(1 << 20));
    assert_eq!(refusal(&long, Format::Yaml), Code::Malformed);
}

#[test]
fn size_depth_and_nesting_of_lists_are_bounded() {
    let told = parse_within(BACKEND.as_bytes(), Format::Auto, "default", BACKEND.len() - 1).unwrap_err();
    assert_eq!(
        (told[0].resource.as_str(), told[0].code),
        ("input", Code::OutOfRange)
    );
    assert!(parse_within(BACKEND.as_bytes(), Format::Auto, "default", BACKEND.len()).is_ok());

    let deep = "[".repeat(100_000);
    assert_eq!(refusal(&deep, Format::Yaml), Code::Malformed);
    assert_eq!(refusal(&deep, Format::Json), Code::Malformed);
    assert_eq!(refusal(&"{\"a\":".repeat(100_000), Format::Auto), Code::Malformed);
    assert_eq!(refusal(&"- ".repeat(100_000), Format::Yaml), Code::Malformed);

    let mut nested = BACKEND.to_owned();
    for _ in 0..9 {
        nested = format!("{{apiVersion: v1, kind: List, items: [{nested}]}}");
    }
    let told = violations(&nested);
    assert_eq!(told, [format!("document[0]{} outOfRange", ".items[0]".repeat(8))]);
}

#[test]
fn many_violations_are_counted_and_the_first_thousand_told() {
    let endpoints = vec!["{}"; 3000].join(", ");
    let input = BACKEND.replace("[]", &format!("[{endpoints}]"));
    let told = parse(input.as_bytes(), Format::Yaml, "default").unwrap_err();
    assert_eq!(told.len(), 1001);
    assert!(told[1000].message.starts_with("5000 more"), "{}", told[1000]);
}

#[test]
fn messages_say_what_was_meant() {
    let message = |input: &str| {
        parse(input.as_bytes(), Format::Yaml, "default").unwrap_err()[0]
            .message
            .clone()
    };
    let spec = |spec: &str| message(&BACKEND.replace("{endpoints: []}", spec));
    assert_eq!(
        spec("{endpoint: [], endpoints: []}"),
        r#"unknown field "endpoint"; did you mean `endpoints`?"#
    );
    assert_eq!(
        spec("{endpoints: [{address: a, port: '80'}]}"),
        r#"must be an integer, not the string "80"; without quotes"#
    );
    assert_eq!(
        spec("{endpoints: [{address: a, port: 80, labels: {v: 2}}]}"),
        "must be a string, not the number 2; put it in quotes"
    );
    assert_eq!(
        spec("{endpoints: [], protocol: H2C}"),
        r#"must be one of http, h2c, not "H2C"; did you mean `h2c`?"#
    );
    assert_eq!(
        message(&BACKEND.replace("kind: Backend", "kind: Backends")),
        r#"unknown kind "Backends"; did you mean `Backend`?"#
    );
    assert_eq!(
        message(&BACKEND.replace("sluice.dev/v1", "gateway.networking.k8s.io/v1")),
        r#""gateway.networking.k8s.io/v1" has no kind `Backend` that is read here; `Backend` is of sluice.dev/v1"#
    );
}
