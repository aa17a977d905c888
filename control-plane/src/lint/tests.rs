//! Every rule: where it speaks, and where it is silent next to it.

mod around;
mod change;
mod cost;
mod crowded;

use std::time::Duration;

use sluice_intent::{Format, LintRule, Resource, parse};
use sluice_model::{HistoryId, Revision};

use super::*;
use crate::compile::Changed;
use crate::compile::tests::certificates::certificate;

const EDGE: &str = "
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  gatewayClassName: sluice
  listeners: [{name: http, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: All}}}]
";

/// The Gateway, and these documents: a name stands for a Backend.
fn site(documents: &[&str]) -> Vec<Resource> {
    let yaml: Vec<String> = documents.iter().map(|one| document(one)).collect();
    let yaml = format!("{EDGE}---{}", yaml.join("---"));
    parse(yaml.as_bytes(), Format::Yaml, "default").unwrap_or_else(|told| panic!("{yaml}: {told:#?}"))
}

fn document(text: &str) -> String {
    match text.contains(':') {
        true => text.to_owned(),
        false => format!(
            "\napiVersion: sluice.dev/v1\nkind: Backend\nmetadata: {{name: {text}}}\n\
             spec: {{endpoints: [{{address: 10.0.0.1, port: 80}}]}}\n"
        ),
    }
}

/// A route in `namespace` for `host`; each rule has a match as it is written, and backendRefs.
fn route(namespace: &str, name: &str, host: &str, rules: &[(&str, &str)]) -> String {
    let rules = rules
        .iter()
        .map(|(wanted, refs)| format!("  - {{matches: [{wanted}], backendRefs: [{refs}]}}\n"));
    let rules: String = rules.collect();
    format!(
        "\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: {name}, namespace: {namespace}}}\n\
         spec:\n  parentRefs: [{{name: edge, namespace: default}}]\n  hostnames: [{host}]\n  rules:\n{rules}"
    )
}

fn policy(namespace: &str, rules: &str) -> String {
    format!(
        "\napiVersion: sluice.dev/v1\nkind: LintPolicy\nmetadata: {{name: p, namespace: {namespace}}}\n\
         spec: {{rules: {{{rules}}}}}\n"
    )
}

const A: &str = "{name: a}";
const B: &str = "{name: b}";
const ROOT: &str = "{path: {value: /}}";

/// `severity code resource field` of all that is found.
fn said(documents: &[&str]) -> Vec<String> {
    let report = lint(site(documents), Duration::ZERO);
    assert_eq!(report.notes, [""; 0]);
    report.items.iter().map(line).collect()
}

fn line(one: &Lint) -> String {
    let severity = match one.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    format!("{severity} {} {} {}", one.code, one.resource, one.field)
}

fn items(documents: &[&str]) -> Vec<Lint> {
    lint(site(documents), Duration::ZERO).items
}

#[test]
fn a_match_behind_another_is_shadowed_and_one_beside_it_is_not() {
    let shadowed = route(
        "default",
        "r",
        "shop.x",
        &[
            ("{method: GET}, {path: {value: /}}", A),
            ("{path: {value: /a, type: RegularExpression}}", B),
        ],
    );
    let found = items(&["a", "b", &shadowed]);
    let lines: Vec<_> = found.iter().map(line).collect();
    assert_eq!(
        lines,
        ["warning shadowed HTTPRoute/default/r spec.rules[1].matches[0]"]
    );
    let other = found[0].other.as_ref().unwrap();
    assert_eq!(other.field, "spec.rules[0].matches[1]");
    assert_eq!(found[0].witness.as_ref().unwrap().url(), "http://shop.x/a");
    assert!(
        found[0].text().ends_with("(POST http://shop.x/a)"),
        "{}",
        found[0].text()
    );
    let beside = shadowed
        .replace("{path: {value: /}}", "{path: {value: /b}}")
        .replace("{method: GET}", "{path: {value: /c}, method: GET}");
    assert_eq!(said(&["a", "b", &beside]), [""; 0]);
}

#[test]
fn what_no_request_is_like_is_unmatchable() {
    let of = |wanted: &str| said(&["a", &route("default", "r", "shop.x", &[(wanted, A)])]);
    let unmatchable = ["warning unmatchable HTTPRoute/default/r spec.rules[0].matches[0]"];
    assert_eq!(
        of("{path: {value: 'a/.*', type: RegularExpression}}"),
        unmatchable
    );
    assert_eq!(
        of("{headers: [{name: x, value: '[^\\s\\S]', type: RegularExpression}]}"),
        unmatchable
    );
    assert_eq!(of("{path: {value: '/a/.*', type: RegularExpression}}"), [""; 0]);
    assert_eq!(
        of("{headers: [{name: x, value: '[\\s\\S]', type: RegularExpression}]}"),
        [""; 0]
    );
}

