//! What the model refuses of TLS, mirrors, CORS and filters, field by field.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use prost::Message;
use sluice_model::{Code, Filters, Key, Limits, Resource, TlsVersion};
use sluice_proto::v1;

fn read(key: &str, wire: &impl Message) -> Result<Resource, Vec<(String, Code)>> {
    let told = Resource::decode(&Key::parse(key).unwrap(), &wire.encode_to_vec());
    told.map_err(|violations| violations.into_iter().map(|one| (one.field, one.code)).collect())
}

/// The fields that are refused, with why.
fn refused(key: &str, wire: &impl Message) -> Vec<(String, Code)> {
    read(key, wire).unwrap_err()
}

fn told(fields: &[(&str, Code)]) -> Vec<(String, Code)> {
    fields
        .iter()
        .map(|(field, code)| (field.to_string(), *code))
        .collect()
}

fn strings(all: &[&str]) -> Vec<String> {
    all.iter().map(|one| one.to_string()).collect()
}

fn https() -> v1::Listener {
    v1::Listener {
        port: 443,
        protocol: v1::listener::Protocol::Https.into(),
        tls: Some(v1::ListenerTls {
            certificates: strings(&["certificate/default/web"]),
            client: Some(v1::ClientValidation {
                trust: strings(&["trust/default/ca"]),
                ..Default::default()
            }),
            min_version: 0,
        }),
        ..Default::default()
    }
}

#[test]
fn an_https_listener_has_its_defaults_filled_in() {
    let Ok(Resource::Listener(listener)) = read("listener/a/b/c", &https()) else {
        panic!("refused");
    };
    assert_eq!(listener.limits, Limits::default());
    let tls = listener.tls.unwrap();
    assert_eq!(tls.min_version, TlsVersion::Tls12);
    assert_eq!(tls.client.as_ref().unwrap().max_depth, 4);
    let references: Vec<&str> = tls.references().map(Key::as_str).collect();
    assert_eq!(references, ["certificate/default/web", "trust/default/ca"]);
}

#[test]
fn no_certificate_in_between_is_a_depth_of_its_own_and_not_the_default() {
    let mut wire = https();
    let client = wire.tls.as_mut().and_then(|tls| tls.client.as_mut()).unwrap();
    client.max_depth = Some(0);
    let Ok(Resource::Listener(listener)) = read("listener/a/b/c", &wire) else {
        panic!("refused");
    };
    assert_eq!(listener.tls.unwrap().client.unwrap().max_depth, 0);
}

#[test]
fn https_and_tls_come_together_or_not_at_all() {
    use v1::listener::Protocol;
    for (protocol, tls, expected) in [
        (Protocol::Https, None, ("tls", Code::Conflict)),
        (Protocol::Http, https().tls, ("tls", Code::Conflict)),
        (Protocol::Unspecified, None, ("protocol", Code::Unsupported)),
    ] {
        let protocol = protocol.into();
        let wire = v1::Listener {
            protocol,
            tls,
            ..https()
        };
        assert_eq!(refused("listener/a/b/c", &wire), told(&[expected]));
    }
}

#[test]
fn every_fault_of_a_listeners_tls_is_told() {
    let tls = v1::ListenerTls {
        certificates: strings(&["trust/default/ca", "frog"]),
        client: Some(v1::ClientValidation {
            trust: vec![],
            optional: false,
            max_depth: Some(17),
        }),
        min_version: 9,
    };
    let wire = v1::Listener {
        tls: Some(tls),
        ..https()
    };
    let expected = [
        ("tls.certificates[0]", Code::Invalid),
        ("tls.certificates[1]", Code::Invalid),
        ("tls.client.trust", Code::OutOfRange),
        ("tls.client.max_depth", Code::OutOfRange),
        ("tls.min_version", Code::Unsupported),
    ];
    assert_eq!(refused("listener/a/b/c", &wire), told(&expected));
    let none = v1::Listener {
        tls: Some(v1::ListenerTls::default()),
        ..https()
    };
    assert_eq!(
        refused("listener/a/b/c", &none),
        told(&[("tls.certificates", Code::OutOfRange)])
    );
}

#[test]
fn a_credential_without_its_parts_is_refused() {
    let certificate = refused("certificate/a/b", &v1::Certificate::default());
    assert_eq!(
        certificate,
        told(&[("chain", Code::OutOfRange), ("private_key", Code::Missing)])
    );
    let trust = v1::Trust {
        roots: vec![],
        crls: vec![vec![]],
    };
    let expected = [("roots", Code::OutOfRange), ("crls[0]", Code::Missing)];
    assert_eq!(refused("trust/a/b", &trust), told(&expected));
    assert_eq!(
        refused("tickets/a/b", &v1::Tickets::default()),
        told(&[("keys", Code::OutOfRange)])
    );
    let tickets = v1::Tickets {
        keys: vec![vec![0; 32], vec![0; 31]],
    };
    assert_eq!(
        refused("tickets/a/b", &tickets),
        told(&[("keys[1]", Code::OutOfRange)])
    );
    let many = v1::Tickets {
        keys: vec![vec![0; 32]; 9],
    };
    assert_eq!(refused("tickets/a/b", &many), told(&[("keys", Code::OutOfRange)]));
}

