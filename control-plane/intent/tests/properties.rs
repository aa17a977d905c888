//! Properties of reading, on random resources, random bytes and spoilt manifests.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Map, Value, json};
use sluice_intent::{Format, LintRule, Resource, parse};
use sluice_model::Code;

/// An object of the members that are there.
fn object<const N: usize>(members: [(&str, Option<Value>); N]) -> Value {
    let members = members
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(members.collect::<Map<_, _>>())
}

fn name() -> impl Strategy<Value = Value> {
    "[a-z][a-z0-9]{0,8}".prop_map(Value::from)
}

fn duration() -> impl Strategy<Value = Value> {
    (0..300u32, select(vec!["h", "m", "s", "ms"])).prop_map(|(count, unit)| json!(format!("{count}{unit}")))
}

fn path_match() -> impl Strategy<Value = Value> {
    let typed = (
        select(vec!["Exact", "PathPrefix", "RegularExpression"]),
        "/[a-z]{1,8}",
    );
    prop_oneof![
        Just(json!({})),
        "/[a-z]{1,8}".prop_map(|value| json!({"value": value})),
        typed.prop_map(|(kind, value)| json!({"type": kind, "value": value})),
    ]
}

fn condition() -> impl Strategy<Value = Value> {
    let header = (
        "[a-z]{1,6}",
        option::of(select(vec!["Exact", "RegularExpression"])),
        "[a-z]{1,6}",
    );
    let header = header.prop_map(|(name, kind, value)| {
        object([
            ("name", Some(json!(name))),
            ("type", kind.map(Value::from)),
            ("value", Some(json!(value))),
        ])
    });
    let method = option::of(select(vec!["GET", "POST", "HEAD"]));
    (option::of(path_match()), option::of(header), method).prop_map(|(path, header, method)| {
        object([
            ("path", path),
            ("headers", header.clone().map(|header| json!([header]))),
            ("queryParams", header.map(|header| json!([header]))),
            ("method", method.map(Value::from)),
        ])
    })
}

