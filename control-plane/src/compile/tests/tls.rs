use std::time::Duration;

use super::certificates::{authority_of_days, certificate, config_map, pair, pair_of_days, secret, trust};
use super::*;

/// The Gateway `edge` with a plain listener on port 80 and an HTTPS one on port 443.
fn edge(tls: &str) -> String {
    EDGE.replace(
        "protocol: HTTP}]",
        &format!("protocol: HTTP}}, {{name: https, port: 443, protocol: HTTPS, hostname: shop.example.com, tls: {tls}}}]"),
    )
}

fn served() -> Site {
    let mut site = Site::shop();
    let all = [
        certificate("web", &["shop.example.com"]),
        edge("{certificateRefs: [{name: web}]}"),
    ];
    assert_eq!(told(&site.apply(&all.join("---")).unwrap().warnings), []);
    site
}

fn attachments(site: &Site) -> Vec<String> {
    let route: v1::Route = site.body("route/default/shop");
    route.attachments.into_iter().map(|one| one.listener).collect()
}

const HTTPS: &str = "listener/default/edge/https";

#[test]
fn an_https_listener_names_its_certificates_and_only_what_is_used_travels() {
    let mut site = served();
    site.apply(&certificate("spare", &["shop.example.com"])).unwrap();
    let listener: v1::Listener = site.body(HTTPS);
    assert_eq!(listener.protocol(), v1::listener::Protocol::Https);
    assert_eq!(listener.tls.unwrap().certificates, ["certificate/default/web"]);
    let certificate: v1::Certificate = site.body("certificate/default/web");
    assert_eq!(
        (certificate.chain.len(), certificate.private_key.is_empty()),
        (1, false)
    );
    assert!(!site.keys().contains(&"certificate/default/spare".to_owned()));
    assert_eq!(attachments(&site), ["listener/default/edge/http", HTTPS]);
    site.apply(EDGE).unwrap();
    assert!(!site.keys().contains(&"certificate/default/web".to_owned()));
}

#[test]
fn another_certificate_touches_nothing_but_itself() {
    let mut site = served();
    let before = site.world.clone();
    site.apply(&certificate("web", &["shop.example.com"])).unwrap();
    let renewed = "certificate/default/web".to_owned();
    assert_eq!(site.sent_since(&before), (vec![renewed], 0));
}

#[test]
fn without_its_secret_a_listener_is_refused_or_left_out_until_it_is_there() {
    let mut site = Site::shop();
    let changes = puts(&edge("{certificateRefs: [{name: web}]}"));
    let field = "spec.listeners[1].tls.certificateRefs[0].name";
    let expected = [("Gateway/default/edge", field, "dangling")];
    let violations = site.attempt(changes.clone(), DanglingRefs::Refuse).unwrap_err();
    assert_eq!(told(&violations), expected);
    let warned = site.change(changes, DanglingRefs::Warn).unwrap().warnings;
    assert_eq!(told(&warned), expected);
    assert!(!site.keys().contains(&HTTPS.to_owned()));
    assert_eq!(attachments(&site), ["listener/default/edge/http"]);
    site.apply(&certificate("web", &["shop.example.com"])).unwrap();
    assert_eq!(attachments(&site), ["listener/default/edge/http", HTTPS]);
    let violations = site
        .attempt(delete("Secret/default/web"), DanglingRefs::Refuse)
        .unwrap_err();
    assert_eq!(told(&violations), [("Secret/default/web", "", "inUse")]);
    site.change(delete("Secret/default/web"), DanglingRefs::Warn)
        .unwrap();
    assert_eq!(attachments(&site), ["listener/default/edge/http"]);
}

#[test]
fn a_secret_of_another_type_is_no_certificate() {
    let mut site = Site::shop();
    let all = [trust("web"), edge("{certificateRefs: [{name: web}]}")].join("---");
    let violations = site.apply(&all).unwrap_err();
    let field = "spec.listeners[1].tls.certificateRefs[0].name";
    assert_eq!(told(&violations), [("Gateway/default/edge", field, "dangling")]);
}

