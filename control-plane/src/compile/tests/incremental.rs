use std::sync::LazyLock;

use proptest::prelude::*;
use sluice_intent::Kind;
use sluice_model::{Class, Code};

use super::certificates::{in_namespace, pair, secret};
use super::*;

/// A change among a handful of resources that all refer to each other in some way.
pub(super) fn change() -> impl Strategy<Value = Change> {
    let put = |yaml: fn(u8, u8) -> String, numbers: u8, shapes: u8| {
        (0..numbers, 0..shapes).prop_map(move |(number, shape)| put(&yaml(number, shape)))
    };
    prop_oneof![
        3 => put(route_yaml, 3, 8),
        3 => put(gateway_yaml, 2, 28),
        2 => put(backend_yaml, 4, 5),
        2 => put(experiment_yaml, 2, 5),
        3 => put(secret_yaml, 3, 3),
        2 => put(grant_yaml, 2, 4),
        1 => put(tls_policy_yaml, 2, 4),
        1 => put(traffic_policy_yaml, 2, 4),
        3 => id().prop_map(|id| Change::Delete(id.parse().unwrap())),
    ]
}

fn id() -> impl Strategy<Value = String> {
    let id = (prop::sample::select(Kind::ALL.to_vec()), 0..3u8, any::<bool>());
    id.prop_map(|(kind, number, team)| {
        let namespace = if team { "team" } else { "default" };
        format!("{kind}/{namespace}/n{number}")
    })
}

fn put(yaml: &str) -> Change {
    puts(yaml).remove(0)
}

/// Which proxies Gateways are for.
const SELECTORS: [&str; 4] = ["", "zone=a", "zone=b", "tier=1"];

fn gateway_yaml(number: u8, shape: u8) -> String {
    let selector = SELECTORS[usize::from(shape / 7)];
    let listeners = match shape % 7 {
        0 => format!("{{name: http, port: {}, protocol: HTTP}}", 80 + u16::from(number)),
        1 => "{name: http, port: 80, protocol: HTTP, hostname: '*.example.com'}".into(),
        4 => https(number, "[{name: n0}, {name: n2, namespace: team}]", ""),
        5 => https(number, "[{name: n2, namespace: team}]", ""),
        6 => https(
            number,
            "[{name: n0}]",
            ", frontendValidation: {caCertificateRefs: [{name: n1}]}",
        ),
        2 => format!(
            "{{name: web, port: {}, protocol: HTTP, allowedRoutes: {{namespaces: {{from: All}}}}}}",
            90 + u16::from(number)
        ),
        _ => format!(
            "{{name: http, port: {0}, protocol: HTTP}}, {{name: web, port: {0}, protocol: HTTP, hostname: x.example.com}}",
            100 + u16::from(number)
        ),
    };
    EDGE.replace("{name: edge}", &metadata(&format!("n{number}"), selector))
        .replace(
            "[{name: http, port: 80, protocol: HTTP}]",
            &format!("[{listeners}]"),
        )
}

pub(super) fn metadata(name: &str, selector: &str) -> String {
    format!("{{name: {name}, annotations: {{sluice.dev/proxy-selector: '{selector}'}}}}")
}

fn https(number: u8, certificates: &str, more: &str) -> String {
    let port = 110 + u16::from(number);
    format!("{{name: http, port: {port}, protocol: HTTPS, tls: {{certificateRefs: {certificates}{more}}}}}")
}

fn route_yaml(number: u8, shape: u8) -> String {
    let (parent, rules) = match shape {
        0 => ("{name: n0}", "- {name: r, backendRefs: [{name: n0}]}"),
        1 => (
            "{name: n1, sectionName: web}",
            "- backendRefs: [{name: n0, weight: 3}, {name: n1, weight: 0}]",
        ),
        2 => (
            "{name: n0}, {name: n1}",
            "- {name: r, matches: [{path: {value: /a}}], backendRefs: [{name: n2}]}\n  - {name: q}",
        ),
        3 => (
            "{name: n0, port: 80}",
            "- filters: [{type: RequestRedirect, requestRedirect: {hostname: o.example.com}}]",
        ),
        4 => (
            "{name: n2}",
            "- {backendRefs: [{name: n1}]}\n  - {backendRefs: [{name: n1}]}",
        ),
        5 => (
            "{name: n0}, {name: n1}",
            "- {name: r, backendRefs: [{name: n3, namespace: team}, {name: n1}]}",
        ),
        6 => (
            "{name: n1}",
            "- {name: r, filters: [{type: RequestMirror, requestMirror: {backendRef: {name: n3, namespace: team}}}], \
             backendRefs: [{name: n1}]}",
        ),
        _ => (
            "{name: n0}",
            "- {name: r, timeouts: {request: 3s}, backendRefs: [{name: n0, port: 80}]}",
        ),
    };
    let hosts = if shape.is_multiple_of(2) {
        "x.example.com"
    } else {
        "'*.example.com'"
    };
    format!(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: n{number}}}\nspec:\n  \
         parentRefs: [{parent}]\n  hostnames: [{hosts}]\n  rules:\n  {rules}\n"
    )
}

