//! How much of the requests of one outcome goes elsewhere with another.

use std::collections::{BTreeMap, BTreeSet};

use sluice_model::SLOTS;

use crate::diff::{
    facet::Facet,
    outcome::{Arm, Outcome, Verdict},
};

/// Parts of the requests, by where they go; `None` is 500. They sum to 1.
type Shares<'a> = BTreeMap<Option<&'a str>, f64>;

/// Which part of the requests (0 to 1) is answered by somebody else after the change, if as few as possible
/// are: another backend, another redirect, another status. Who is on a variant stays on it as far as slots do.
pub(super) fn moved(outcomes: &[Outcome; 2], facets: &BTreeSet<Facet>) -> f64 {
    match [0, 1].map(|side| runs(&outcomes[side])) {
        [Some(before), Some(after)] => forwarded(outcomes, before, after).clamp(0.0, 1.0),
        _ if facets.contains(&Facet::Status) || facets.contains(&Facet::Redirect) => 1.0,
        _ => 0.0,
    }
}

/// Numbers of slots, in their order, and where their requests go.
type Runs<'a> = Vec<(u16, Shares<'a>)>;

fn forwarded(outcomes: &[Outcome; 2], before: Runs<'_>, after: Runs<'_>) -> f64 {
    if is_dealt_anew(outcomes) {
        let pairs = before
            .iter()
            .flat_map(|one| after.iter().map(move |other| (one, other)));
        return pairs
            .map(|(one, other)| part(one.0) * part(other.0) * apart(&one.1, &other.1))
            .sum();
    }
    let (mut before, mut after) = (before.into_iter(), after.into_iter());
    let (mut one, mut other) = (before.next(), after.next());
    let mut sum = 0.0;
    while let (Some((left, old)), Some((right, new))) = (&mut one, &mut other) {
        let both = (*left).min(*right);
        sum += part(both) * apart(old, new);
        *left -= both;
        *right -= both;
        let (is_left_done, is_right_done) = (*left == 0, *right == 0);
        if is_left_done {
            one = before.next();
        }
        if is_right_done {
            other = after.next();
        }
    }
    sum
}

/// Whether users are spread in another way, so that who gets which variant is by chance.
fn is_dealt_anew(outcomes: &[Outcome; 2]) -> bool {
    let spread = |outcome: &'_ Outcome| match &outcome.verdict {
        Verdict::Forward(forward) => {
            let terms = forward.experiment.as_ref()?;
            Some((terms.unit.clone(), terms.salt.clone()))
        }
        _ => None,
    };
    let [old, new] = [spread(&outcomes[0]), spread(&outcomes[1])];
    old.is_some() && new.is_some() && old != new
}

/// `None` for what is not sent on. Without an experiment all slots are one run.
fn runs(outcome: &Outcome) -> Option<Runs<'_>> {
    let forward = match &outcome.verdict {
        Verdict::Forward(forward) => forward,
        Verdict::NoBackends => return Some(vec![(SLOTS, Shares::from([(None, 1.0)]))]),
        Verdict::Closed | Verdict::Unserved | Verdict::NotFound | Verdict::Redirect(_) => return None,
    };
    let Some(experiment) = &forward.experiment else {
        return Some(vec![(SLOTS, shares(forward.arms.iter()))]);
    };
    let mut variants: BTreeMap<&str, Shares<'_>> = BTreeMap::new();
    let mut runs = Vec::with_capacity(experiment.slots.len());
    for (length, name) in &experiment.slots {
        let own = |arm: &&Arm| arm.variant.as_deref() == Some(name.as_str());
        let variant = variants
            .entry(name)
            .or_insert_with(|| shares(forward.arms.iter().filter(own)));
        runs.push((*length, variant.clone()));
    }
    Some(runs)
}

/// The part that so many slots are.
fn part(slots: u16) -> f64 {
    f64::from(slots) / f64::from(SLOTS)
}

fn shares<'a>(arms: impl Iterator<Item = &'a Arm>) -> Shares<'a> {
    let mut shares = Shares::new();
    for arm in arms {
        *shares.entry(arm.backend.as_deref()).or_default() += arm.share.percent();
    }
    let total: f64 = shares.values().sum();
    if total > 0.0 {
        shares.values_mut().for_each(|share| *share /= total);
    }
    shares
}

/// Half of what each share differs by: the part that has to go elsewhere.
fn apart(old: &Shares<'_>, new: &Shares<'_>) -> f64 {
    let of = |shares: &Shares<'_>, name: &Option<&str>| shares.get(name).copied().unwrap_or(0.0);
    let gone = old.iter().map(|(name, share)| (share - of(new, name)).abs());
    let come = new.iter().filter(|(name, _)| !old.contains_key(*name));
    (gone.sum::<f64>() + come.map(|(_, share)| share).sum::<f64>()) / 2.0
}
