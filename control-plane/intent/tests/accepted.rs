//! What is read: every field of every kind, and the shapes that Gateway API users write.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

use serde_json::{Value, json};
use sluice_intent::{
    BackendProtocol, Filter, Format, FromNamespaces, HttpRouteSpec, PathMatchType, PathModifier, Resource,
    SecretType, Spec, Unit, parse,
};

fn read(input: &str) -> Vec<Resource> {
    parse(input.as_bytes(), Format::Auto, "default").unwrap_or_else(|told| panic!("{told:#?}"))
}

fn route(input: &str) -> HttpRouteSpec {
    match read(input).remove(0).spec {
        Spec::HttpRoute(route) => route,
        other => panic!("{other:?}"),
    }
}

fn manifest(api_version: &str, kind: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {
            "name": "everything",
            "namespace": "team-a",
            "labels": {"app.kubernetes.io/name": "shop", "tier": ""},
            "annotations": {"example.com/note": "free text: ü"}
        },
        "spec": spec
    })
}

#[test]
fn every_field_of_every_kind_comes_back_as_it_was_written() {
    let edit = json!({
        "set": [{"name": "x-a", "value": "1"}], "add": [{"name": "x-b", "value": "2"}], "remove": ["x-c"]
    });
    let prefix = json!({"type": "ReplacePrefixMatch", "replacePrefixMatch": ""});
    let backend_ref = json!({
        "group": "sluice.dev", "kind": "Backend", "namespace": "team-b", "name": "cart", "port": 80, "weight": 0,
        "filters": [{"type": "URLRewrite", "urlRewrite": {"hostname": "cart.internal", "path": prefix}}]
    });
    let route = json!({
        "parentRefs": [{"group": "gateway.networking.k8s.io", "kind": "Gateway", "namespace": "infra",
            "name": "edge", "sectionName": "http", "port": 80}],
        "hostnames": ["shop.example.com", "*.shop.example.com"],
        "rules": [
            {
                "name": "cart",
                "matches": [{
                    "path": {"type": "PathPrefix", "value": "/cart"},
                    "headers": [{"type": "Exact", "name": "X-Tier", "value": "gold"},
                        {"type": "RegularExpression", "name": "user-agent", "value": "curl/.*"}],
                    "queryParams": [{"type": "Exact", "name": "beta", "value": "1"}],
                    "method": "GET"
                }],
                "filters": [{"type": "RequestHeaderModifier", "requestHeaderModifier": edit},
                    {"type": "ResponseHeaderModifier", "responseHeaderModifier": edit}],
                "backendRefs": [backend_ref],
                "timeouts": {"request": "1h30m", "backendRequest": "500ms"}
            },
            {"filters": [{"type": "RequestRedirect", "requestRedirect": {"scheme": "https",
                "hostname": "shop.example.org", "port": 8443, "statusCode": 308,
                "path": {"type": "ReplaceFullPath", "replaceFullPath": "/moved"}}}]}
        ]
    });
    let gateway = json!({
        "gatewayClassName": "sluice",
        "listeners": [{"name": "http", "port": 80, "protocol": "HTTP", "hostname": "*.example.com",
            "allowedRoutes": {
                "namespaces": {"from": "Selector", "selector": {"matchLabels": {"team": "a"},
                    "matchExpressions": [{"key": "zone", "operator": "NotIn", "values": ["x"]}]}},
                "kinds": [{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute"}]}}]
    });
    let class = json!({
        "controllerName": "sluice.dev/gateway", "description": "the fleet",
        "parametersRef": {"group": "example.com", "kind": "Settings", "name": "a", "namespace": "b"}
    });
    let backend = json!({
        "protocol": "h2c", "ports": [80, 443],
        "endpoints": [{"address": "10.0.0.1", "port": 8080, "weight": 3, "labels": {"zone": "a"}},
            {"address": "2001:db8::1", "port": 8080}, {"address": "cart.internal", "port": 8080}],
        "connectTimeout": "250ms",
        "outlierDetection": {"consecutiveFailures": 5, "baseEjectionTime": "30s", "maxEjectionTime": "5m",
            "maxEjectedPercent": 50}
    });
    let experiment = json!({
        "targetRefs": [{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "name": "shop", "sectionName": "cart"}],
        "unit": {"cookie": "visitor"},
        "variants": [{"name": "old", "share": 87.5, "backendRefs": [{"name": "cart", "weight": 1}]},
            {"name": "new", "share": 12.5, "backendRefs": [{"name": "cart-2"}]}],
        "override": {"header": "x-variant"}, "upstreamHeader": "x-sluice-variant"
    });
    for (version, kind, spec) in [
        ("gateway.networking.k8s.io/v1", "HTTPRoute", route),
        ("gateway.networking.k8s.io/v1", "Gateway", gateway),
        ("gateway.networking.k8s.io/v1", "GatewayClass", class),
        ("sluice.dev/v1", "Backend", backend),
        ("sluice.dev/v1", "Experiment", experiment),
    ] {
        let written = manifest(version, kind, &spec);
        assert_eq!(read(&written.to_string())[0].to_json(), written, "{kind}");
    }
}

#[test]
fn a_manifest_is_printed_with_its_head_first() {
    let written = manifest("sluice.dev/v1", "Backend", &json!({"endpoints": []}));
    let text = serde_json::to_string(&read(&written.to_string())[0]).unwrap();
    assert!(
        text.starts_with(r#"{"apiVersion":"sluice.dev/v1","kind":"Backend","metadata":{"name":"everything""#)
    );
}

#[test]
fn a_simple_route_needs_little_and_gets_the_documented_defaults() {
    let route = route(
        "
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata:
  name: simple
spec:
  parentRefs:
  - name: edge
  rules:
  - matches:
    - headers:
      - name: version
        value: two
    backendRefs:
    - name: web
      port: 8080
",
    );
    let rule = &route.rules[0];
    assert_eq!(rule.matches[0].path(), (PathMatchType::PathPrefix, "/"));
    assert_eq!(rule.backend_refs[0].weight(), 1);
    assert_eq!(rule.backend_refs[0].kind, None);
}

#[test]
fn a_canary_splits_by_weight_and_lets_testers_in_by_header() {
    let route = route(
        "
apiVersion: gateway.networking.k8s.io/v1beta1
kind: HTTPRoute
metadata: {name: canary}
spec:
  hostnames: [shop.example.com]
  rules:
  - matches:
    - headers: [{type: Exact, name: traffic, value: test}]
    backendRefs: [{name: web-v2, port: 8080}]
  - backendRefs:
    - {name: web-v1, port: 8080, weight: 90}
    - {name: web-v2, port: 8080, weight: 10}
",
    );
    let weights: Vec<_> = route.rules[1]
        .backend_refs
        .iter()
        .map(|backend| backend.weight())
        .collect();
    assert_eq!(weights, [90, 10]);
}

#[test]
fn a_redirect_and_a_prefix_rewrite_are_read_as_what_they_do() {
    let route = route(
        "
apiVersion: gateway.networking.k8s.io/v1alpha2
kind: HTTPRoute
metadata: {name: moved}
spec:
  rules:
  - filters:
    - type: RequestRedirect
      requestRedirect: {scheme: https, statusCode: 301}
  - matches:
    - path: {value: /old}
    - path: {type: PathPrefix, value: /older}
    filters:
    - type: URLRewrite
      urlRewrite:
        path: {type: ReplacePrefixMatch, replacePrefixMatch: /new}
    backendRefs: [{name: web}]
",
    );
    let Filter::RequestRedirect(redirect) = &route.rules[0].filters[0] else {
        panic!("{route:?}")
    };
    assert_eq!(redirect.status_code.unwrap_or_default().code(), 301);
    let Some(PathModifier::ReplacePrefixMatch(prefix)) = route.rules[1].filters[0].path() else {
        panic!("{route:?}")
    };
    assert_eq!(prefix.as_str(), "/new");
}

#[test]
fn other_kinds_are_read_as_their_types() {
    let resources = read(
        "
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  gatewayClassName: sluice
  listeners:
  - {name: http, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: All}}}
---
apiVersion: sluice.dev/v1
kind: Backend
metadata: {name: web}
spec: {endpoints: [{address: 127.0.0.1, port: 8080}]}
---
apiVersion: sluice.dev/v1
kind: Experiment
metadata: {name: colours}
spec:
  targetRefs: [{kind: HTTPRoute, name: shop}]
  unit: {clientIP: {}}
  variants:
  - {name: red, share: 33.33, backendRefs: [{name: red}]}
  - {name: blue, share: 66.67, backendRefs: [{name: blue}]}
",
    );
    let [
        Spec::Gateway(gateway),
        Spec::Backend(backend),
        Spec::Experiment(experiment),
    ] = [&resources[0].spec, &resources[1].spec, &resources[2].spec]
    else {
        panic!("{resources:?}")
    };
    let routes = gateway.listeners[0].allowed_routes.as_ref().unwrap();
    assert_eq!(
        routes.namespaces.as_ref().unwrap().from,
        Some(FromNamespaces::All)
    );
    assert_eq!(backend.protocol.unwrap_or_default(), BackendProtocol::Http);
    assert_eq!(backend.endpoints()[0].weight(), 1);
    assert_eq!(experiment.unit, Unit::ClientIp);
    let shares: Vec<_> = experiment
        .variants
        .iter()
        .map(|variant| variant.share.basis_points())
        .collect();
    assert_eq!(shares, [3333, 6667]);
    assert!(
        resources
            .iter()
            .all(|resource| resource.spec.kind() == resource.id.kind)
    );
}

#[test]
fn a_reference_grant_is_read_in_every_served_version() {
    for version in ["v1", "v1beta1", "v1alpha2"] {
        let resources = read(&format!(
            "
apiVersion: gateway.networking.k8s.io/{version}
kind: ReferenceGrant
metadata: {{name: shop, namespace: certificates}}
spec:
  from: [{{group: gateway.networking.k8s.io, kind: Gateway, namespace: edge}}]
  to: [{{group: '', kind: Secret, name: shop-tls}}, {{group: sluice.dev, kind: Backend}}]
"
        ));
        let Spec::ReferenceGrant(grant) = &resources[0].spec else {
            panic!("{resources:?}")
        };
        assert_eq!(grant.from[0].namespace.as_str(), "edge");
        assert_eq!(grant.to[0].group.as_str(), "");
        assert_eq!(
            grant.to[0].name.as_ref().map(|name| name.as_str()),
            Some("shop-tls")
        );
        assert_eq!(grant.to[1].name, None, "every Backend");
    }
}

#[test]
fn a_secret_keeps_its_values_and_prints_none() {
    let resources = read(
        "
apiVersion: v1
kind: Secret
metadata: {name: web, labels: {team: a}}
type: kubernetes.io/tls
immutable: true
data:
  tls.crt: Q0hB
    SU4=
  tls.key: b2xk
stringData: {tls.key: KEY}
",
    );
    let Spec::Secret(secret) = &resources[0].spec else {
        panic!("{resources:?}")
    };
    assert_eq!(secret.secret_type, SecretType::Tls);
    assert_eq!(secret.get("tls.crt"), Some(&b"CHAIN"[..]));
    assert_eq!(
        secret.get("tls.key"),
        Some(&b"KEY"[..]),
        "text takes the place of data"
    );
    let printed = resources[0].to_json();
    assert_eq!(
        printed,
        serde_json::json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": "web", "namespace": "default", "labels": {"team": "a"}},
            "type": "kubernetes.io/tls", "immutable": true,
            "data": {"tls.crt": "<redacted>", "tls.key": "<redacted>"},
        })
    );
    let debug = format!("{resources:?}");
    assert!(
        !debug.contains("KEY") && !debug.contains("[75, 69, 89]"),
        "{debug}"
    );
    assert!(Resource::from_json(printed, "default").is_err());
    let revealed = resources[0].to_json_revealed();
    assert_eq!(revealed["data"]["tls.key"], "S0VZ");
    assert_eq!(Resource::from_json(revealed, "other").as_ref(), Ok(&resources[0]));
}

#[test]
fn a_config_map_is_printed_as_it_was_written() {
    let resources = read("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: roots}\ndata: {ca.crt: ROOTS}\n");
    let Spec::ConfigMap(spec) = &resources[0].spec else {
        panic!("{resources:?}")
    };
    assert_eq!(spec.get("ca.crt"), Some(&b"ROOTS"[..]));
    let printed = resources[0].to_json();
    assert_eq!(
        printed,
        serde_json::json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "roots", "namespace": "default"},
            "data": {"ca.crt": "ROOTS"},
        })
    );
    assert_eq!(Resource::from_json(printed, "other").as_ref(), Ok(&resources[0]));
}