/// The last of them is in the other namespace.
fn backend_yaml(number: u8, shape: u8) -> String {
    let yaml = backend(&format!("n{number}"), &[&format!("10.0.0.{shape}")]);
    let with = |more: &str| yaml.replace("spec: {", &format!("spec: {{{more}, "));
    let yaml = match shape {
        2 => with("ports: [81]"),
        3 => with("tls: {hostname: a.b, caCertificateRefs: [{name: n1}]}"),
        4 => with("tls: {hostname: a.b, wellKnownCACertificates: System, clientCertificateRef: {name: n0}}"),
        _ => yaml,
    };
    match number {
        3 => in_namespace("team", &yaml),
        _ => yaml,
    }
}

/// The last of them is in the other namespace.
fn secret_yaml(number: u8, shape: u8) -> String {
    static PAIR: LazyLock<(String, String)> = LazyLock::new(|| pair(&["x.example.com"]));
    let (chain, key) = &*PAIR;
    let certificate = [("tls.crt", chain.as_str()), ("tls.key", key)];
    let name = format!("n{number}");
    let yaml = match shape {
        0 => secret(&name, "kubernetes.io/tls", &certificate),
        1 => secret(&name, "Opaque", &[("ca.crt", chain)]),
        _ => {
            let both = [&certificate[..], &[("ca.crt", chain)]].concat();
            secret(&name, "kubernetes.io/tls", &both)
        }
    };
    match number {
        2 => in_namespace("team", &yaml),
        _ => yaml,
    }
}

fn grant_yaml(number: u8, shape: u8) -> String {
    let (from, to) = match shape {
        0 => ("HTTPRoute", "{group: sluice.dev, kind: Backend}"),
        1 => ("Gateway", "{group: '', kind: Secret, name: n2}"),
        2 => ("HTTPRoute", "{group: '', kind: Service, name: n3}"),
        _ => ("Gateway", "{group: '', kind: Secret, name: other}"),
    };
    format!(
        "\napiVersion: gateway.networking.k8s.io/v1\nkind: ReferenceGrant\n\
         metadata: {{namespace: team, name: n{number}}}\nspec:\n  \
         from: [{{group: gateway.networking.k8s.io, kind: {from}, namespace: default}}]\n  to: [{to}]\n"
    )
}

fn tls_policy_yaml(number: u8, shape: u8) -> String {
    let (target, roots) = match shape {
        0 => (0, "wellKnownCACertificates: System"),
        1 => (0, "caCertificateRefs: [{name: n1}]"),
        2 => (1, "caCertificateRefs: [{name: n0}]"),
        _ => (1, "caCertificateRefs: [{name: n2, namespace: team}]"),
    };
    format!(
        "\napiVersion: gateway.networking.k8s.io/v1\nkind: BackendTLSPolicy\nmetadata: {{name: n{number}}}\nspec:\n  \
         targetRefs: [{{group: '', kind: Service, name: n{target}}}]\n  validation: {{hostname: n{number}.b, {roots}}}\n"
    )
}

fn traffic_policy_yaml(number: u8, shape: u8) -> String {
    let (target, limits) = match shape {
        0 => ("kind: Gateway, name: n0", "connections: 5, uriBytes: 10"),
        1 => ("kind: Gateway, name: n0, sectionName: http", "connections: 6"),
        2 => ("kind: HTTPRoute, name: n0", "requestBodyBytes: 7"),
        _ => ("kind: HTTPRoute, name: n0, sectionName: r", "requestBodyBytes: 8"),
    };
    format!(
        "\napiVersion: sluice.dev/v1\nkind: TrafficPolicy\nmetadata: {{name: n{number}}}\nspec:\n  \
         targetRefs: [{{{target}}}]\n  limits: {{{limits}}}\n"
    )
}