#[test]
fn no_key_is_seen_in_a_resource_that_is_printed() {
    let certificate = v1::Certificate {
        chain: vec![vec![1]],
        private_key: vec![211, 212, 213],
        ocsp: vec![],
    };
    let tickets = v1::Tickets {
        keys: vec![vec![211; 32]],
    };
    let shown = [
        format!("{:?}", read("certificate/a/b", &certificate).unwrap()),
        format!("{:#?}", read("tickets/a/b", &tickets).unwrap()),
    ];
    for text in shown {
        assert!(text.contains("<secret>") && !text.contains("211"), "{text}");
    }
}

#[test]
fn a_backends_certificate_must_have_a_name_that_can_be_looked_for() {
    let backend = |tls| v1::Backend {
        protocol: v1::backend::Protocol::Http.into(),
        tls: Some(tls),
        ..Default::default()
    };
    let good = v1::BackendTls {
        names: strings(&["a.example", "spiffe://x/y"]),
        ..Default::default()
    };
    assert!(read("backend/a/b", &backend(good)).is_ok());
    let nameless = backend(v1::BackendTls::default());
    assert_eq!(
        refused("backend/a/b", &nameless),
        told(&[("tls.names", Code::Missing)])
    );
    let bad = backend(v1::BackendTls {
        sni: "*.a.example".into(),
        names: strings(&["10.0.0.1", "*.a.example", "a b://c", "x:y"]),
        trust: strings(&["certificate/a/b"]),
        client_certificate: "trust/a/b".into(),
    });
    let expected = [
        ("tls.sni", Code::Invalid),
        ("tls.names[0]", Code::Invalid),
        ("tls.names[1]", Code::Invalid),
        ("tls.names[2]", Code::Invalid),
        ("tls.names[3]", Code::Invalid),
        ("tls.trust[0]", Code::Invalid),
        ("tls.client_certificate", Code::Invalid),
    ];
    assert_eq!(refused("backend/a/b", &bad), told(&expected));
}

#[test]
fn a_rule_without_filters_takes_one_pointer_for_them() {
    assert_eq!(size_of::<Filters>(), size_of::<usize>());
    let Ok(Resource::Rule(rule)) = read("rule/a/b/c", &v1::Rule::default()) else {
        panic!("refused");
    };
    assert!(rule.filters.is_empty() && rule.filters.mirrors.is_empty());
    assert_eq!(rule.body_bytes, None);
    // An edit of nothing is none.
    let wire = v1::Rule {
        request_headers: Some(v1::HeaderEdit::default()),
        ..Default::default()
    };
    let Ok(Resource::Rule(rule)) = read("rule/a/b/c", &wire) else {
        panic!("refused");
    };
    assert!(rule.filters.is_empty());
}

#[test]
fn a_mirror_without_a_fraction_is_of_all_and_never_of_more() {
    let mirror = |numerator, denominator| v1::Mirror {
        backend: "backend/a/b".into(),
        numerator,
        denominator,
    };
    let wire = v1::Rule {
        mirrors: vec![mirror(0, 0), mirror(1, 3)],
        ..Default::default()
    };
    let Ok(Resource::Rule(rule)) = read("rule/a/b/c", &wire) else {
        panic!("refused");
    };
    let fractions: Vec<_> = rule
        .filters
        .mirrors
        .iter()
        .map(|one| (one.numerator, one.denominator))
        .collect();
    assert_eq!(fractions, [(1, 1), (1, 3)]);
    let wire = v1::Rule {
        mirrors: vec![mirror(4, 3)],
        ..Default::default()
    };
    assert_eq!(
        refused("rule/a/b/c", &wire),
        told(&[("mirrors[0].numerator", Code::OutOfRange)])
    );
    let wire = v1::Rule {
        mirrors: vec![mirror(1, 1); 17],
        ..Default::default()
    };
    assert_eq!(
        refused("rule/a/b/c", &wire),
        told(&[("mirrors", Code::OutOfRange)])
    );
}

#[test]
fn every_fault_of_cors_and_of_a_backends_filters_is_told() {
    let cors = v1::Cors {
        allow_origins: strings(&["*", "a.example"]),
        allow_methods: strings(&["GET", "P T"]),
        allow_headers: strings(&["x-a", ""]),
        expose_headers: strings(&["\n"]),
        ..Default::default()
    };
    let wire = v1::Rule {
        cors: Some(cors),
        ..Default::default()
    };
    let expected = [
        ("cors.allow_origins[1]", Code::Invalid),
        ("cors.allow_methods[1]", Code::Invalid),
        ("cors.allow_headers[1]", Code::Invalid),
        ("cors.expose_headers[0]", Code::Invalid),
    ];
    let found = refused("rule/a/b/c", &wire);
    assert!(
        expected
            .iter()
            .all(|(field, code)| found.contains(&(field.to_string(), *code))),
        "{found:?}"
    );
    let filters = v1::BackendFilters {
        rewrite: Some(v1::Rewrite {
            hostname: "*".into(),
            path: None,
        }),
        mirrors: vec![v1::Mirror {
            backend: "route/a/b".into(),
            ..Default::default()
        }],
        ..Default::default()
    };
    let wire = v1::Split {
        backends: vec![v1::WeightedBackend {
            backend: String::new(),
            weight: 1,
            filters: Some(filters),
        }],
    };
    let expected = [
        ("backends[0].filters.rewrite.hostname", Code::Invalid),
        ("backends[0].filters.mirrors[0].backend", Code::Invalid),
    ];
    assert_eq!(refused("split/a/b/c", &wire), told(&expected));
}