#[test]
fn the_same_match_twice_is_a_duplicate_of_the_one_that_wins_also_across_routes() {
    let of = |host: &str| {
        let first = route("default", "r", "shop.x", &[("{path: {value: /a}}", A)]);
        let second = route("default", "s", host, &[("{path: {value: /a/}}", B)]);
        said(&["a", "b", &first, &second])
    };
    assert_eq!(
        of("shop.x"),
        ["warning duplicate HTTPRoute/default/s spec.rules[0].matches[0]"]
    );
    assert_eq!(of("other.x"), [""; 0]);
}

#[test]
fn rules_that_only_precedence_tells_apart_overlap_and_plain_exceptions_do_not() {
    let of = |one: &str, other: &str| {
        let routes = [("r", one, A), ("s", other, B)]
            .map(|(name, wanted, to)| route("default", name, "shop.x", &[(wanted, to)]));
        items(&["a", "b", &routes[0], &routes[1]])
    };
    let header = "{headers: [{name: x-beta, value: '1'}]}";
    let found = of("{method: POST}", header);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(
        line(&found[0]),
        "warning overlap HTTPRoute/default/s spec.rules[0].matches[0]"
    );
    assert!(
        found[0].message.contains("because it names a method"),
        "{}",
        found[0].message
    );
    assert!(
        found[0].text().ends_with("(POST http://shop.x/ -H 'x-beta: 1')"),
        "{}",
        found[0].text()
    );
    assert_eq!(of(ROOT, header), []);
    assert_eq!(of("{path: {value: /a}}", "{path: {value: /a/b}}"), []);
    assert_eq!(of("{method: POST}", "{method: GET}"), []);
}

#[test]
fn a_capture_is_said_of_the_one_that_takes_and_a_team_of_its_own_takes_nothing() {
    let of = |namespace: &str, host: &str| {
        let general = route("default", "r", "'*.x'", &[(ROOT, A)]);
        let narrow = route(namespace, "s", host, &[("{path: {value: /pay}}", "{name: b}")]);
        let backend = document("b").replace("{name: b}", &format!("{{name: b, namespace: {namespace}}}"));
        items(&["a", &backend, &general, &narrow])
    };
    let found = of("team", "shop.x");
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(
        line(&found[0]),
        "warning capture HTTPRoute/team/s spec.rules[0].matches[0]"
    );
    assert_eq!(found[0].other.as_ref().unwrap().resource, "HTTPRoute/default/r");
    assert_eq!(found[0].witness.as_ref().unwrap().url(), "http://shop.x/pay");
    assert_eq!(of("default", "shop.x"), []);
    assert_eq!(of("team", "shop.y"), []);
}

#[test]
fn splits_that_sum_to_nothing_are_told_with_a_request_that_is_answered_500() {
    let of = |refs: &str| {
        items(&[
            "a",
            "b",
            &route("default", "r", "shop.x", &[("{path: {value: /a}}", refs)]),
            &route("default", "s", "other.x", &[(ROOT, "{name: a}, {name: b}")]),
        ])
    };
    let found = of("{name: a, weight: 0}, {name: b, weight: 0}");
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(
        line(&found[0]),
        "warning emptySplit HTTPRoute/default/r spec.rules[0].backendRefs"
    );
    assert_eq!(found[0].witness.as_ref().unwrap().url(), "http://shop.x/a");
    assert_eq!(of("{name: a, weight: 0}, {name: b}"), []);
    assert_eq!(of("").len(), 1);
    let redirect = route("default", "r", "shop.x", &[(ROOT, "")]).replace(
        "backendRefs: []",
        "filters: [{type: RequestRedirect, requestRedirect: {hostname: y.x}}]",
    );
    assert_eq!(said(&[&redirect]), [""; 0]);
    let changed = put(
        World::empty(HistoryId([0; 16])),
        &[
            "b",
            &route(
                "default",
                "r",
                "shop.x",
                &[(ROOT, A), ("{method: GET}", "{name: a}, {name: b}")],
            ),
        ],
    );
    let codes: Vec<_> = lint_world(&changed.world)
        .items
        .into_iter()
        .map(|one| format!("{} {}", one.code, one.field))
        .collect();
    assert_eq!(
        codes,
        [
            "emptySplit spec.rules[0].backendRefs",
            "dangling spec.rules[0].backendRefs[0].name",
            "dangling spec.rules[1].backendRefs[0].name"
        ]
    );
}

#[test]
fn what_is_there_for_nothing_is_told() {
    let used = route("default", "r", "shop.x", &[(ROOT, A)]);
    assert_eq!(said(&["a", "b", &used]), ["warning unused Backend/default/b "]);
    assert_eq!(said(&["a", &used]), [""; 0]);
    let second = EDGE
        .replace("name: edge", "name: second")
        .replace("port: 80", "port: 81");
    assert_eq!(
        said(&["a", &used, &second]),
        ["warning noRoutes Gateway/default/second "]
    );
    let lost = used.replace("parentRefs: [{name: edge, namespace: default}]", "parentRefs: []");
    let found = said(&["a", &lost]);
    assert!(
        found.contains(&"warning unattached HTTPRoute/default/r spec.parentRefs".to_owned()),
        "{found:?}"
    );
    assert_eq!(
        found.len(),
        2,
        "and the Gateway has no route; nothing is said of matches: {found:?}"
    );
}

