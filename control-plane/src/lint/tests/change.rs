//! What a change is warned of and refused for.

use sluice_model::{HistoryId, Violation};

use super::{A, B, ROOT, document, policy, put, route};
use crate::compile::World;
use crate::lint::judge;

/// What a change after `before` is answered with.
fn judged(before: &[&str], documents: &[&str]) -> Result<Vec<String>, Vec<String>> {
    let before = put(World::empty(HistoryId([0; 16])), before).world;
    let changed = put(before.clone(), documents);
    let told = |all: Vec<Violation>| {
        all.iter()
            .map(|one| format!("{} {} {}", one.code, one.resource, one.field))
            .collect()
    };
    match judge(&before, changed, true) {
        Ok(changed) => Ok(told(changed.warnings)),
        Err(refused) => Err(told(refused)),
    }
}

#[test]
fn a_change_is_warned_of_what_it_touches_and_refused_for_what_it_brings_about() {
    let first = route("default", "r", "shop.x", &[(ROOT, A)]);
    let twin = route("default", "s", "shop.x", &[(ROOT, B)]);
    let duplicate = || vec!["duplicate HTTPRoute/default/s spec.rules[0].matches[0]".to_owned()];
    assert_eq!(judged(&["a", "b", &first], &[&twin]), Ok(duplicate()));
    assert_eq!(
        judged(&["a", "b", &first, &twin], &["c"]),
        Ok(vec![]),
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