fn filters() -> impl Strategy<Value = Value> {
    let edit = json!({"set": [{"name": "x-a", "value": "a b"}], "add": [{"name": "X-B", "value": "b"}], "remove": ["c"]});
    let full = json!({"type": "ReplaceFullPath", "replaceFullPath": "/x"});
    select(vec![
        json!([]),
        json!([{"type": "RequestHeaderModifier", "requestHeaderModifier": edit}]),
        json!([{"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "a", "port": 80}, "percent": 5}},
            {"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "b"}, "fraction": {"numerator": 1}}},
            {"type": "CORS", "cors": {"allowOrigins": ["https://*.a.example"], "allowCredentials": true, "maxAge": 9}}]),
        json!([{"type": "ResponseHeaderModifier", "responseHeaderModifier": edit},
            {"type": "URLRewrite", "urlRewrite": {"hostname": "a.example", "path": full}}]),
    ])
}

fn backend_ref() -> impl Strategy<Value = Value> {
    (name(), option::of(1..=65_535u16), option::of(0..=1_000_000u32)).prop_map(|(name, port, weight)| {
        object([
            ("name", Some(name)),
            ("port", port.map(Value::from)),
            ("weight", weight.map(Value::from)),
        ])
    })
}

fn route() -> impl Strategy<Value = Value> {
    let rule = (
        vec(condition(), 0..4),
        filters(),
        vec(backend_ref(), 0..3),
        option::of(duration()),
    );
    let rule = rule.prop_map(|(matches, filters, backends, request)| {
        object([
            ("matches", Some(json!(matches))),
            ("filters", Some(filters)),
            ("backendRefs", Some(json!(backends))),
            ("timeouts", request.map(|request| json!({"request": request}))),
        ])
    });
    let hostname = "(\\*\\.)?[a-z]{1,5}\\.example".prop_map(Value::from);
    (option::of(name()), vec(hostname, 0..4), vec(rule, 1..4)).prop_map(|(parent, hostnames, rules)| {
        let parents = parent.map(|name| json!([{"name": name}]));
        object([
            ("parentRefs", parents),
            ("hostnames", Some(json!(hostnames))),
            ("rules", Some(json!(rules))),
        ])
    })
}

fn gateway() -> impl Strategy<Value = Value> {
    let from = option::of(select(vec!["All", "Same"]));
    vec((option::of("[a-z]{1,5}\\.example"), from), 1..5).prop_map(|listeners| {
        let listener = |(index, (hostname, from)): (usize, (Option<String>, Option<&str>))| {
            object([
                ("name", Some(json!(format!("l{index}")))),
                ("port", Some(json!(8000 + index))),
                ("protocol", Some(json!("HTTP"))),
                ("hostname", hostname.map(Value::from)),
                (
                    "allowedRoutes",
                    from.map(|from| json!({"namespaces": {"from": from}})),
                ),
            ])
        };
        let mut listeners: Vec<_> = listeners.into_iter().enumerate().map(listener).collect();
        listeners.push(json!({"name": "tls", "port": 443, "protocol": "HTTPS", "tls": {
            "mode": "Terminate", "certificateRefs": [{"name": "a", "namespace": "b"}],
            "frontendValidation": {"caCertificateRefs": [{"name": "c"}], "mode": "AllowValidOnly"},
            "options": {"sluice.dev/min-version": "1.3", "other.example/a": "b"}}}));
        let validation =
            json!({"validation": {"caCertificateRefs": [{"group": "", "kind": "Secret", "name": "d"}]}});
        let frontend = json!({"default": validation, "perPort": [{"port": 443, "tls": {}}]});
        json!({"gatewayClassName": "sluice", "listeners": listeners, "tls": {"frontend": frontend}})
    })
}

fn backend() -> impl Strategy<Value = Value> {
    let protocol = option::of(select(vec!["http", "h2c"]));
    let timeout = option::of(1..100_000u32);
    let endpoints = vec((any::<u8>(), option::of(0..100u32)), 0..5);
    (protocol, endpoints, timeout, option::of(validation())).prop_map(
        |(protocol, endpoints, timeout, tls)| {
            let endpoint = |(index, (byte, weight)): (usize, (u8, Option<u32>))| {
                object([
                    ("address", Some(json!(format!("10.0.0.{byte}")))),
                    ("port", Some(json!(8000 + index))),
                    ("weight", weight.map(Value::from)),
                ])
            };
            let endpoints: Vec<_> = endpoints.into_iter().enumerate().map(endpoint).collect();
            let outliers =
                timeout.map(|millis| json!({"baseEjectionTime": format!("{}ms", millis % 1000 + 1)}));
            object([
                ("protocol", protocol.map(Value::from)),
                ("endpoints", Some(json!(endpoints))),
                ("outlierDetection", outliers),
                ("tls", tls),
            ])
        },
    )
}

fn experiment() -> impl Strategy<Value = Value> {
    let unit = select(vec![
        json!({"cookie": "v"}),
        json!({"header": "x-v"}),
        json!({"queryParam": "v"}),
        json!({"clientIP": {}}),
    ]);
    (unit, 0..=10_000u16, option::of(Just(json!({"header": "x-force"})))).prop_map(|(unit, share, forced)| {
        let variant = |name: &str, share: u16| {
            json!({"name": name, "share": f64::from(share) / 100.0, "backendRefs": [{"name": name}]})
        };
        object([
            ("targetRefs", Some(json!([{"kind": "HTTPRoute", "name": "shop", "sectionName": "all"}]))),
            ("unit", Some(unit)),
            ("variants", Some(json!([variant("a", share), variant("b", 10_000 - share)]))),
            ("override", forced),
        ])
    })
}

fn validation() -> impl Strategy<Value = Value> {
    select(vec![
        json!({"hostname": "a.example", "wellKnownCACertificates": "System"}),
        json!({"hostname": "a.example", "caCertificateRefs": [{"name": "a"}],
            "subjectAltNames": [{"type": "URI", "uri": "spiffe://a/b"}, {"type": "Hostname", "hostname": "b.example"}]}),
    ])
}

fn traffic_policy() -> impl Strategy<Value = Value> {
    let quantity = prop_oneof![(1..1_000_000u32).prop_map(Value::from), Just(json!("10Ki")),];
    (quantity, option::of(duration())).prop_map(|(quantity, idle)| {
        object([
            (
                "targetRefs",
                Some(json!([{"kind": "Gateway", "name": "a", "sectionName": "b"}])),
            ),
            (
                "limits",
                Some(json!({"connections": quantity, "requestBodyBytes": "unlimited"})),
            ),
            ("timeouts", idle.map(|idle| json!({"idle": idle}))),
            ("minimumRates", Some(json!({"response": 0}))),
        ])
    })
}

/// A Secret, whose values stand beside its metadata.
fn secret() -> impl Strategy<Value = Value> {
    (name(), "[A-Za-z0-9+/]{0,8}", ".{0,12}").prop_map(|(name, data, text)| {
        let data = format!("{data}{}", &"AAAA"[data.len() % 4..]);
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "type": "Opaque",
            "data": {"a": data}, "stringData": {"ca.crt": text}})
    })
}

/// A manifest without violations.
fn manifest() -> impl Strategy<Value = Value> {
    prop_oneof![9 => manifest_with_spec(), 1 => secret()]
}

fn lint_policy() -> impl Strategy<Value = Value> {
    let codes = LintRule::ALL.map(|rule| rule.to_string());
    let severity = select(vec!["off", "warning", "error"]);
    let rules = prop::collection::btree_map(select(codes.to_vec()), severity, 0..4);
    rules.prop_map(|rules| json!({"rules": rules}))
}

