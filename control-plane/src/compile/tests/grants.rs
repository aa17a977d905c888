use super::certificates::{certificate, in_namespace};
use super::*;

fn grant(from: &str, to: &str) -> String {
    format!(
        "\napiVersion: gateway.networking.k8s.io/v1beta1\nkind: ReferenceGrant\n\
         metadata: {{namespace: team, name: grant}}\nspec: {{from: [{{{from}}}], to: [{{{to}}}]}}\n"
    )
}

const ROUTES: &str = "group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: default";
const BACKENDS: &str = "group: sluice.dev, kind: Backend";

fn foreign_route() -> String {
    SHOP.replace("{name: a, weight: 9}", "{name: c, namespace: team, weight: 9}")
}

fn granted() -> Site {
    let mut site = Site::shop();
    let team = in_namespace("team", &backend("c", &["10.0.0.3"]));
    site.apply(&[team, grant(ROUTES, BACKENDS), foreign_route()].join("---"))
        .unwrap();
    site
}

const REFUSED: [(&str, &str, &str); 1] = [(
    "HTTPRoute/default/shop",
    "spec.rules[1].backendRefs[0].namespace",
    "refNotPermitted",
)];

fn first_of_unnamed(site: &Site) -> String {
    let mut keys = site.keys().into_iter();
    let key = keys.rfind(|key| key.starts_with("split/default/shop/_"));
    site.body::<v1::Split>(&key.unwrap()).backends[0].backend.clone()
}

#[test]
fn a_backend_of_another_namespace_takes_a_grant_there() {
    let mut site = Site::shop();
    site.apply(&in_namespace("team", &backend("c", &["10.0.0.3"])))
        .unwrap();
    let violations = site.apply(&foreign_route()).unwrap_err();
    assert_eq!(told(&violations), REFUSED);
    assert!(
        violations[0]
            .message
            .contains("no ReferenceGrant in namespace team")
    );
    assert_eq!(first_of_unnamed(&granted()), "backend/team/c");
}

#[test]
fn who_has_no_grant_does_not_learn_what_is_there() {
    let mut site = Site::shop();
    assert_eq!(told(&site.apply(&foreign_route()).unwrap_err()), REFUSED);
}

#[test]
fn a_grant_that_is_in_use_is_neither_taken_away_nor_narrowed() {
    let mut site = granted();
    let narrowed = [
        delete("ReferenceGrant/team/grant"),
        puts(&grant(ROUTES, &format!("{BACKENDS}, name: other"))),
        puts(&grant(&ROUTES.replace("default", "other"), BACKENDS)),
        puts(&grant(&ROUTES.replace("HTTPRoute", "GRPCRoute"), BACKENDS)),
        puts(&grant(ROUTES, "group: '', kind: Secret")),
    ];
    for changes in narrowed {
        let violations = site.attempt(changes, DanglingRefs::Refuse).unwrap_err();
        assert_eq!(told(&violations), REFUSED);
    }
    for enough in [
        format!("{BACKENDS}, name: c"),
        "group: '', kind: Service".to_owned(),
    ] {
        site.apply(&grant(ROUTES, &enough)).unwrap();
    }
    let gone = site
        .change(delete("ReferenceGrant/team/grant"), DanglingRefs::Warn)
        .unwrap();
    assert_eq!(told(&gone.warnings), REFUSED);
    assert_eq!(first_of_unnamed(&site), "");
}

#[test]
fn mirrors_and_variants_take_a_grant_too() {
    let mut site = granted();
    let mirror = "filters: [{type: RequestMirror, requestMirror: {backendRef: {name: c, namespace: team}}}]";
    let route = SHOP.replace(
        "backendRefs: [{name: a}]",
        &format!("{mirror}\n    backendRefs: [{{name: a, {mirror}}}]"),
    );
    site.apply(&route).unwrap();
    assert_eq!(
        site.rule("rule/default/shop/pay").mirrors[0].backend,
        "backend/team/c"
    );
    let violations = site
        .attempt(delete("ReferenceGrant/team/grant"), DanglingRefs::Refuse)
        .unwrap_err();
    let fields: Vec<_> = violations.iter().map(|one| one.field.as_str()).collect();
    assert_eq!(
        fields,
        [
            "spec.rules[0].backendRefs[0].filters[0].requestMirror.backendRef.namespace",
            "spec.rules[0].filters[0].requestMirror.backendRef.namespace",
        ]
    );
    let experiment = "\napiVersion: sluice.dev/v1\nkind: Experiment\nmetadata: {name: e}\nspec:\n  \
         targetRefs: [{kind: HTTPRoute, name: shop}]\n  unit: {cookie: uid}\n  variants:\n  \
         - {name: only, share: 100, backendRefs: [{name: c, namespace: team}]}\n";
    let violations = site.apply(experiment).unwrap_err();
    let field = "spec.variants[0].backendRefs[0].namespace";
    assert_eq!(
        told(&violations),
        [("Experiment/default/e", field, "refNotPermitted")]
    );
}

#[test]
fn a_certificate_of_another_namespace_travels_only_while_it_is_granted() {
    let mut site = Site::shop();
    let edge = EDGE.replace(
        "protocol: HTTP}]",
        "protocol: HTTP}, {name: https, port: 443, protocol: HTTPS, \
         tls: {certificateRefs: [{name: web, namespace: team}]}}]",
    );
    let gateways = "group: gateway.networking.k8s.io, kind: Gateway, namespace: default";
    let secret = in_namespace("team", &certificate("web", &["shop.example.com"]));
    let refused = [(
        "Gateway/default/edge",
        "spec.listeners[1].tls.certificateRefs[0].namespace",
        "refNotPermitted",
    )];
    let violations = site
        .apply(&[secret.clone(), edge.clone()].join("---"))
        .unwrap_err();
    assert_eq!(told(&violations), refused);
    let warned = site
        .change(puts(&[secret, edge].join("---")), DanglingRefs::Warn)
        .unwrap();
    assert_eq!(told(&warned.warnings), refused);
    let travels = |site: &Site| site.keys().contains(&"certificate/team/web".to_owned());
    assert!(!travels(&site));
    site.apply(&grant(gateways, "group: '', kind: Secret")).unwrap();
    assert!(travels(&site) && site.keys().contains(&"listener/default/edge/https".to_owned()));
    site.change(delete("ReferenceGrant/team/grant"), DanglingRefs::Warn)
        .unwrap();
    assert!(!travels(&site) && !site.keys().contains(&"listener/default/edge/https".to_owned()));
}
