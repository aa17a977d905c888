//! What rules claimed of each other before a change: what is known to have been there refuses nothing.
//!
//! Everything is looked at together. Where that is too much, each finding is looked at alone, with its part of what
//! is left, so that a crowd at one place hides nothing at another.

use std::collections::{BTreeMap, BTreeSet};

use sluice_core::Snapshot;
use sluice_core::claims::{Budget, Claim, clashes_between};
use sluice_intent::{LintRule, ResourceId};
use sluice_model::Key;

use super::claims::{Claimed, MAX_NEW, MAX_VIEWS, Told, compared, site};
use super::finding::{Finding, Identity, Spot};
use crate::compile::{ViewKey, World};

/// Clashes that are kept of one view: more than of a change, so that all of them can be among these.
const MAX_KNOWN: usize = 4 * MAX_NEW;

/// What was found, and of what it cannot be said whether it was there.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) findings: Vec<Finding>,
    pub(super) unknown: BTreeSet<Identity>,
}

/// What there was in `before` of those `findings` in `world` that are about claims of rules.
pub(super) fn known(before: &World, world: &World, findings: &[&Finding], budget: &mut Budget) -> Known {
    let claims = findings.iter().filter(|finding| is_about_claims(finding.rule));
    let claims: BTreeMap<Identity, &Finding> = claims.map(|finding| (finding.identity(), *finding)).collect();
    let mut known = Known::default();
    if claims.is_empty() {
        return known;
    }
    let earlier = Earlier::of(before, world);
    let together = budget.part(2, |budget| earlier.together(claims.values().copied(), budget));
    if together.is_complete {
        known.findings = together.findings;
        return known;
    }
    for (at, (identity, finding)) in claims.iter().enumerate() {
        let alone = budget.part(claims.len() - at, |budget| earlier.alone(finding, budget));
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
    fn together<'b>(&self, findings: impl Iterator<Item = &'b Finding>, budget: &mut Budget) -> Claimed {
        let rules: BTreeSet<Key> = findings.flat_map(|finding| self.rules(finding)).collect();
        self.compared(&rules, budget)
    }

    /// What there was of one finding.
    fn alone(&self, finding: &Finding, budget: &mut Budget) -> Claimed {
        if is_about_reach(finding.rule) {
            let rules: BTreeSet<Key> = self.world.rule_keys(&finding.resource).cloned().collect();
            return self.compared(&rules, budget);
        }
        let rules = self.rules(finding);
        let other = finding.other.as_ref();
        let routes: Vec<String> = std::iter::once(&finding.resource)
            .chain(other.map(|other| &other.resource))
            .map(|id| format!("{}/{}", id.namespace, id.name))
            .collect();
        let is_meant = |claim: &Claim| {
            // What is written is looked up only where it may be it.
            let owner = claim.rule.owner();
            routes.iter().any(|route| *route == owner)
                && site(self.world, claim).is_some_and(|spot| {
                    let is_it = |resource: &ResourceId, about: &str| {
                        spot.resource == *resource && spot.about == about
                    };
                    let is_other = |other: &Spot| is_it(&other.resource, &other.about);
                    is_it(&finding.resource, &finding.about) || other.is_some_and(is_other)
                })
        };
        let mut told = Told::default();
        let mut is_complete = self.is_complete;
        for (at, view) in self.views.iter().enumerate() {
            let between = budget.part(self.views.len() - at, |budget| {
                clashes_between(view, &rules, &is_meant, MAX_KNOWN, budget)
            });
            is_complete &= told.add(self.world, between);
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

    fn compared(&self, rules: &BTreeSet<Key>, budget: &mut Budget) -> Claimed {
        let views: Vec<(&Snapshot, &Snapshot)> = self.views.iter().map(|view| (*view, *view)).collect();
        let mut claimed = compared(self.world, (&views, &self.views), rules, MAX_KNOWN, budget);
        claimed.is_complete &= self.is_complete;
        claimed
    }
}