fn manifest_with_spec() -> impl Strategy<Value = Value> {
    const GATEWAY_API: &str = "gateway.networking.k8s.io/v1";
    let spec = prop_oneof![
        route().prop_map(|spec| (GATEWAY_API, "HTTPRoute", spec)),
        gateway().prop_map(|spec| (GATEWAY_API, "Gateway", spec)),
        Just((
            GATEWAY_API,
            "GatewayClass",
            json!({"controllerName": "sluice.dev/gateway"})
        )),
        backend().prop_map(|spec| ("sluice.dev/v1", "Backend", spec)),
        experiment().prop_map(|spec| ("sluice.dev/v1", "Experiment", spec)),
        traffic_policy().prop_map(|spec| ("sluice.dev/v1", "TrafficPolicy", spec)),
        lint_policy().prop_map(|spec| ("sluice.dev/v1", "LintPolicy", spec)),
        validation().prop_map(|validation| {
            let spec = json!({"targetRefs": [{"group": "", "kind": "Service", "name": "a"}], "validation": validation});
            (GATEWAY_API, "BackendTLSPolicy", spec)
        }),
    ];
    let labels = option::of("[a-z]{1,5}".prop_map(|value| json!({"example.com/team": value})));
    (spec, name(), option::of(name()), labels).prop_map(|((version, kind, spec), name, namespace, labels)| {
        let metadata = object([("name", Some(name)), ("namespace", namespace), ("labels", labels)]);
        json!({"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec})
    })
}

/// How many values there are in `value`, itself included.
fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(members) => members.values().map(count).sum::<usize>(),
        _ => 0,
    }
}

/// Puts `new` in place of the value that is `at` places from the first.
fn replace(value: &mut Value, at: &mut usize, new: &Value) {
    if *at == 0 {
        *value = new.clone();
    }
    *at = at.wrapping_sub(1);
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| replace(item, at, new)),
        Value::Object(members) => members.values_mut().for_each(|member| replace(member, at, new)),
        _ => {}
    }
}

fn odd_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        Just(json!([])),
        Just(json!({})),
        Just(json!([{"name": "a"}])),
        Just(json!({"type": "Exact", "value": "/a"})),
        Just(json!("(((((")),
        Just(json!(70_000)),
    ]
}

fn read(manifest: &Value) -> Vec<Resource> {
    let text = serde_json::to_vec(manifest).unwrap();
    parse(&text, Format::Auto, "default").unwrap_or_else(|told| panic!("{manifest:#}: {told:#?}"))
}

proptest! {
    #[test]
    fn a_resource_reads_back_from_its_own_manifest(manifest in manifest()) {
        let resources = read(&manifest);
        prop_assert_eq!(resources.len(), 1);
        prop_assert_eq!(&read(&resources[0].to_json_revealed()), &resources);
        // A namespace that is written is kept whatever the default.
        let again = Resource::from_json(resources[0].to_json_revealed(), "other");
        prop_assert_eq!(again.as_ref(), Ok(&resources[0]));
    }

    #[test]
    fn yaml_and_json_of_a_manifest_are_the_same_resource(manifest in manifest()) {
        let yaml = serde_saphyr::to_string(&manifest).unwrap();
        prop_assert_eq!(parse(yaml.as_bytes(), Format::Yaml, "default").unwrap(), read(&manifest));
    }

    #[test]
    fn whatever_is_spoilt_is_refused_with_a_place_or_reads_back(
        manifest in manifest(),
        spoilt in vec((any::<Index>(), odd_value()), 1..4),
    ) {
        let mut manifest = manifest;
        for (index, new) in spoilt {
            let mut at = index.index(count(&manifest));
            replace(&mut manifest, &mut at, &new);
        }
        let text = serde_json::to_vec(&manifest).unwrap();
        match parse(&text, Format::Json, "default") {
            Ok(resources) => for resource in resources {
                prop_assert_eq!(&read(&resource.to_json_revealed()), &vec![resource.clone()]);
            },
            Err(told) => {
                prop_assert!(!told.is_empty());
                // Malformed would mean that deserialising refused what the walk had let pass.
                prop_assert!(told.iter().all(|violation| violation.code != Code::Malformed), "{:?}", told);
            }
        }
    }

    #[test]
    fn no_text_makes_reading_panic(text in "\\PC{0,200}") {
        for format in [Format::Yaml, Format::Json, Format::Auto] {
            let _ = parse(text.as_bytes(), format, &text);
        }
    }

    #[test]
    fn no_bytes_make_reading_panic(bytes in vec(any::<u8>(), 0..200)) {
        for format in [Format::Yaml, Format::Json, Format::Auto] {
            let _ = parse(&bytes, format, "default");
        }
    }

    #[test]
    fn no_spoilt_yaml_makes_reading_panic(
        manifest in manifest(),
        edits in vec((any::<Index>(), "[-:\\[\\]{}&*!|>'\"%@#?,\\n\\t a0]{0,4}"), 1..6),
    ) {
        let mut yaml = serde_saphyr::to_string(&manifest).unwrap();
        for (index, text) in edits {
            let at = index.index(yaml.len() + 1);
            if yaml.is_char_boundary(at) {
                yaml.insert_str(at, &text);
            }
        }
        for format in [Format::Yaml, Format::Auto] {
            let _ = parse(yaml.as_bytes(), format, "default");
        }
    }
}
