use std::collections::BTreeMap;

use serde_json::Value;

use super::super::Intent;
use super::*;

fn experiment(name: &str, target: &str, shares: &[(&str, f64, &str)]) -> String {
    let variant = |(name, share, backend): &(&str, f64, &str)| {
        format!("  - {{name: {name}, share: {share}, backendRefs: [{{name: {backend}}}]}}\n")
    };
    let variants: String = shares.iter().map(variant).collect();
    format!(
        "\napiVersion: sluice.dev/v1\nkind: Experiment\nmetadata: {{name: {name}}}\nspec:\n  \
         targetRefs: [{{kind: HTTPRoute, name: shop{target}}}]\n  unit: {{cookie: uid}}\n  variants:\n{variants}"
    )
}

fn two(share: f64) -> String {
    experiment(
        "exp",
        ", sectionName: pay",
        &[("old", 100.0 - share, "a"), ("new", share, "b")],
    )
}

fn runs(site: &Site) -> Vec<u32> {
    site.body::<v1::Experiment>("experiment/default/exp").slot_runs
}

#[test]
fn an_experiment_takes_over_the_named_rule_and_gives_it_back() {
    let mut site = Site::shop();
    site.apply(&two(10.0)).unwrap();
    assert_eq!(
        site.rule("rule/default/shop/pay").target,
        "experiment/default/exp"
    );
    assert!(!site.keys().contains(&"split/default/shop/pay".to_owned()));
    assert_eq!(runs(&site), [9000, 0, 1000, 1]);
    site.change(delete("Experiment/default/exp"), DanglingRefs::Refuse)
        .unwrap();
    assert_eq!(
        site.rule("rule/default/shop/pay").target,
        "split/default/shop/pay"
    );
}

#[test]
fn shares_move_the_fewest_slots_and_the_salt_stays() {
    let mut site = Site::shop();
    site.apply(&two(10.0)).unwrap();
    let salt = |site: &Site| site.body::<v1::Experiment>("experiment/default/exp").salt;
    let first = (runs(&site), salt(&site));
    site.apply(&two(25.0)).unwrap();
    assert_eq!(runs(&site), [7500, 0, 2500, 1]);
    site.apply(&two(10.0)).unwrap();
    assert_eq!((runs(&site), salt(&site)), first);
}

#[test]
fn the_slot_table_is_stored_and_a_restored_one_is_not_dealt_again() {
    let mut site = Site::shop();
    let three =
        |a: f64, b: f64, c: f64| experiment("exp", "", &[("x", a, "a"), ("y", b, "b"), ("z", c, "a")]);
    site.apply(&three(40.0, 30.0, 30.0)).unwrap();
    site.apply(&three(20.0, 50.0, 30.0)).unwrap();
    let intent = |site: &Site| {
        site.world
            .get(&"Experiment/default/exp".parse().unwrap())
            .unwrap()
            .clone()
    };
    let past = intent(&site);
    let table = runs(&site);
    site.apply(&three(34.0, 33.0, 33.0)).unwrap();
    site.apply(&three(40.0, 20.0, 40.0)).unwrap();
    let stored = past.to_stored();
    let stored = Intent::from_stored(&stored.manifest, None, past.created, past.revision).unwrap();
    assert_eq!(stored, *past);
    site.change(vec![Change::Restore(stored)], DanglingRefs::Refuse)
        .unwrap();
    assert_eq!(runs(&site), table);
    assert_eq!(intent(&site).created, past.created);
}

#[test]
fn two_experiments_on_one_rule_are_in_conflict_and_on_two_rules_are_not() {
    let mut site = Site::shop();
    site.apply(&(SHOP.to_owned() + "  - {name: other, backendRefs: [{name: b}]}\n"))
        .unwrap();
    site.apply(&two(10.0)).unwrap();
    let other = |target| experiment("other", target, &[("only", 100.0, "a")]);
    for target in ["", ", sectionName: pay"] {
        let violations = site
            .attempt(puts(&other(target)), DanglingRefs::Warn)
            .unwrap_err();
        let field = "spec.targetRefs[0]";
        assert!(
            told(&violations).contains(&("Experiment/default/other", field, "conflict")),
            "{target}"
        );
    }
    site.apply(&other(", sectionName: other")).unwrap();
    assert_eq!(
        site.rule("rule/default/shop/other").target,
        "experiment/default/other"
    );
}

