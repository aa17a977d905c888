use super::certificates::{certificate, config_map, in_namespace, trust};
use super::*;

fn policy(name: &str, validation: &str) -> String {
    format!(
        "\napiVersion: gateway.networking.k8s.io/v1\nkind: BackendTLSPolicy\nmetadata: {{name: {name}}}\nspec:\n  \
         targetRefs: [{{group: '', kind: Service, name: a}}]\n  validation: {{hostname: a.internal, {validation}}}\n"
    )
}

fn with_roots(name: &str) -> String {
    format!("caCertificateRefs: [{{group: '', kind: Secret, name: {name}}}]")
}

fn own(tls: &str) -> String {
    backend("a", &["10.0.0.1"]).replace("spec: {", &format!("spec: {{tls: {tls}, "))
}

fn tls(site: &Site) -> Option<v1::BackendTls> {
    site.body::<v1::Backend>("backend/default/a").tls
}

fn target(site: &Site) -> String {
    let split: v1::Split = site.body("split/default/shop/pay");
    split.backends[0].backend.clone()
}

#[test]
fn a_policy_makes_its_backend_speak_tls_until_it_is_gone() {
    let mut site = Site::shop();
    site.apply(&[trust("roots"), policy("p", &with_roots("roots"))].join("---"))
        .unwrap();
    let found = tls(&site).unwrap();
    assert_eq!(found.sni, "a.internal");
    assert_eq!(found.trust, ["trust/default/roots"]);
    assert_eq!((found.names.len(), &*found.client_certificate), (0, ""));
    site.change(delete("BackendTLSPolicy/default/p"), DanglingRefs::Refuse)
        .unwrap();
    assert_eq!(tls(&site), None);
    assert!(!site.keys().contains(&"trust/default/roots".to_owned()));
}

#[test]
fn a_backend_may_say_it_itself_with_names_and_a_certificate_to_show() {
    let mut site = Site::shop();
    let yaml = own(
        "{hostname: a.internal, wellKnownCACertificates: System, clientCertificateRef: {name: me}, \
         subjectAltNames: [{type: URI, uri: 'spiffe://x/a'}, {type: Hostname, hostname: b.internal}]}",
    );
    site.apply(&[certificate("me", &["me"]), yaml].join("---"))
        .unwrap();
    let found = tls(&site).unwrap();
    assert_eq!(found.names, ["spiffe://x/a", "b.internal"]);
    assert_eq!(
        (found.trust.len(), &*found.client_certificate),
        (0, "certificate/default/me")
    );
}

#[test]
fn both_forms_on_one_backend_are_a_conflict_whichever_comes_second() {
    let mut site = Site::shop();
    let policy = policy("p", "wellKnownCACertificates: System");
    let own = own("{hostname: a.internal, wellKnownCACertificates: System}");
    let mut other = Site::shop();
    site.apply(&policy).unwrap();
    let violations = site.apply(&own).unwrap_err();
    assert_eq!(told(&violations), [("Backend/default/a", "spec.tls", "conflict")]);
    other.apply(&own).unwrap();
    let violations = other.apply(&policy).unwrap_err();
    let told = told(&violations);
    assert!(
        told.contains(&("BackendTLSPolicy/default/p", "spec.targetRefs[0]", "conflict")),
        "{told:?}"
    );
}

#[test]
fn the_oldest_policy_holds_and_the_other_one_is_told() {
    let mut site = Site::shop();
    site.apply(&policy("z", "wellKnownCACertificates: System"))
        .unwrap();
    let younger = policy("a", "wellKnownCACertificates: System").replace("a.internal", "b.internal");
    let warnings = site.apply(&younger).unwrap().warnings;
    assert_eq!(
        told(&warnings),
        [("BackendTLSPolicy/default/a", "spec.targetRefs[0]", "overridden")]
    );
    let intent = site
        .world
        .get(&"BackendTLSPolicy/default/a".parse().unwrap())
        .unwrap();
    assert_eq!(
        site.world.doubts(intent)[0].reason,
        super::super::Reason::Conflicted
    );
    assert_eq!(tls(&site).unwrap().sni, "a.internal");
    site.change(delete("BackendTLSPolicy/default/z"), DanglingRefs::Refuse)
        .unwrap();
    assert_eq!(tls(&site).unwrap().sni, "b.internal");
}

#[test]
fn a_backend_whose_roots_cannot_be_had_answers_500_and_is_never_spoken_to_in_plain_text() {
    let mut site = Site::shop();
    let violations = site.apply(&policy("p", &with_roots("roots"))).unwrap_err();
    let field = "spec.validation.caCertificateRefs[0].name";
    assert_eq!(
        told(&violations),
        [("BackendTLSPolicy/default/p", field, "dangling")]
    );
    site.change(puts(&policy("p", &with_roots("roots"))), DanglingRefs::Warn)
        .unwrap();
    assert!(!site.keys().contains(&"backend/default/a".to_owned()));
    assert_eq!(target(&site), "");
    site.apply(&trust("roots")).unwrap();
    assert_eq!(target(&site), "backend/default/a");
    assert_eq!(tls(&site).unwrap().trust, ["trust/default/roots"]);
}

