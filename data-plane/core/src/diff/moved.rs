//! How much of the requests, and how many of the users, a change of weights or slots moves.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use sluice_model::{Experiment, Key, SLOTS};

use super::outcome::Fraction;
use crate::{
    Snapshot, Target,
    choose::{Choice, Weights},
};

/// A split or an experiment whose weights or slots change.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Shift {
    /// Key of the split or the experiment, which is there before and after.
    pub target: String,
    /// Of a split: of its requests, those that another backend gets, in percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weights_moved_percent: Option<f64>,
    /// Of an experiment: of its users, those that see another variant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slots_moved: Option<SlotsMoved>,
    /// Of each variant, by name: of its requests, those that another backend gets, in percent.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub variants_moved_percent: BTreeMap<String, f64>,
}

/// Users of an experiment that see another variant than before.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SlotsMoved {
    /// Of all users, in percent.
    pub percent: f64,
    /// Whether users are told apart or spread in another way, so that who moves is by chance; then
    /// [`Self::percent`] is what to expect.
    pub is_redealt: bool,
    /// From one variant to another, by names: slots of 10,000, the most first. Empty if redealt.
    pub flows: Vec<(String, String, u16)>,
}

/// Users that see another variant after the change: the share of slots whose owner has another name.
pub fn slots_moved(before: &Experiment, after: &Experiment) -> SlotsMoved {
    let name = |experiment: &'_ Experiment, at: u16| {
        let variant = experiment.variants.get(usize::from(at));
        variant.map_or_else(String::new, |variant| variant.name.to_string())
    };
    if before.salt != after.salt || before.unit != after.unit {
        let shares = |experiment: &Experiment| {
            let mut shares: BTreeMap<String, f64> = BTreeMap::new();
            for (length, owner) in experiment.slots.runs() {
                *shares.entry(name(experiment, owner)).or_default() += f64::from(length) / f64::from(SLOTS);
            }
            shares
        };
        let (old, new) = (shares(before), shares(after));
        let stays: f64 = old
            .iter()
            .map(|(name, share)| share * new.get(name).copied().unwrap_or(0.0))
            .sum();
        return SlotsMoved {
            percent: (1.0 - stays) * 100.0,
            is_redealt: true,
            flows: Vec::new(),
        };
    }
    let mut flows: BTreeMap<(String, String), u16> = BTreeMap::new();
    for slot in 0..SLOTS {
        let owners = (before.slots.owner(slot), after.slots.owner(slot));
        let (old, new) = (name(before, owners.0), name(after, owners.1));
        if old != new {
            *flows.entry((old, new)).or_default() += 1;
        }
    }
    let moved: u16 = flows.values().sum();
    let mut flows: Vec<_> = flows
        .into_iter()
        .map(|((from, to), slots)| (from, to, slots))
        .collect();
    flows.sort_by_key(|(.., slots)| std::cmp::Reverse(*slots));
    SlotsMoved {
        percent: f64::from(moved) * 100.0 / f64::from(SLOTS),
        is_redealt: false,
        flows,
    }
}

/// Of requests that are spread by weight, those that go elsewhere after the change, in percent: half the
/// sum of what each share changes by (the total variation). `None` stands for a share that answers 500;
/// where all weights are 0, everything does.
pub fn weights_moved(before: &[(Option<Key>, u64)], after: &[(Option<Key>, u64)]) -> f64 {
    let shares = |list: &[(Option<Key>, u64)]| {
        let total: u64 = list.iter().map(|(_, weight)| weight).sum();
        let mut shares: BTreeMap<Option<String>, f64> = BTreeMap::new();
        for (key, weight) in list {
            let key = key.as_ref().map(ToString::to_string);
            *shares.entry(key).or_default() += Fraction::new(*weight, total).percent();
        }
        if total == 0 {
            shares.insert(None, 100.0);
        }
        shares
    };
    let (old, new) = (shares(before), shares(after));
    let all: BTreeSet<_> = old.keys().chain(new.keys()).collect();
    let part = |shares: &BTreeMap<Option<String>, f64>, key| shares.get(key).copied().unwrap_or(0.0);
    let changes = all
        .into_iter()
        .map(|key| (part(&old, key) - part(&new, key)).abs());
    changes.sum::<f64>() / 2.0
}

