//! How what two matches ask for is related.

use sluice_model::{Match, PathMatch, ValueMatch};

use super::Budget;
use crate::diff::Domain;

/// How the requests of two matches that stand at the same path are related.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relation {
    /// They are the same.
    Same,
    /// All of the second's are the first's.
    Covers,
    /// All of the first's are the second's.
    Within,
    /// Each has some that the other has not.
    Crosses,
    /// There was too much to look at.
    Unknown,
}

/// How the requests of `first` are related to those of `second`; both have some, and some in common.
pub(super) fn relation(budget: &mut Budget, first: &Match, second: &Match) -> Relation {
    match (covers(budget, first, second), covers(budget, second, first)) {
        (Some(true), Some(true)) => Relation::Same,
        (Some(true), _) => Relation::Covers,
        (_, Some(true)) => Relation::Within,
        (Some(false), Some(false)) => Relation::Crosses,
        (None, _) | (_, None) => Relation::Unknown,
    }
}

/// Whether `outer` takes all that `inner` does. `None` when it is not known.
fn covers(budget: &mut Budget, outer: &Match, inner: &Match) -> Option<bool> {
    if outer.method.is_some() && outer.method != inner.method {
        return Some(false);
    }
    let mut is_known = true;
    let mut allows = |verdict: Option<bool>| {
        is_known &= verdict.is_some();
        verdict != Some(false)
    };
    for wanted in &outer.headers {
        let own = inner.headers.iter().find(|own| own.name == wanted.name);
        let own = own.map(|own| &own.value);
        if !allows(implied(budget, Domain::Header, &wanted.value, own)) {
            return Some(false);
        }
    }
    for wanted in &outer.query {
        let own = inner.query.iter().find(|own| own.name == wanted.name);
        let own = own.map(|own| &own.value);
        if !allows(implied(budget, Domain::Query, &wanted.value, own)) {
            return Some(false);
        }
    }
    if let (PathMatch::Regex(wanted), PathMatch::Regex(own)) = (&outer.path, &inner.path) {
        let [wanted, own] = [wanted, own].map(|one| ValueMatch::Regex(one.clone()));
        if !allows(implied(budget, Domain::Path, &wanted, Some(&own))) {
            return Some(false);
        }
    }
    is_known.then_some(true)
}

/// Whether every text that `own` allows is one that is `wanted`; without `own` every text is allowed, and
/// also that there is none.
fn implied(
    budget: &mut Budget,
    domain: Domain,
    wanted: &ValueMatch,
    own: Option<&ValueMatch>,
) -> Option<bool> {
    let Some(own) = own else {
        return Some(false);
    };
    match (wanted, own) {
        (_, ValueMatch::Exact(own)) => Some(wanted.matches(own)),
        (ValueMatch::Regex(wanted), ValueMatch::Regex(own)) if wanted.as_str() == own.as_str() => Some(true),
        (_, ValueMatch::Regex(own)) => {
            let free = match wanted {
                ValueMatch::Exact(text) => format!("^(?:{})$", regex::escape(text)),
                ValueMatch::Regex(regex) => regex.as_str().to_owned(),
            };
            let texts = budget.texts(domain, &[own.as_str()], &[free]);
            let mut found = texts.groups.iter().flatten();
            match found.any(|text| !wanted.matches(text)) {
                true => Some(false),
                false => texts.complete.then_some(true),
            }
        }
    }
}