#[test]
fn what_does_not_read_is_refused_by_its_data_key_and_never_quoted() {
    let site = Site::empty();
    let (chain, key) = pair(&["a.example"]);
    let (_, other) = pair(&["a.example"]);
    let damaged = key.replacen("MIG", "M*G", 1);
    let cases = [
        (
            secret(
                "web",
                "kubernetes.io/tls",
                &[("tls.crt", &chain), ("tls.key", &other)],
            ),
            "data[\"tls.key\"]",
        ),
        (
            secret(
                "web",
                "kubernetes.io/tls",
                &[("tls.crt", &chain), ("tls.key", &damaged)],
            ),
            "data[\"tls.key\"]",
        ),
        (
            secret(
                "web",
                "kubernetes.io/tls",
                &[("tls.crt", &key), ("tls.key", &key)],
            ),
            "data[\"tls.crt\"]",
        ),
        (
            secret("web", "Opaque", &[("ca.crt", "MARKER")]),
            "data[\"ca.crt\"]",
        ),
        (
            secret("web", "Opaque", &[("ca.crt", &chain), ("ca.crl", "MARKER")]),
            "data[\"ca.crl\"]",
        ),
    ];
    for (yaml, field) in cases {
        let violations = site.attempt(puts(&yaml), DanglingRefs::Warn).unwrap_err();
        assert_eq!(told(&violations), [("Secret/default/web", field, "invalid")]);
        let text = format!("{violations:?}");
        assert!(!text.contains("MARKER") && !text.contains("MIG"), "{text}");
    }
}

#[test]
fn nothing_that_is_printed_for_debugging_shows_a_private_key() {
    let site = served();
    let certificate: v1::Certificate = site.body("certificate/default/web");
    let entries: Vec<_> = site.world.resources().iter().collect();
    let text = format!("{:?} {entries:?}", site.world);
    assert!(text.contains("certificate/default/web"));
    assert!(!text.contains("PRIVATE KEY"));
    // Both as a list of bytes is printed and as `Bytes` is.
    let part = &certificate.private_key[36..52];
    let list = format!("{part:?}");
    assert!(!text.contains(list.trim_matches(['[', ']'])));
    let quoted = part.escape_ascii().to_string();
    assert!(!text.contains(&quoted));
}

#[test]
fn a_certificate_for_other_names_is_a_warning_at_the_listener() {
    let mut site = Site::shop();
    let all = [
        certificate("web", &["other.example.com"]),
        edge("{certificateRefs: [{name: web}]}"),
    ];
    let warnings = site.apply(&all.join("---")).unwrap().warnings;
    let field = "spec.listeners[1].tls.certificateRefs";
    assert_eq!(told(&warnings), [("Gateway/default/edge", field, "uncovered")]);
    // And so it is when the Secret changes under the Gateway.
    site.apply(&certificate("web", &["*.example.com"])).unwrap();
    let warnings = site
        .apply(&certificate("web", &["example.com"]))
        .unwrap()
        .warnings;
    assert_eq!(told(&warnings), [("Gateway/default/edge", field, "uncovered")]);
}

/// What is warned of when this is applied on that day since 1970.
fn warned(yaml: &str, day: Option<u64>) -> String {
    warned_at(yaml, day.map(|day| day * 86_400))
}