fn experiment_yaml(number: u8, shape: u8) -> String {
    let target = match shape {
        0 => "name: n0, sectionName: r",
        1 => "name: n0",
        2 => "name: n1, sectionName: r",
        3 => "name: n2, sectionName: q",
        _ => "name: n2",
    };
    let share = 10 * u32::from(shape + 1);
    format!(
        "apiVersion: sluice.dev/v1\nkind: Experiment\nmetadata: {{name: n{number}}}\nspec:\n  \
         targetRefs: [{{kind: HTTPRoute, {target}}}]\n  unit: {{clientIP: {{}}}}\n  variants:\n  \
         - {{name: a, share: {share}, backendRefs: [{{name: n0}}]}}\n  \
         - {{name: b, share: {}, backendRefs: [{{name: n{number}}}]}}\n",
        100 - share
    )
}

/// What most references of the changes lead to, and what refers to it.
fn populated() -> Site {
    let mut site = Site::empty();
    let mut all = vec![gateway_yaml(0, 3)];
    all.extend((0..3).map(|number| backend_yaml(number, 0)));
    all.extend([route_yaml(0, 0), experiment_yaml(0, 0)]);
    all.extend([secret_yaml(0, 2), secret_yaml(1, 1), secret_yaml(2, 0)]);
    all.extend([
        backend_yaml(3, 0),
        grant_yaml(0, 0),
        grant_yaml(1, 1),
        tls_policy_yaml(0, 1),
    ]);
    all.extend([gateway_yaml(1, 4), route_yaml(2, 5), traffic_policy_yaml(0, 0)]);
    site.apply(&all.join("---\n")).unwrap();
    site
}

/// The same resources compiled at once.
pub(super) fn from_scratch(world: &World) -> World {
    let intents = world
        .iter()
        .map(|intent| Change::Restore((**intent).clone()))
        .collect();
    World::empty(world.history())
        .change(intents, world.revision(), DanglingRefs::Warn)
        .unwrap()
        .world
}

fn assert_same(stepwise: &World, at_once: &World) {
    let text = |world: &World| {
        let mut all: Vec<_> = world
            .resources()
            .iter()
            .map(|one| (one.key.to_string(), one.body.clone()))
            .collect();
        all.sort();
        all
    };
    assert_eq!(text(stepwise), text(at_once));
    assert_eq!(stepwise.position(), at_once.position());
    for intent in stepwise.iter() {
        assert_eq!(stepwise.warnings(intent), at_once.warnings(intent));
    }
    assert_eq!(stepwise.emitted, at_once.emitted);
    assert_eq!(format!("{:?}", stepwise.index), format!("{:?}", at_once.index));
    assert_eq!(stepwise.references, at_once.references);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn step_by_step_comes_out_as_all_at_once(
        steps in prop::collection::vec((prop::collection::vec(change(), 1..4), any::<bool>()), 1..14),
    ) {
        let mut site = Site::empty();
        for (changes, warn) in steps {
            let dangling = if warn { DanglingRefs::Warn } else { DanglingRefs::Refuse };
            let before = site.world.position();
            if site.change(changes, dangling).is_err() {
                prop_assert_eq!(site.world.position(), before);
            }
            assert_same(&site.world, &from_scratch(&site.world));
        }
    }

    #[test]
    fn refusing_dangling_references_leaves_none(
        steps in prop::collection::vec(prop::collection::vec(change(), 1..6), 1..14),
    ) {
        let mut site = populated();
        for changes in steps {
            // Refused or not: what stands has no dangling reference.
            let _ = site.change(changes, DanglingRefs::Refuse);
            for intent in site.world.iter() {
                for warning in site.world.warnings(intent) {
                    prop_assert_ne!(warning.code, Code::Dangling, "{}", warning);
                    prop_assert_ne!(warning.code, Code::RefNotPermitted, "{}", warning);
                }
            }
        }
    }
}

#[test]
fn moving_an_endpoint_touches_no_route_and_no_config() {
    let mut site = Site::shop();
    let before = site.world.clone();
    site.apply(&backend("a", &["10.0.0.9"])).unwrap();
    let endpoints = "endpoints/default/a".to_owned();
    assert_eq!(site.sent_since(&before), (vec![endpoints], 0));
    let config = |world: &World| world.resources().digest(Class::Config);
    assert_eq!(config(&before), config(&site.world));
}

#[test]
fn a_weight_is_one_resource() {
    let mut site = Site::shop();
    let before = site.world.clone();
    site.apply(&SHOP.replace("weight: 9", "weight: 8")).unwrap();
    let (sent, _) = site.sent_since(&before);
    assert_eq!(sent.len(), 1);
    assert!(sent[0].starts_with("split/default/shop/_"));
}
