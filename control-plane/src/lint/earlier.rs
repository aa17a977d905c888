//! What rules claimed of each other before a change: what is known to have been there refuses nothing.
//!
//! Everything is looked at together. Where that is too much, each finding is looked at alone, so that a crowd at one
//! place hides nothing at another.

use std::collections::{BTreeMap, BTreeSet};

use sluice_core::Snapshot;
use sluice_core::claims::{Claim, Limits, clashes_between};
use sluice_intent::{LintRule, ResourceId};
use sluice_model::Key;

use super::claims::{Claimed, MAX_STATES, MAX_VIEWS, MAX_WORK, Told, compared, limits, site};
use super::finding::{Finding, Identity, Spot};
use crate::compile::{ViewKey, World};

/// How much more is looked at than for a change.
const TIMES: u64 = 4;

/// What was found, and of what it cannot be said whether it was there.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) findings: Vec<Finding>,
    pub(super) unknown: BTreeSet<Identity>,
}

/// What there was in `before` of those `findings` in `world` that are about claims of rules.
pub(super) fn known(before: &World, world: &World, findings: &[&Finding]) -> Known {
    let claims = findings.iter().filter(|finding| is_about_claims(finding.rule));
    let claims: BTreeMap<Identity, &Finding> = claims.map(|finding| (finding.identity(), *finding)).collect();
    let mut known = Known::default();
    if claims.is_empty() {
        return known;
    }
    let earlier = Earlier::of(before, world);
    let together = earlier.together(claims.values().copied());
    if together.is_complete {
        known.findings = together.findings;
        return known;
    }
    for (identity, finding) in &claims {
        let alone = earlier.alone(finding, claims.len());
        let same = alone.findings.into_iter();
        known
            .findings
            .extend(same.filter(|one| one.identity() == *identity));
        if !alone.is_complete {
            known.unknown.insert(identity.clone());
        }
    }
    known
}

const fn is_about_claims(rule: LintRule) -> bool {
    is_about_reach(rule) || matches!(rule, LintRule::Duplicate | LintRule::Overlap | LintRule::Capture)
}

/// Whether it is said of a match that takes no request; else of two that meet.
const fn is_about_reach(rule: LintRule) -> bool {
    matches!(rule, LintRule::Shadowed | LintRule::Unmatchable)
}

/// A world before a change, with the views that are looked at after it.
struct Earlier<'a> {
    world: &'a World,
    /// [`MAX_VIEWS`] at most.
    views: Vec<&'a Snapshot>,
    /// Whether those are all from which the views after the change come that are looked at.
    is_complete: bool,
}

impl<'a> Earlier<'a> {
    fn of(before: &'a World, world: &World) -> Self {
        let keys: Vec<ViewKey> = world.views().take(MAX_VIEWS).map(|(key, _)| key).collect();
        let origins: Vec<Option<&Snapshot>> = keys.iter().map(|key| world.origin(before, key)).collect();
        // Several views become one where a selector goes.
        let merged = before
            .views()
            .filter(|(key, _)| keys.contains(&world.existing(key)))
            .map(|(_, view)| view);
        let mut views: Vec<&Snapshot> = Vec::new();
        for view in origins.iter().flatten().copied().chain(merged) {
            if !views.iter().any(|known| std::ptr::eq(*known, view)) {
                views.push(view);
            }
        }
        let is_complete = views.len() <= MAX_VIEWS && origins.iter().all(Option::is_some);
        views.truncate(MAX_VIEWS);
        Self {
            world: before,
            views,
            is_complete,
        }
    }

    /// What all rules claim that `findings` are about.
    fn together<'b>(&self, findings: impl Iterator<Item = &'b Finding>) -> Claimed {
        let rules: BTreeSet<Key> = findings.flat_map(|finding| self.rules(finding)).collect();
        self.compared(&rules, |rules| limits(rules, TIMES, self.views.len()))
    }

    /// What there was of one finding, with its share of the work for so many of them.
    fn alone(&self, finding: &Finding, findings: usize) -> Claimed {
        let share = |rules: usize| {
            let limits = limits(rules, TIMES, self.views.len());
            let parts = self.views.len().max(1) * findings.max(1);
            Limits {
                work: limits.work.min(MAX_WORK / parts as u64),
                states: limits.states.min(MAX_STATES / parts),
                ..limits
            }
        };
        if is_about_reach(finding.rule) {
            let rules: BTreeSet<Key> = self.world.rule_keys(&finding.resource).cloned().collect();
            return self.compared(&rules, share);
        }
        let rules = self.rules(finding);
        let is_meant = |claim: &Claim| {
            site(self.world, claim).is_some_and(|spot| {
                let is_it =
                    |resource: &ResourceId, about: &str| spot.resource == *resource && spot.about == about;
                let is_other = |other: &Spot| is_it(&other.resource, &other.about);
                is_it(&finding.resource, &finding.about) || finding.other.as_ref().is_some_and(is_other)
            })
        };
        let limits = share(rules.len());
        let mut told = Told::default();
        let mut is_complete = self.is_complete;
        for view in &self.views {
            is_complete &= told.add(self.world, clashes_between(view, &rules, &is_meant, &limits));
        }
        Claimed {
            findings: told.findings,
            is_complete,
        }
    }

    /// The rules of both resources that a finding is about.
    fn rules(&self, finding: &Finding) -> BTreeSet<Key> {
        let other = finding.other.as_ref().map(|other| &other.resource);
        let resources = std::iter::once(&finding.resource).chain(other);
        let rules = resources.flat_map(|id| self.world.rule_keys(id));
        rules.cloned().collect()
    }

    fn compared(&self, rules: &BTreeSet<Key>, limits: impl Fn(usize) -> Limits) -> Claimed {
        let views: Vec<(&Snapshot, &Snapshot)> = self.views.iter().map(|view| (*view, *view)).collect();
        let mut claimed = compared(self.world, &views, &self.views, rules, limits);
        claimed.is_complete &= self.is_complete;
        claimed
    }
}