/// What is warned of when this is applied at that second since 1970.
fn warned_at(yaml: &str, seconds: Option<u64>) -> String {
    let world = World::empty(HistoryId([7; 16]));
    let world = match seconds {
        Some(seconds) => world.at(Duration::from_secs(seconds)),
        None => world,
    };
    let changed = world
        .change(puts(yaml), Revision(1), DanglingRefs::Refuse)
        .unwrap();
    let said = changed.warnings.into_iter();
    let said = said.map(|warning| format!("{} {}", warning.field, warning.message));
    said.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_certificate_that_has_expired_or_soon_will_is_a_warning_where_there_is_a_clock() {
    let (chain, key) = pair_of_days(1000..1090);
    let values = [("tls.crt", &*chain), ("tls.key", &key)];
    let yaml = secret("web", "kubernetes.io/tls", &values);
    let warned = |day| warned(&yaml, day);
    assert_eq!(warned(None), "");
    assert_eq!(warned(Some(1050)), "");
    assert!(warned(Some(990)).contains("is not valid yet"));
    assert!(warned(Some(1080)).contains("expires in 10 days"));
    assert!(warned(Some(1089)).contains("expires in 24 h"));
    assert!(warned(Some(1100)).contains("has expired 10 days ago"));
}

#[test]
fn a_response_that_is_not_stapled_now_is_a_warning_and_no_fault() {
    // Its thisUpdate and nextUpdate.
    const FROM: u64 = 1_795_276_806;
    const UNTIL: u64 = 1_795_881_606;
    let warned = |seconds| warned_at(include_str!("stapled.yaml"), seconds);
    assert_eq!(warned(None), "");
    assert_eq!(warned(Some(FROM)), "");
    assert_eq!(warned(Some(UNTIL - 1)), "");
    assert!(warned(Some(UNTIL)).contains("`tls.ocsp` has expired"));
    // The certificate begins in the same second.
    assert!(warned(Some(FROM - 1)).contains("`tls.ocsp` does not hold yet"));
}

#[test]
fn a_response_for_another_certificate_is_refused() {
    let (chain, key) = pair(&["a.example"]);
    let stapled = include_str!("stapled.yaml");
    let response = stapled.split("tls.ocsp: ").nth(1).unwrap().trim();
    let yaml = secret(
        "web",
        "kubernetes.io/tls",
        &[("tls.crt", &chain), ("tls.key", &key)],
    );
    for (value, said) in [
        (response, "says nothing of the first certificate"),
        ("AAAA", "is not a successful OCSP response"),
    ] {
        let yaml = format!("{yaml}data: {{tls.ocsp: {value}}}\n");
        let violations = Site::empty().apply(&yaml).unwrap_err();
        assert_eq!(
            told(&violations),
            [("Secret/default/web", "data[\"tls.ocsp\"]", "invalid")]
        );
        assert!(
            violations[0].message.starts_with(&format!("`tls.ocsp` {said}")),
            "{violations:?}"
        );
    }
}

#[test]
fn roots_and_revocation_lists_that_have_expired_or_soon_will_are_warnings_too() {
    let (root, list) = authority_of_days(1000..1400, 1000..1030);
    let yaml = secret("clients", "Opaque", &[("ca.crt", &root), ("ca.crl", &list)]);
    let warned = |day| warned(&yaml, Some(day));
    assert_eq!(warned(1010), "");
    assert_eq!(
        warned(1025),
        r#"data["ca.crl"] revocation list 0 expires in 5 days"#
    );
    assert_eq!(
        warned(1035),
        r#"data["ca.crl"] revocation list 0 has expired 5 days ago; whoever has a certificate of its issuer is refused until there is a newer one"#
    );
    let both = warned(1390);
    let lines: Vec<_> = both.lines().collect();
    assert_eq!(lines[0], r#"data["ca.crt"] certificate 0 expires in 10 days"#);
    assert!(lines[1].starts_with(r#"data["ca.crl"] revocation list 0 has expired 360 days ago"#));
    assert!(warned(1401).starts_with(r#"data["ca.crt"] certificate 0 has expired 24 h ago"#));
}

#[test]
fn clients_are_verified_as_the_port_or_else_the_gateway_says() {
    let mut site = Site::shop();
    let with = |frontend: &str| {
        edge("{certificateRefs: [{name: web}], options: {sluice.dev/min-version: '1.3', sluice.dev/client-certificate-depth: '2'}}")
            .replace("  listeners:", &format!("  tls: {{frontend: {frontend}}}\n  listeners:"))
    };
    let validation = |name: &str, mode: &str| {
        format!("{{validation: {{caCertificateRefs: [{{kind: Secret, group: '', name: {name}}}]{mode}}}}}")
    };
    let all = validation("all", "");
    let port = validation("port", ", mode: AllowInsecureFallback");
    let yaml = [
        certificate("web", &["shop.example.com"]),
        trust("all"),
        trust("port"),
        with(&format!("{{default: {all}}}")),
    ];
    site.apply(&yaml.join("---")).unwrap();
    let tls = |site: &Site| site.body::<v1::Listener>(HTTPS).tls.unwrap();
    assert_eq!(tls(&site).min_version(), v1::listener_tls::Version::Tls13);
    let client = tls(&site).client.unwrap();
    assert_eq!(
        (client.trust, client.optional, client.max_depth),
        (vec!["trust/default/all".to_owned()], false, Some(2))
    );
    assert!(!site.keys().contains(&"trust/default/port".to_owned()));
    site.apply(&with(&format!(
        "{{default: {all}, perPort: [{{port: 443, tls: {port}}}]}}"
    )))
    .unwrap();
    let client = tls(&site).client.unwrap();
    assert_eq!(
        (client.trust, client.optional),
        (vec!["trust/default/port".to_owned()], true)
    );
    // Without the roots, nobody is let in rather than everybody.
    site.change(delete("Secret/default/port"), DanglingRefs::Warn)
        .unwrap();
    assert!(!site.keys().contains(&HTTPS.to_owned()));
}

#[test]
fn clients_may_lead_to_roots_in_a_config_map() {
    let mut site = served();
    let frontend = "{default: {validation: {caCertificateRefs: [{kind: ConfigMap, group: '', name: all}]}}}";
    let gateway = edge("{certificateRefs: [{name: web}]}").replace(
        "  listeners:",
        &format!("  tls: {{frontend: {frontend}}}\n  listeners:"),
    );
    let field = "spec.tls.frontend.default.validation.caCertificateRefs[0].name";
    let violations = site.apply(&gateway).unwrap_err();
    assert_eq!(told(&violations), [("Gateway/default/edge", field, "dangling")]);
    site.apply(&[config_map("all"), gateway].join("---")).unwrap();
    let client = site.body::<v1::Listener>(HTTPS).tls.unwrap().client.unwrap();
    assert_eq!(client.trust, ["trust/default/configmap:all"]);
    let trust: v1::Trust = site.body("trust/default/configmap:all");
    assert_eq!(trust.roots.len(), 1);
}

#[test]
fn one_port_speaks_tls_or_it_does_not() {
    let mut site = served();
    let mixed = EDGE.replace("name: edge", "name: second").replace(
        "port: 80, protocol: HTTP",
        "port: 443, protocol: HTTP, hostname: plain.example.com",
    );
    let violations = site.apply(&mixed).unwrap_err();
    let field = "spec.listeners[0].protocol";
    assert_eq!(told(&violations), [("Gateway/default/second", field, "conflict")]);
    let within = edge("{certificateRefs: [{name: web}]}").replace("port: 80,", "port: 443,");
    let violations = site.apply(&within).unwrap_err();
    let told = told(&violations);
    assert!(
        told.contains(&("Gateway/default/edge", field, "conflict")),
        "{told:?}"
    );
}

#[test]
fn ticket_keys_come_without_a_revision_and_stay() {
    let mut site = served();
    let next = site.world.with_tickets(&[[1; 32], [2; 32]]).unwrap().unwrap();
    assert_eq!(next.revision(), site.world.revision());
    assert_eq!(next.position().config, site.world.position().config);
    assert!(next.with_tickets(&[[1; 32], [2; 32]]).unwrap().is_none());
    assert!(next.with_tickets(&[]).is_err());
    site.world = next;
    site.apply(&backend("b", &["10.0.0.7"])).unwrap();
    let tickets: v1::Tickets = site.body("tickets/default/fleet");
    assert_eq!(tickets.keys.len(), 2);
}
