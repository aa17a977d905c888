//! What a change is warned of and refused for.

use sluice_model::{HistoryId, Violation};

use super::{A, B, ROOT, document, policy, put, route};
use crate::compile::World;
use crate::lint::{Author, judge};

/// What a change after `before` is answered with.
pub(super) fn judged(before: &[&str], documents: &[&str]) -> Result<Vec<String>, Vec<String>> {
    let before = put(World::empty(HistoryId([0; 16])), before).world;
    let changed = put(before.clone(), documents);
    let author = Author {
        may_be_refused: true,
        sees: &|_| true,
    };
    match judge(&before, changed, author) {
        Ok(changed) => Ok(told(changed.warnings)),
        Err(refused) => Err(told(refused)),
    }
}

/// `code resource field` of each.
pub(super) fn told(all: Vec<Violation>) -> Vec<String> {
    let line = |one: Violation| format!("{} {} {}", one.code, one.resource, one.field);
    all.into_iter().map(line).collect()
}

#[test]
fn a_change_is_warned_of_what_it_touches_and_refused_for_what_it_brings_about() {
    let first = route("default", "r", "shop.x", &[(ROOT, A)]);
    let twin = route("default", "s", "shop.x", &[(ROOT, B)]);
    let duplicate = || vec!["duplicate HTTPRoute/default/s spec.rules[0].matches[0]".to_owned()];
    assert_eq!(judged(&["a", "b", &first], &[&twin]), Ok(duplicate()));
    assert_eq!(
        judged(&["a", "b", &first, &twin], &["c"]),
        Ok(vec!["unused Backend/default/c ".to_owned()]),
        "not of what was there before"
    );
    let strict = policy("default", "duplicate: error, unused: error");
    assert_eq!(judged(&["a", "b", &first, &strict], &[&twin]), Err(duplicate()));
    // The other one is touched: it was so before.
    let wider = first.replace("{name: a}", "{name: a}, {name: b}");
    assert_eq!(
        judged(&["a", "b", &first, &twin, &strict], &[&wider]),
        Ok(duplicate())
    );
    let off = policy("default", "duplicate: off");
    assert_eq!(judged(&["a", "b", &first, &off], &[&twin]), Ok(vec![]));
    let empty = twin
        .replace("{name: b}", "{name: b, weight: 0}")
        .replace("shop.x", "other.x");
    assert_eq!(
        judged(&["a", "b", &first], &[&empty]),
        Ok(vec![
            "emptySplit HTTPRoute/default/s spec.rules[0].backendRefs".to_owned()
        ])
    );
}

#[test]
fn whoever_is_captured_from_may_ask_for_more_than_the_one_that_captures() {
    let general = route("default", "r", "shop.x", &[(ROOT, A)]);
    let narrow = route(
        "team",
        "s",
        "shop.x",
        &[("{path: {value: /pay}}", "{name: a, weight: 1}")],
    );
    let backend = document("a").replace("{name: a}", "{name: a, namespace: team}");
    let of = |policies: &[&str]| {
        let before = [&["a", &*backend, &*general][..], policies].concat();
        judged(&before, &[&narrow])
    };
    let capture = || vec!["capture HTTPRoute/team/s spec.rules[0].matches[0]".to_owned()];
    assert_eq!(of(&[]), Ok(capture()));
    let [off, error] = ["off", "error"].map(|severity| format!("capture: {severity}"));
    assert_eq!(of(&[&policy("team", &off)]), Ok(vec![]));
    assert_eq!(
        of(&[&policy("default", &error), &policy("team", &off)]),
        Err(capture())
    );
    assert_eq!(
        of(&[&policy("default", &off)]),
        Ok(capture()),
        "others cannot ask for less"
    );
}

#[test]
fn a_second_clash_of_the_same_two_is_refused_and_the_first_is_known_wherever_it_moves() {
    let [one, other] = ["{path: {value: /a}}", "{path: {value: /b}}"];
    let first = route("default", "r", "shop.x", &[(one, A), (other, A)]);
    let twin = route("default", "s", "shop.x", &[(one, B)]);
    let strict = policy("default", "duplicate: error");
    let before = ["a", "b", &*first, &twin, &strict];
    let line =
        |rule: usize, at: usize| format!("duplicate HTTPRoute/default/s spec.rules[{rule}].matches[{at}]");
    let both = twin.replace("{path: {value: /a}}", "{path: {value: /a}}, {path: {value: /b}}");
    assert_eq!(judged(&before, &[&both]), Err(vec![line(0, 1)]));
    let rules = route("default", "s", "shop.x", &[(one, B), (other, B)]);
    assert_eq!(judged(&before, &[&rules]), Err(vec![line(1, 0)]));
    let moved = route("default", "s", "shop.x", &[("{path: {value: /c}}", B), (one, B)]);
    assert_eq!(
        judged(&before, &[&moved]),
        Ok(vec![line(1, 0)]),
        "it was so before"
    );
    let instead = route("default", "s", "shop.x", &[(other, B)]);
    assert_eq!(judged(&before, &[&instead]), Err(vec![line(0, 0)]), "another one");
}

#[test]
fn a_split_that_comes_to_nothing_instead_of_another_is_refused() {
    let of = |weights: [u32; 2]| {
        let [one, other] = weights.map(|weight| format!("{{name: a, weight: {weight}}}"));
        let rules = [("{path: {value: /a}}", &*one), ("{path: {value: /b}}", &*other)];
        route("default", "r", "shop.x", &rules)
    };
    let strict = policy("default", "emptySplit: error");
    let before = ["a", &of([0, 1]), &strict];
    let line = |at: usize| format!("emptySplit HTTPRoute/default/r spec.rules[{at}].backendRefs");
    assert_eq!(judged(&before, &[&of([1, 0])]), Err(vec![line(1)]));
    assert_eq!(judged(&before, &[&of([0, 2])]), Ok(vec![line(0)]));
}
