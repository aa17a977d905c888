use super::*;

#[test]
fn every_reference_that_leads_nowhere_is_told_at_its_path() {
    let site = Site::shop();
    let broken = SHOP
        .replace(
            "[{name: edge}]",
            "[{name: gone}, {name: edge, sectionName: tls}, {name: edge, port: 81}]",
        )
        .replace("{name: a, weight: 9}", "{name: nowhere}, {name: b, kind: Pod}");
    let violations = site.attempt(puts(&broken), DanglingRefs::Refuse).unwrap_err();
    assert_eq!(
        told(&violations),
        [
            ("HTTPRoute/default/shop", "spec.parentRefs[0].name", "dangling"),
            (
                "HTTPRoute/default/shop",
                "spec.parentRefs[1].sectionName",
                "dangling"
            ),
            ("HTTPRoute/default/shop", "spec.parentRefs[2].port", "dangling"),
            (
                "HTTPRoute/default/shop",
                "spec.rules[1].backendRefs[0].name",
                "dangling"
            ),
            (
                "HTTPRoute/default/shop",
                "spec.rules[1].backendRefs[1].kind",
                "dangling"
            ),
        ]
    );
}

#[test]
fn with_warnings_a_dangling_reference_keeps_its_share_until_it_leads_somewhere() {
    let mut site = Site::empty();
    let changed = site
        .change(puts(&[EDGE, SHOP].join("---")), DanglingRefs::Warn)
        .unwrap();
    assert_eq!(changed.warnings.len(), 3);
    let backends = |site: &Site| site.body::<v1::Split>("split/default/shop/pay").backends;
    assert_eq!(backends(&site)[0].backend, "");
    site.apply(&backend("a", &["10.0.0.1"])).unwrap();
    assert_eq!(backends(&site)[0].backend, "backend/default/a");
}

#[test]
fn what_is_referred_to_cannot_be_deleted_unless_all_go_together() {
    let mut site = Site::shop();
    let violations = site
        .attempt(delete("Backend/default/a"), DanglingRefs::Refuse)
        .unwrap_err();
    assert_eq!(told(&violations), [("Backend/default/a", "", "inUse")]);
    assert!(violations[0].message.contains("HTTPRoute/default/shop"));
    let both = [delete("Backend/default/a"), delete("HTTPRoute/default/shop")].concat();
    site.change(both, DanglingRefs::Refuse).unwrap();
    assert!(site.keys().iter().all(|key| !key.contains("shop")));
}

#[test]
fn deleting_with_warnings_leaves_the_share_to_answer_500() {
    let mut site = Site::shop();
    let changed = site
        .change(delete("Backend/default/a"), DanglingRefs::Warn)
        .unwrap();
    assert_eq!(told(&changed.warnings), [("Backend/default/a", "", "inUse")]);
    assert_eq!(
        site.body::<v1::Split>("split/default/shop/pay").backends[0].backend,
        ""
    );
    // What dangles already is nobody's fault later.
    assert!(
        site.apply(&backend("b", &["10.0.0.3"]))
            .unwrap()
            .warnings
            .is_empty()
    );
}

#[test]
fn a_listener_that_a_route_names_cannot_be_renamed_under_it() {
    let mut site = Site::shop();
    site.apply(&SHOP.replace("{name: edge}", "{name: edge, sectionName: http}"))
        .unwrap();
    let renamed = puts(&EDGE.replace("name: http", "name: web"));
    let violations = site.attempt(renamed, DanglingRefs::Refuse).unwrap_err();
    assert_eq!(
        told(&violations),
        [(
            "HTTPRoute/default/shop",
            "spec.parentRefs[0].sectionName",
            "dangling"
        )]
    );
}

#[test]
fn two_gateways_cannot_listen_at_one_place_but_may_change_places() {
    let mut site = Site::shop();
    let second = EDGE
        .replace("name: edge", "name: second")
        .replace("port: 80", "port: 81");
    site.apply(&second).unwrap();
    let clash = puts(&second.replace("port: 81", "port: 80"));
    let violations = site.attempt(clash, DanglingRefs::Refuse).unwrap_err();
    assert_eq!(
        told(&violations),
        [("Gateway/default/second", "spec.listeners[0]", "conflict")]
    );
    let swap = [
        second.replace("port: 81", "port: 80"),
        EDGE.replace("port: 80", "port: 81"),
    ]
    .join("---");
    site.apply(&swap).unwrap();
    assert_eq!(site.body::<v1::Listener>("listener/default/second/http").port, 80);
}

#[test]
fn a_port_is_checked_only_where_the_backend_declares_ports() {
    let mut site = Site::shop();
    let with_port = SHOP.replace("[{name: a}]", "[{name: a, port: 8080}]");
    site.apply(&with_port).unwrap();
    let declared = backend("a", &["10.0.0.1"]).replace("spec: {", "spec: {ports: [9090], ");
    let violations = site.attempt(puts(&declared), DanglingRefs::Refuse).unwrap_err();
    assert_eq!(
        told(&violations),
        [(
            "HTTPRoute/default/shop",
            "spec.rules[0].backendRefs[0].port",
            "dangling"
        )]
    );
}

#[test]
fn writing_the_same_again_is_unchanged() {
    let mut site = Site::shop();
    assert!(site.apply(SHOP).unwrap().is_empty());
}
