//! Every near miss, against a reference that asks every predicate of every rule.

use std::collections::BTreeSet;

use proptest::prelude::*;
use sluice_core::{CompiledRule, Explanation, NearMiss, Snapshot, Unmet};
use sluice_model::{Key, PathMatch};

use crate::{
    CLIENT,
    world::{Request, full, request, world},
};

/// The first predicate of a match that does not hold, asked one by one.
fn first_unmet(
    snapshot: &Snapshot,
    request: &Request,
    listener: Option<&Key>,
    rule: &str,
    at: usize,
) -> &'static str {
    let rules: Vec<_> = snapshot
        .rules()
        .filter(|one| one.rule.key.as_str() == rule)
        .collect();
    let attachments = &rules[0].route.attachments;
    let here: Vec<_> = attachments
        .iter()
        .filter(|to| Some(&to.listener) == listener)
        .collect();
    if here.is_empty() {
        return "listener";
    }
    if !here
        .iter()
        .flat_map(|to| &to.hostnames)
        .any(|name| name.matches(request.host))
    {
        return "host";
    }
    let one = &rules[0].rule.matches[at];
    let is_on_path = match &one.path {
        PathMatch::Exact(path) => **path == *request.path,
        PathMatch::Prefix(prefix) => format!("{}/", request.path).starts_with(&format!("{prefix}/")),
        PathMatch::Regex(regex) => regex.is_match(&request.path),
    };
    if !is_on_path {
        return "path";
    }
    match request.view().unmet(one) {
        Some(Unmet::Method(_)) => "method",
        Some(Unmet::Header(_)) => "header",
        Some(Unmet::Query(_)) => "query",
        None => "precedence",
    }
}

/// Every match of a hostname that takes the request on `listener`.
fn reachable(snapshot: &Snapshot, request: &Request, listener: Option<&Key>) -> BTreeSet<(String, usize)> {
    let takes = |rule: &CompiledRule| {
        let here = rule
            .route
            .attachments
            .iter()
            .filter(|to| Some(&to.listener) == listener);
        here.flat_map(|to| &to.hostnames)
            .any(|name| name.matches(request.host))
    };
    let rules = snapshot.rules().filter(|rule| takes(rule));
    rules
        .flat_map(|rule| (0..rule.rule.matches.len()).map(|at| (rule.rule.key.to_string(), at)))
        .collect()
}

fn rule_of(explained: &Explanation) -> Option<(String, usize)> {
    let decision = serde_json::to_value(&explained.decision).unwrap();
    let key = decision["rule"]["key"].as_str()?.to_owned();
    let at = decision["rule"]["matchIndex"].as_u64().unwrap();
    Some((key, at as usize))
}

/// What near misses failed by, those that came closest first.
const ORDER: [&str; 7] = [
    "precedence",
    "query",
    "header",
    "method",
    "path",
    "host",
    "listener",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_decision_is_that_of_the_table_and_every_near_miss_failed_where_it_is_said_to(
        world in world(), requests in prop::collection::vec(request(), 20),
    ) {
        let snapshot = full(&world.resources(), 1);
        for request in requests.iter().filter(|request| request.port != 82) {
            let explained = snapshot.explain(Some(request.port), &request.view(), CLIENT, 0);
            let matched = snapshot.route(request.port, &request.view());
            let won = matched.map(|won| (won.rule.rule.key.to_string(), won.match_index));
            prop_assert_eq!(rule_of(&explained), won.clone(), "{:?}", request);
            let listener = snapshot.listener_for(request.port, request.host).map(|one| &one.key);
            let mut told = BTreeSet::new();
            for miss in &explained.near_misses {
                let failed = first_unmet(&snapshot, request, listener, &miss.rule, miss.match_index);
                prop_assert_eq!(miss.lost_by, failed, "{:?} {:?}", miss, request);
                prop_assert_eq!(miss.precedence.is_some(), failed == "precedence");
                let is_new = told.insert((miss.rule.clone(), miss.match_index));
                prop_assert!(is_new, "{:?} is told twice", miss);
            }
            let distance = |miss: &NearMiss| ORDER.iter().position(|name| *name == miss.lost_by);
            prop_assert!(explained.near_misses.is_sorted_by_key(distance), "{:?}", explained.near_misses);
            let is_told = |one: &(String, usize)| told.contains(one) || Some(one) == won.as_ref();
            let missed: Vec<_> = reachable(&snapshot, request, listener).into_iter().filter(|one| !is_told(one)).collect();
            prop_assert!(missed.is_empty(), "{:?} of {:?} {:?}", missed, request, world);
            prop_assert_eq!(explained.near_miss_count, told.len());
            prop_assert!(explained.is_complete);
        }
    }

    #[test]
    fn a_match_that_lost_by_precedence_wins_when_the_winner_goes_before_it_no_more(
        world in world(), requests in prop::collection::vec(request(), 20),
    ) {
        let snapshot = full(&world.resources(), 1);
        for request in requests.iter().filter(|request| request.port != 82) {
            let explained = snapshot.explain(Some(request.port), &request.view(), CLIENT, 0);
            let losers = explained.near_misses.iter().filter(|miss| miss.lost_by == "precedence").count();
            // Without the winner's rule somebody else takes it exactly if a match of another rule lost so.
            let Some((winner, _)) = rule_of(&explained) else {
                prop_assert_eq!(losers, 0);
                continue;
            };
            let others = explained.near_misses.iter().filter(|miss| miss.lost_by == "precedence" && miss.rule != winner);
            let heirs: BTreeSet<_> = others.map(|miss| (miss.rule.clone(), miss.match_index)).collect();
            let mut less = world.clone();
            less.rules.retain(|(route, rule), _| format!("rule/default/r{route}/{rule}") != winner);
            let less = full(&less.resources(), 2);
            let heir = less.route(request.port, &request.view());
            let heir = heir.map(|won| (won.rule.rule.key.to_string(), won.match_index));
            prop_assert_eq!(heir.is_some(), !heirs.is_empty());
            prop_assert!(heir.is_none_or(|heir| heirs.contains(&heir)));
        }
    }
}
