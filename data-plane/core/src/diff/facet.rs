//! What of an outcome changed, as one request experiences it.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use sluice_model::PathEdit;

use super::outcome::{Arm, ExperimentTerms, Forward, Outcome, PathChange, RewriteTerms, Verdict};
use crate::filter;

/// Shares that differ by less are the same: they are sums of fractions in floating point.
const SAME_PERCENT: f64 = 1e-7;

/// A side of an outcome that changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Facet {
    /// Whether it is answered at all: served, 404, 500, refused.
    Status,
    /// Which backends get it.
    Backends,
    /// A redirect: whether, where to, with which status.
    Redirect,
    /// Which users see which variant, and how they are told apart.
    Variant,
    /// How much of it each backend gets.
    Shares,
    /// The URL that the upstream gets.
    Rewrite,
    /// Headers on the way up or down.
    Headers,
    /// Who gets copies.
    Mirrors,
    /// What pages of other origins may do.
    Cors,
    /// Timeouts, limits, and how backends are spoken to.
    Policy,
}

/// An outcome, and where it sends one request.
#[derive(Clone, Debug)]
pub(super) struct Told<'a> {
    pub(super) outcome: &'a Outcome,
    /// Of a redirect.
    pub(super) location: Option<String>,
}

/// What changes for the request with `path`; nothing if it experiences the same.
pub(super) fn facets(before: &Told<'_>, after: &Told<'_>, path: &str) -> BTreeSet<Facet> {
    let mut found = BTreeSet::new();
    let (old, new) = (&before.outcome.verdict, &after.outcome.verdict);
    match (old, new) {
        (Verdict::Redirect(old), Verdict::Redirect(new)) => {
            if before.location != after.location || old.status != new.status {
                found.insert(Facet::Redirect);
            }
            if old.response_headers != new.response_headers {
                found.insert(Facet::Headers);
            }
        }
        (Verdict::Forward(old), Verdict::Forward(new)) => forwarded(old, new, path, &mut found),
        (Verdict::Redirect(_), Verdict::Forward(_)) | (Verdict::Forward(_), Verdict::Redirect(_)) => {
            found.insert(Facet::Redirect);
        }
        (old, new) if old != new => {
            found.insert(Facet::Status);
        }
        _ => {}
    }
    if is_matched(old) && is_matched(new) {
        if before.outcome.cors != after.outcome.cors {
            found.insert(Facet::Cors);
        }
        if before.outcome.body_bytes != after.outcome.body_bytes {
            found.insert(Facet::Policy);
        }
    }
    found
}

/// Whether a rule took the request.
fn is_matched(verdict: &Verdict) -> bool {
    match verdict {
        Verdict::NoBackends | Verdict::Redirect(_) | Verdict::Forward(_) => true,
        Verdict::Closed | Verdict::Unserved | Verdict::NotFound => false,
    }
}

fn forwarded(old: &Forward, new: &Forward, path: &str, found: &mut BTreeSet<Facet>) {
    let (old_arms, new_arms) = (resolved(&old.arms, path), resolved(&new.arms, path));
    let (shares, new_shares) = (shares(&old_arms), shares(&new_arms));
    if !shares.keys().eq(new_shares.keys()) {
        found.insert(Facet::Backends);
    } else if shares
        .values()
        .zip(new_shares.values())
        .any(|(old, new)| (old - new).abs() > SAME_PERCENT)
    {
        found.insert(Facet::Shares);
    }
    if old.experiment.as_ref().map(without_key) != new.experiment.as_ref().map(without_key)
        || by_variant(&old_arms) != by_variant(&new_arms)
    {
        found.insert(Facet::Variant);
    }
    for backend in shares.keys().filter(|name| new_shares.contains_key(*name)) {
        compare_arms(&old_arms, &new_arms, *backend, found);
    }
    let timeouts = |forward: &Forward| (forward.request_timeout_ms, forward.backend_request_timeout_ms);
    if timeouts(old) != timeouts(new) {
        found.insert(Facet::Policy);
    }
    if found.is_empty() && old_arms != new_arms {
        found.insert(Facet::Shares);
    }
}

/// The arms as the request with `path` meets them: its path after the rewrite, if that is another.
fn resolved(arms: &[Arm], path: &str) -> Vec<Arm> {
    let one = |arm: &Arm| Arm {
        rewrite: arm.rewrite.as_ref().and_then(|terms| {
            let path = terms.path.as_ref().and_then(|change| concrete(change, path));
            let hostname = terms.hostname.clone();
            (path.is_some() || hostname.is_some()).then_some(RewriteTerms { hostname, path })
        }),
        ..arm.clone()
    };
    let mut all: Vec<Arm> = arms.iter().map(one).collect();
    all.sort_unstable();
    all
}

/// `None` when `path` stays.
fn concrete(change: &PathChange, path: &str) -> Option<PathChange> {
    let (edit, matched) = match change {
        PathChange::Full { path } => (PathEdit::Full(path.as_str().into()), None),
        PathChange::Prefix { matched, replacement } => (
            PathEdit::Prefix(replacement.as_str().into()),
            Some(matched.as_str()),
        ),
    };
    let rewritten = filter::rewrite_path(&edit, path, matched);
    (rewritten != path).then(|| PathChange::Full {
        path: rewritten.into_owned(),
    })
}

/// Percent of all requests, by backend; `None` is 500.
fn shares(arms: &[Arm]) -> BTreeMap<Option<&str>, f64> {
    let mut all = BTreeMap::new();
    for arm in arms.iter().filter(|arm| !arm.share.is_zero()) {
        *all.entry(arm.backend.as_deref()).or_default() += arm.share.percent();
    }
    all
}

/// Which variants lead to which backends.
fn by_variant(arms: &[Arm]) -> BTreeSet<(&str, Option<&str>)> {
    arms.iter()
        .filter_map(|arm| Some((arm.variant.as_deref()?, arm.backend.as_deref())))
        .collect()
}

fn without_key(terms: &ExperimentTerms) -> ExperimentTerms {
    ExperimentTerms {
        key: String::new(),
        ..terms.clone()
    }
}

/// A part of an arm, in a form that can be compared.
type Part = fn(&Arm) -> String;

/// What changed for requests that `backend` gets before and after.
fn compare_arms(old: &[Arm], new: &[Arm], backend: Option<&str>, found: &mut BTreeSet<Facet>) {
    let of_backend = |arms: &'_ [Arm], part: Part| -> BTreeSet<String> {
        let own = arms.iter().filter(|arm| arm.backend.as_deref() == backend);
        own.map(part).collect()
    };
    let parts: [(Facet, Part); 4] = [
        (Facet::Headers, |arm| {
            format!("{:?}{:?}", arm.request_headers, arm.response_headers)
        }),
        (Facet::Rewrite, |arm| format!("{:?}", arm.rewrite)),
        (Facet::Mirrors, |arm| format!("{:?}", arm.mirrors)),
        (Facet::Policy, |arm| format!("{:?}", arm.policy)),
    ];
    for (facet, part) in parts {
        if of_backend(old, part) != of_backend(new, part) {
            found.insert(facet);
        }
    }
}