/// What moves in each of `keys` that is there before and after, and of the same kind.
pub(super) fn shifts(before: &Snapshot, after: &Snapshot, keys: &BTreeSet<Key>) -> Vec<Shift> {
    let shift = |key: &Key| {
        let (old, new) = (before.targets.find(key)?, after.targets.find(key)?);
        let moved = |old: &Weights, new: &Weights| weights_moved(&listed(before, old), &listed(after, new));
        let mut shift = Shift {
            target: key.to_string(),
            weights_moved_percent: None,
            slots_moved: None,
            variants_moved_percent: BTreeMap::new(),
        };
        match (&**old, &**new) {
            (Target::Split(old), Target::Split(new)) => shift.weights_moved_percent = Some(moved(old, new)),
            (Target::Experiment(old), Target::Experiment(new)) => {
                shift.slots_moved = Some(slots_moved(&old.experiment, &new.experiment));
                for (variant, weights) in old.experiment.variants.iter().zip(&old.variants) {
                    let same = |one: &sluice_model::Variant| one.name == variant.name;
                    let at = new.experiment.variants.iter().position(same);
                    let percent = at
                        .and_then(|at| new.variants.get(at))
                        .map(|new| moved(weights, new));
                    let percent = percent.filter(|percent| *percent > 0.0);
                    shift
                        .variants_moved_percent
                        .extend(percent.map(|percent| (variant.name.to_string(), percent)));
                }
            }
            (Target::Split(_), Target::Experiment(_)) | (Target::Experiment(_), Target::Split(_)) => {
                return None;
            }
        }
        shift.is_any().then_some(shift)
    };
    keys.iter().filter_map(shift).collect()
}

impl Shift {
    fn is_any(&self) -> bool {
        self.weights_moved_percent.is_some_and(|percent| percent > 0.0)
            || self.slots_moved.as_ref().is_some_and(|moved| moved.percent > 0.0)
            || !self.variants_moved_percent.is_empty()
    }
}

fn listed(snapshot: &Snapshot, weights: &Weights) -> Vec<(Option<Key>, u64)> {
    let key = |choice| match choice {
        Choice::Backend(idx) => snapshot.backends.key(idx).cloned(),
        Choice::Dangling | Choice::None => None,
    };
    weights
        .parts()
        .map(|(pick, part)| (key(pick.choice), part))
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sluice_model::{SlotTable, Unit, Variant};

    use super::*;
    use crate::slots::{initial, reallocate};

    fn experiment(names: &[&str], slots: SlotTable) -> Experiment {
        let variant = |name: &&str| Variant {
            name: (*name).into(),
            backends: vec![],
        };
        Experiment {
            key: Key::parse("experiment/default/checkout").unwrap(),
            unit: Unit::ClientIp,
            salt: "checkout".into(),
            variants: names.iter().map(variant).collect(),
            slots,
            override_header: None,
            upstream_header: None,
        }
    }

    #[test]
    fn slots_that_change_owner_are_the_users_that_move() {
        let old = initial(&[9000, 1000]).unwrap();
        let new = reallocate(&old, &[Some(0), Some(1)], &[7500, 2500]).unwrap();
        let moved = slots_moved(&experiment(&["a", "b"], old), &experiment(&["a", "b"], new));
        assert!((moved.percent - 15.0).abs() < 1e-9);
        assert_eq!(moved.flows, [("a".into(), "b".into(), 1500)]);
    }

    #[test]
    fn another_salt_deals_everybody_again() {
        let table = initial(&[5000, 5000]).unwrap();
        let old = experiment(&["a", "b"], table);
        let new = Experiment {
            salt: "other".into(),
            ..old.clone()
        };
        let moved = slots_moved(&old, &new);
        assert!(moved.is_redealt && (moved.percent - 50.0).abs() < 1e-9);
    }

    fn weights(list: &[u64]) -> Vec<(Option<Key>, u64)> {
        let key = |at| Key::parse(&format!("backend/default/b{at}")).unwrap();
        (0..)
            .zip(list)
            .map(|(at, weight)| (Some(key(at)), *weight))
            .collect()
    }

    #[test]
    fn requests_that_change_backend_are_half_of_what_the_shares_change_by() {
        let moved = |old: &[u64], new: &[u64]| weights_moved(&weights(old), &weights(new));
        assert!((moved(&[90, 10], &[50, 50]) - 40.0).abs() < 1e-9);
        assert!((moved(&[1, 1], &[50, 50])).abs() < 1e-9);
        assert!((moved(&[1], &[0]) - 100.0).abs() < 1e-9);
        assert!((moved(&[0], &[0])).abs() < 1e-9);
    }

    proptest! {
        #[test]
        fn what_moves_is_a_part_and_the_same_both_ways(
            old in prop::collection::vec(0..1000u64, 1..5), new in prop::collection::vec(0..1000u64, 1..5),
        ) {
            let (old, new) = (weights(&old), weights(&new));
            let there = weights_moved(&old, &new);
            prop_assert!((-1e-9..=100.0 + 1e-9).contains(&there));
            prop_assert!((there - weights_moved(&new, &old)).abs() < 1e-9);
        }
    }
}