#[test]
fn a_hostname_of_a_route_that_no_certificate_of_its_listener_has_is_told() {
    let edge = EDGE.replace(
        "{name: http, port: 80, protocol: HTTP,",
        "{name: https, port: 443, protocol: HTTPS, hostname: '*.x.com', tls: {certificateRefs: [{name: web}]},",
    );
    let of = |host: &str| {
        let route = route("default", "r", &format!("a.x.com, {host}"), &[(ROOT, A)]);
        let all = [
            edge.clone(),
            certificate("web", &["*.x.com"]),
            document("a"),
            route,
        ]
        .join("---");
        let resources = parse(all.as_bytes(), Format::Yaml, "default").unwrap();
        let now = Duration::from_secs(1_000_000_000);
        lint(resources, now).items.iter().map(line).collect::<Vec<_>>()
    };
    assert_eq!(of("b.x.com"), [""; 0]);
    let deeper = ["warning uncovered HTTPRoute/default/r spec.hostnames[1]"];
    assert_eq!(
        of("b.a.x.com"),
        deeper,
        "a wildcard of a certificate is for one label"
    );
}

#[test]
fn a_rule_is_unreached_only_if_it_is_in_every_view_that_has_it() {
    let gateway = |name: &str, selector: &str| {
        EDGE.replace(
            "{name: edge}",
            &format!("{{name: {name}, annotations: {{sluice.dev/proxy-selector: {selector}}}}}"),
        )
    };
    let (east, west) = (gateway("east", "zone=east"), gateway("west", "zone=west"));
    let both = |rule: &str, name: &str, parents: &str| {
        route("default", name, "shop.x", &[(rule, A)]).replace("{name: edge, namespace: default}", parents)
    };
    let first = both(ROOT, "a", "{name: east}");
    let regex = "{path: {value: /v, type: RegularExpression}}";
    let of = |parents: &str| {
        let all = [
            EDGE.replace("port: 80", "port: 90"),
            document("a"),
            east.clone(),
            west.clone(),
            first.clone(),
            both(regex, "z", parents),
            route("default", "own", "o.x", &[(ROOT, A)]),
            both(ROOT, "w", "{name: west}").replace("shop.x", "west.x"),
        ];
        let all = all.join("---");
        let resources = parse(all.as_bytes(), Format::Yaml, "default").unwrap();
        let found = lint(resources, Duration::ZERO).items;
        found.iter().map(line).collect::<Vec<_>>()
    };
    assert_eq!(
        of("{name: east}"),
        ["warning shadowed HTTPRoute/default/z spec.rules[0].matches[0]"]
    );
    assert_eq!(of("{name: east}, {name: west}"), [""; 0], "west reaches it");
}

/// The world after these documents, references to nothing let pass.
fn put(before: World, documents: &[&str]) -> Changed {
    let changes = site(documents).into_iter().map(Change::Put).collect();
    let revision = Revision(before.revision().0 + 1);
    before.change(changes, revision, DanglingRefs::Warn).unwrap()
}

#[test]
fn a_policy_holds_in_its_namespace_and_what_is_wrong_stays_an_error() {
    let twin = |namespace: &str| {
        let all = ["r", "s"].map(|name| route(namespace, name, "shop.x", &[(ROOT, "{name: a}")]));
        all.join("---")
    };
    let backend = document("a").replace("{name: a}", "{name: a, namespace: team}");
    let of = |rules: &str| {
        said(&[
            "a",
            &backend,
            &twin("team"),
            &policy("team", rules),
            &route("default", "o", "o.x", &[(ROOT, A)]),
        ])
    };
    let line = "duplicate HTTPRoute/team/s spec.rules[0].matches[0]";
    assert_eq!(of("shadowed: off"), [format!("warning {line}")]);
    assert_eq!(of("duplicate: error"), [format!("error {line}")]);
    assert_eq!(of("duplicate: off"), [""; 0]);
    let dangling = route("default", "r", "shop.x", &[(ROOT, "{name: nobody}")]);
    let found = said(&[&dangling, &policy("default", "dangling: off")]);
    assert_eq!(
        found,
        ["error dangling HTTPRoute/default/r spec.rules[0].backendRefs[0].name"]
    );
}

#[test]
fn the_table_of_rules_has_each_with_its_severity() {
    let all = rules();
    assert_eq!(all.len(), LintRule::ALL.len());
    assert!(
        all.iter()
            .all(|rule| rule.severity == "warning" && !rule.summary.is_empty())
    );
}
