//! What is refused where there is more in the world than is looked at.

use sluice_model::HistoryId;

use super::change::judged;
use super::{A, EDGE, ROOT, document, policy, put, route};
use crate::compile::World;

const STRICT: &str = "capture: error, emptySplit: error";

const CAPTURE: &str = "capture HTTPRoute/team/c spec.rules[0].matches[0]";

fn of_team(name: &str) -> String {
    document(name).replace(
        &format!("{{name: {name}}}"),
        &format!("{{name: {name}, namespace: team}}"),
    )
}

/// A route of the team that takes `/pay` of `shop.x`.
fn taker() -> String {
    route("team", "c", "shop.x", &[("{path: {value: /pay}}", A)])
}

fn refused(line: &str) -> Result<Vec<String>, Vec<String>> {
    Err(vec![line.to_owned()])
}

/// A Gateway for each of so many kinds of proxies.
fn gateways(count: usize) -> Vec<String> {
    let gateway = |at: usize| {
        let named = format!("{{name: g{at}, annotations: {{sluice.dev/proxy-selector: zone=z{at}}}}}");
        EDGE.replace("{name: edge}", &named)
            .replace("port: 80,", "port: 81,")
    };
    (0..count).map(gateway).collect()
}

#[test]
fn more_views_than_are_looked_at_switch_off_no_refusal() {
    let gateways = gateways(17);
    let (backend, general) = (of_team("a"), route("default", "r", "shop.x", &[(ROOT, A)]));
    let strict = policy("default", STRICT);
    let mut before = vec!["a", &*backend, &*general, &*strict];
    before.extend(gateways.iter().map(String::as_str));
    let world = put(World::empty(HistoryId([0; 16])), &before).world;
    assert_eq!(world.views().count(), 18);
    assert_eq!(judged(&before, &[&taker()]), refused(CAPTURE));
    let empty = route("default", "e", "other.x", &[(ROOT, "{name: a, weight: 0}")]);
    assert_eq!(
        judged(&before, &[&empty]),
        refused("emptySplit HTTPRoute/default/e spec.rules[0].backendRefs")
    );
    // What was there refuses nothing here, either: it is known in the same views.
    let taker = taker();
    before.push(&taker);
    let touched = taker.replace("{name: a}", "{name: a, weight: 2}");
    let told = judged(&before, &[&touched]).unwrap();
    assert!(told.contains(&CAPTURE.to_owned()), "{told:?}");
}

#[test]
fn a_crowd_elsewhere_switches_off_no_refusal() {
    let wanted = |at: usize| format!("{{path: {{value: /d}}, headers: [{{name: x, value: '{at}'}}]}}");
    let member = |number: usize| {
        let rules: Vec<String> = (0..16).map(|at| wanted(number * 16 + at)).collect();
        let rules: Vec<_> = rules.iter().map(|rule| (&**rule, A)).collect();
        route("team", &format!("s{number}"), "dense.x", &rules)
    };
    let crowd: Vec<String> = (0..33).map(member).collect();
    // One of them once more, so that it is doubted whether that was so before.
    let twin = route("team", "z", "dense.x", &[(&wanted(0), A)]);
    let touched = twin.replace("{name: a}", "{name: a, weight: 2}");
    let (backend, general) = (of_team("a"), route("default", "r", "shop.x", &[(ROOT, A)]));
    let (strict, own) = (policy("default", STRICT), policy("team", "duplicate: error"));
    let mut before = vec!["a", &*backend, &*general, &*strict, &*own, &*twin];
    before.extend(crowd.iter().map(String::as_str));
    assert_eq!(judged(&before, &[&taker(), &touched]), refused(CAPTURE));
    // At the same hostnames, and in one rule with what stands in the crowd.
    let within = |host: &str| {
        let both = format!("{}, {{path: {{value: /pay}}}}", wanted(0));
        route("team", "c", host, &[(&both, A)])
    };
    let own = within("dense.x");
    before.push(&own);
    let line = "capture HTTPRoute/team/c spec.rules[0].matches[1]";
    let both = within("dense.x, shop.x");
    let told = judged(&before, &[&both]);
    assert!(
        told.as_ref().is_err_and(|lines| lines.contains(&line.to_owned())),
        "{told:?}"
    );
}

#[test]
fn a_crowd_in_the_same_write_uses_up_the_budget_and_switches_off_no_refusal() {
    let hard = |at: usize| format!("{{path: {{type: RegularExpression, value: '/.*a[a-z]{{6}}{at}'}}}}");
    let member = |number: usize| {
        let rules: Vec<String> = (0..16).map(|at| hard(number * 16 + at)).collect();
        let rules: Vec<_> = rules.iter().map(|rule| (&**rule, A)).collect();
        route("team", &format!("s{number}"), "dense.x", &rules)
    };
    let crowd: Vec<String> = (0..6).map(member).collect();
    let (backend, general) = (of_team("a"), route("default", "r", "shop.x", &[(ROOT, A)]));
    let empty = route("default", "e", "other.x", &[(ROOT, "{name: a, weight: 0}")]);
    let taker = taker();
    let mut written: Vec<&str> = vec![&*taker, &empty];
    written.extend(crowd.iter().map(String::as_str));
    let before = ["a", &*backend, &*general];
    let told = judged(&before, &written).unwrap();
    assert!(told.iter().any(|line| line.starts_with("unjudged ")), "{told:?}");
    assert_eq!(judged(&before, &written), Ok(told), "the same each time");
    let strict = policy("default", STRICT);
    let before = ["a", &*backend, &*general, &*strict];
    let mut refused = judged(&before, &written).unwrap_err();
    refused.sort_unstable();
    assert_eq!(
        refused,
        [
            CAPTURE,
            "emptySplit HTTPRoute/default/e spec.rules[0].backendRefs"
        ]
    );
}
