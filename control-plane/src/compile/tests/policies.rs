use super::*;

fn policy(name: &str, target: &str, spec: &str) -> String {
    format!(
        "\napiVersion: sluice.dev/v1\nkind: TrafficPolicy\nmetadata: {{name: {name}}}\nspec:\n  \
         targetRefs: [{{group: gateway.networking.k8s.io, {target}}}]\n  {spec}\n"
    )
}

fn limits(site: &Site) -> Option<v1::Limits> {
    site.body::<v1::Listener>("listener/default/edge/http").limits
}

const GATEWAY: &str = "kind: Gateway, name: edge";
const LISTENER: &str = "kind: Gateway, name: edge, sectionName: http";

#[test]
fn limits_of_a_gateway_are_those_of_its_listeners_and_go_with_the_policy() {
    let mut site = Site::shop();
    assert_eq!(limits(&site), None);
    let all = "limits: {connections: 10, connectionsPerClient: 3, requestHeaderBytes: 8Ki, requestHeaders: 20, \
               uriBytes: 1000, requestBodyBytes: 10Mi, requestsPerConnection: 7}\n  \
               timeouts: {requestHead: 2s, requestBody: 3s, idle: 0s}\n  \
               minimumRates: {requestBody: 0, response: 1Ki}";
    site.apply(&policy("p", GATEWAY, all)).unwrap();
    let expected = v1::Limits {
        connections: 10,
        connections_per_client: 3,
        header_bytes: 8192,
        header_count: 20,
        uri_bytes: 1000,
        body_bytes: 10 << 20,
        requests_per_connection: 7,
        head_timeout_ms: 2000,
        body_timeout_ms: 3000,
        idle_timeout_ms: u64::MAX,
        body_min_rate: u64::MAX,
        response_min_rate: 1024,
    };
    assert_eq!(limits(&site), Some(expected));
    site.change(delete("TrafficPolicy/default/p"), DanglingRefs::Refuse)
        .unwrap();
    assert_eq!(limits(&site), None);
}

#[test]
fn field_by_field_the_listener_comes_before_its_gateway_and_the_old_before_the_new() {
    let mut site = Site::shop();
    site.apply(&policy("z", GATEWAY, "limits: {connections: 1, uriBytes: 100}"))
        .unwrap();
    site.apply(&policy("y", LISTENER, "limits: {connections: 2}"))
        .unwrap();
    let younger = policy("a", GATEWAY, "limits: {uriBytes: 200, requestHeaders: 30}");
    let warnings = site.apply(&younger).unwrap().warnings;
    assert_eq!(
        told(&warnings),
        [("TrafficPolicy/default/a", "spec.limits.uriBytes", "overridden")]
    );
    let found = limits(&site).unwrap();
    assert_eq!(
        (found.connections, found.uri_bytes, found.header_count),
        (2, 100, 30)
    );
    site.change(delete("TrafficPolicy/default/z"), DanglingRefs::Refuse)
        .unwrap();
    assert_eq!(limits(&site).unwrap().uri_bytes, 200);
}

#[test]
fn the_body_of_a_rule_is_bounded_by_name_or_with_its_route() {
    let mut site = Site::shop();
    let route = "kind: HTTPRoute, name: shop";
    site.apply(&policy("p", route, "limits: {requestBodyBytes: 1Ki}"))
        .unwrap();
    let rules = |site: &Site| {
        let keys = site.keys().into_iter().filter(|key| key.starts_with("rule/"));
        keys.map(|key| site.rule(&key).body_bytes).collect::<Vec<_>>()
    };
    assert_eq!(rules(&site), [1024, 1024]);
    let named = policy(
        "q",
        &format!("{route}, sectionName: pay"),
        "limits: {requestBodyBytes: 2Ki}",
    );
    site.apply(&named).unwrap();
    assert_eq!(site.rule("rule/default/shop/pay").body_bytes, 2048);
    assert_eq!(rules(&site).iter().sum::<u64>(), 3072);
}

#[test]
fn a_policy_needs_its_target() {
    let mut site = Site::shop();
    for (target, field) in [
        ("kind: Gateway, name: none", "spec.targetRefs[0].name"),
        (
            "kind: Gateway, name: edge, sectionName: none",
            "spec.targetRefs[0].sectionName",
        ),
        (
            "kind: HTTPRoute, name: shop, sectionName: none",
            "spec.targetRefs[0].sectionName",
        ),
    ] {
        let violations = site
            .apply(&policy("p", target, "limits: {requestBodyBytes: 1}"))
            .unwrap_err();
        assert_eq!(
            told(&violations),
            [("TrafficPolicy/default/p", field, "dangling")],
            "{target}"
        );
    }
    site.apply(&policy("p", LISTENER, "limits: {connections: 1}"))
        .unwrap();
    let renamed = puts(&EDGE.replace("name: http", "name: web"));
    let violations = site.attempt(renamed, DanglingRefs::Refuse).unwrap_err();
    let told = told(&violations);
    assert!(told.contains(&(
        "TrafficPolicy/default/p",
        "spec.targetRefs[0].sectionName",
        "dangling"
    )));
}