#[test]
fn a_target_has_to_exist_with_its_rule() {
    let site = Site::shop();
    for (target, field) in [(", sectionName: none", "sectionName"), ("2", "name")] {
        let wrong = experiment("exp", target, &[("only", 100.0, "a")]);
        let violations = site.attempt(puts(&wrong), DanglingRefs::Refuse).unwrap_err();
        let field = format!("spec.targetRefs[0].{field}");
        assert_eq!(
            told(&violations),
            [("Experiment/default/exp", &*field, "dangling")]
        );
    }
}

#[test]
fn slot_tables_of_stored_manifests_have_to_fit() {
    let mut site = Site::shop();
    site.apply(&two(10.0)).unwrap();
    let intent = site
        .world
        .get(&"Experiment/default/exp".parse().unwrap())
        .unwrap();
    let stored = intent.to_stored().manifest;
    for (from, to) in [
        ("9000", "8999"),
        ("\"status\"", "\"other\""),
        ("\"variant\":\"new\"", "\"variant\":\"x\""),
    ] {
        assert!(stored.contains(from), "{stored}");
        let damaged = stored.replace(from, to);
        assert!(
            Intent::from_stored(&damaged, None, intent.created, intent.revision).is_err(),
            "{to}"
        );
    }
    let view = intent.to_view(serde_json::json!([]));
    assert_eq!(
        view["status"]["slots"][1],
        serde_json::json!({"variant": "new", "count": 1000})
    );
    assert_eq!(
        BTreeMap::from([("v", &view["metadata"]["resourceVersion"])])["v"],
        "2"
    );
}

/// A site where the experiment has come a long way: its table is not what its shares alone would give.
fn travelled() -> Site {
    let mut site = Site::shop();
    let three =
        |a: f64, b: f64, c: f64| experiment("exp", "", &[("x", a, "a"), ("y", b, "b"), ("z", c, "a")]);
    for (a, b, c) in [(40.0, 30.0, 30.0), (30.0, 30.0, 40.0)] {
        site.apply(&three(a, b, c)).unwrap();
    }
    assert_ne!(runs(&site), [3000, 0, 3000, 1, 4000, 2]);
    site
}

fn exported(site: &Site) -> Value {
    let id = "Experiment/default/exp".parse().unwrap();
    site.world.get(&id).unwrap().to_export()
}

#[test]
fn an_exported_experiment_has_the_same_owners_elsewhere_and_goes_on_from_there() {
    let (mut here, mut there) = (travelled(), Site::shop());
    let manifest = exported(&here);
    there.apply(&manifest.to_string()).unwrap();
    let body = |site: &Site| site.body::<v1::Experiment>("experiment/default/exp");
    assert_eq!(body(&there), body(&here));
    assert_eq!(exported(&there), manifest);
    let stored = |site: &Site| {
        let id = "Experiment/default/exp".parse().unwrap();
        site.world.get(&id).unwrap().to_stored().manifest
    };
    assert_eq!(stored(&there), stored(&here), "nothing is kept of how it came");

    // At home it says nothing new.
    let changed = here.attempt(puts(&manifest.to_string()), DanglingRefs::Refuse);
    assert!(changed.unwrap().is_empty());

    // Shares that were edited in the file move the fewest from the table beside them.
    let mut edited = manifest;
    for variant in [0, 2] {
        edited["spec"]["variants"][variant]["share"] = 35.into();
    }
    let mut third = Site::shop();
    third.apply(&edited.to_string()).unwrap();
    here.apply(&edited.to_string()).unwrap();
    assert_eq!(body(&third), body(&here));
}

#[test]
fn a_table_that_is_brought_along_moves_nobody_where_the_experiment_is_live() {
    let (here, mut there) = (travelled(), Site::shop());
    let mut manifest = exported(&here);
    let fresh = experiment("exp", "", &[("x", 30.0, "a"), ("y", 30.0, "b"), ("z", 40.0, "a")]);
    there.apply(&fresh).unwrap();
    let before = runs(&there);
    assert!(
        there
            .attempt(puts(&manifest.to_string()), DanglingRefs::Refuse)
            .unwrap()
            .is_empty()
    );
    manifest["metadata"]["labels"] = serde_json::json!({"a": "b"});
    there.apply(&manifest.to_string()).unwrap();
    assert_eq!(runs(&there), before);
}