#[test]
fn a_policy_names_the_certificate_that_backends_are_shown() {
    let mut site = Site::shop();
    let showing = |name: &str| {
        let options = format!("spec:\n  options: {{sluice.dev/client-certificate: {name}}}\n");
        policy("p", "wellKnownCACertificates: System").replace("spec:\n", &options)
    };
    let field = "spec.options[\"sluice.dev/client-certificate\"]";
    let expected = [("BackendTLSPolicy/default/p", field, "dangling")];
    assert_eq!(told(&site.apply(&showing("me")).unwrap_err()), expected);
    site.change(puts(&showing("me")), DanglingRefs::Warn).unwrap();
    assert_eq!(target(&site), "", "rather no answer than one without it");
    site.apply(&certificate("me", &["me"])).unwrap();
    assert_eq!(tls(&site).unwrap().client_certificate, "certificate/default/me");
    assert!(site.keys().contains(&"certificate/default/me".to_owned()));
    // A Secret of another type shows nothing, nor does one that is gone.
    assert_eq!(told(&site.apply(&trust("me")).unwrap_err()), expected);
    let violations = site
        .attempt(delete("Secret/default/me"), DanglingRefs::Refuse)
        .unwrap_err();
    assert_eq!(told(&violations), [("Secret/default/me", "", "inUse")]);
}

fn with_map(name: &str) -> String {
    format!("caCertificateRefs: [{{group: '', kind: ConfigMap, name: {name}}}]")
}

#[test]
fn roots_may_be_in_a_config_map_beside_a_secret_of_the_same_name() {
    let mut site = Site::shop();
    let all = [
        trust("roots"),
        config_map("roots"),
        policy("p", &with_map("roots")),
    ];
    site.apply(&all.join("---")).unwrap();
    assert_eq!(tls(&site).unwrap().trust, ["trust/default/configmap:roots"]);
    assert!(!site.keys().contains(&"trust/default/roots".to_owned()));
    let of_map: v1::Trust = site.body("trust/default/configmap:roots");
    site.apply(&policy("p", &with_roots("roots"))).unwrap();
    let of_secret: v1::Trust = site.body("trust/default/roots");
    assert_ne!(of_map.roots, of_secret.roots);
    assert!(!site.keys().contains(&"trust/default/configmap:roots".to_owned()));
}

#[test]
fn a_config_map_that_is_not_there_or_has_no_roots_dangles_like_a_secret() {
    let mut site = Site::shop();
    let field = "spec.validation.caCertificateRefs[0].name";
    let expected = [("BackendTLSPolicy/default/p", field, "dangling")];
    let with_map = policy("p", &with_map("roots"));
    assert_eq!(told(&site.apply(&with_map).unwrap_err()), expected);
    let empty = "\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: roots}\ndata: {other: x}\n";
    let violations = site.apply(&[empty, &with_map].join("---")).unwrap_err();
    assert_eq!(told(&violations), expected);
    assert!(violations[0].message.contains("has no ca.crt"), "{violations:?}");
    site.apply(&[config_map("roots"), with_map].join("---")).unwrap();
    assert_eq!(told(&site.apply(empty).unwrap_err()), expected);
    let violations = site
        .attempt(delete("ConfigMap/default/roots"), DanglingRefs::Refuse)
        .unwrap_err();
    assert_eq!(told(&violations), [("ConfigMap/default/roots", "", "inUse")]);
    let garbage = "\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndata: {ca.crt: no}\n";
    let violations = site.apply(garbage).unwrap_err();
    assert_eq!(
        told(&violations),
        [("ConfigMap/default/x", "data[\"ca.crt\"]", "invalid")]
    );
}

#[test]
fn a_certificate_is_never_in_a_config_map() {
    let mut site = Site::shop();
    let yaml = own("{hostname: a.internal, wellKnownCACertificates: System, \
         clientCertificateRef: {kind: ConfigMap, group: '', name: me}}");
    let violations = site.apply(&[config_map("me"), yaml].join("---")).unwrap_err();
    let field = "spec.tls.clientCertificateRef.kind";
    assert_eq!(told(&violations), [("Backend/default/a", field, "dangling")]);
}

#[test]
fn a_config_map_of_another_namespace_takes_a_grant_for_config_maps() {
    let mut site = Site::shop();
    let own = own("{hostname: a.internal, \
         caCertificateRefs: [{kind: ConfigMap, group: '', namespace: team, name: roots}]}");
    site.apply(&in_namespace("team", &config_map("roots"))).unwrap();
    let field = "spec.tls.caCertificateRefs[0].namespace";
    let violations = site.apply(&own).unwrap_err();
    assert_eq!(
        told(&violations),
        [("Backend/default/a", field, "refNotPermitted")]
    );
    let grant = "\napiVersion: gateway.networking.k8s.io/v1beta1\nkind: ReferenceGrant\n\
        metadata: {namespace: team, name: grant}\n\
        spec: {from: [{group: sluice.dev, kind: Backend, namespace: default}], to: [{group: '', kind: ConfigMap}]}\n";
    site.apply(&[grant, &own].join("---")).unwrap();
    assert_eq!(tls(&site).unwrap().trust, ["trust/team/configmap:roots"]);
}
