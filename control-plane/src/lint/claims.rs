//! Rules that claim the same requests, and matches that no request reaches, over all views of a fleet.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use sluice_core::claims::{Budget, Claim, Clash, Clashes, Meeting, Reason, captures, clashes, moved, near};
use sluice_core::{Cause, Reach, Snapshot, reach, reach_of};
use sluice_intent::{Kind, LintRule, ResourceId, Spec};
use sluice_model::Key;

use super::Found;
use super::finding::{Finding, Spot};
use super::splits::written;
use crate::compile::World;

/// Views that are looked into. What is in further ones is not called unreached.
pub(super) const MAX_VIEWS: usize = 16;

/// Clashes that are kept of one view of everything.
const MAX_CLASHES: usize = 2_000;

/// The same of one view of a change.
pub(super) const MAX_NEW: usize = 100;

/// Everything about rules in a world.
pub(super) fn look(world: &World) -> Found {
    let mut found = Found::default();
    let views: Vec<&Snapshot> = world.views().map(|(_, snapshot)| snapshot).collect();
    let looked = &views[..views.len().min(MAX_VIEWS)];
    if looked.len() < views.len() {
        let more = views.len() - looked.len();
        found.notes.push(format!(
            "{more} more kinds of proxies have rules that were not looked at"
        ));
    }
    let mut budget = Budget::new(Budget::TABLE);
    let mut all = Told::default();
    for (at, snapshot) in looked.iter().enumerate() {
        let clashes = budget.part(looked.len() - at, |budget| {
            clashes(snapshot, None, MAX_CLASHES, budget)
        });
        all.add(world, clashes);
    }
    let mut missed = Missed::default();
    for snapshot in looked {
        match reach(snapshot) {
            Ok(one) => missed.add(one),
            Err(violations) => found.broken.extend(violations),
        }
    }
    if missed.is_unproven {
        let note = "there is more than is looked at: matches that are called shadowed may take requests that were not";
        found.notes.push(note.to_owned());
    }
    found.findings.extend(missed.told(world, &views, &all.losers));
    found.findings.extend(all.findings);
    found.notes.extend(all.notes);
    found
}

/// What rules claim of each other, and whether all of it was looked at.
pub(super) struct Claimed {
    pub(super) findings: Vec<Finding>,
    pub(super) is_complete: bool,
}

/// What a change of `before` has its rules, `own`, and those near them claim of each other.
pub(super) fn of_change(before: &World, world: &World, own: &BTreeSet<Key>, budget: &mut Budget) -> Claimed {
    let views: Vec<_> = world.views().collect();
    let looked = views.iter().take(MAX_VIEWS).map(|(key, now)| {
        let old = before.view(key).unwrap_or(before.snapshot());
        (old, *now)
    });
    let looked: Vec<(&Snapshot, &Snapshot)> = looked.collect();
    let all: Vec<&Snapshot> = views.iter().map(|(_, now)| *now).collect();
    let mut claimed = compared(world, (&looked, &all), own, MAX_NEW, budget);
    claimed.is_complete &= looked.len() == all.len();
    claimed
}

/// What the rules `own` and others claim of each other in the `looked` at views of `world`, each with what it was
/// before; `most` clashes of each view. A match that takes nothing is told if it takes nothing in any of the views
/// `all`.
///
/// Every view, and everything that is sought in it, may take its part of what is left, so that none takes anything
/// from another.
pub(super) fn compared(
    world: &World,
    (looked, all): (&[(&Snapshot, &Snapshot)], &[&Snapshot]),
    own: &BTreeSet<Key>,
    most: usize,
    budget: &mut Budget,
) -> Claimed {
    let (mut told, mut near_all) = (Told::default(), own.clone());
    let mut is_complete = true;
    budget.keeping(3, |budget| {
        for (at, (old, snapshot)) in looked.iter().enumerate() {
            budget.part(looked.len() - at, |budget| {
                let (moved, near) = budget.part(2, |budget| {
                    let moved = moved(old, snapshot, budget);
                    let near = near(old, snapshot, &moved, budget);
                    (moved, near)
                });
                is_complete &= near.is_complete;
                let others: BTreeSet<Key> = moved.came.difference(own).cloned().collect();
                let of = match others.is_empty() {
                    true => Cow::Borrowed(own),
                    false => Cow::Owned(own.union(&others).cloned().collect()),
                };
                let clashes = budget.keeping(3, |budget| clashes(snapshot, Some(&of), most, budget));
                is_complete &= told.add(world, clashes);
                is_complete &= told.add(world, captures(snapshot, &near.takers, most, budget));
                near_all.extend(others);
                near_all.extend(near.losers);
            });
        }
    });
    let mut missed = Missed::default();
    for (at, (_, snapshot)) in looked.iter().enumerate() {
        let reached = budget.part(looked.len() - at, |budget| reach_of(snapshot, &near_all, budget));
        match reached {
            Ok(one) => missed.add(one),
            Err(_) => missed.is_unproven = true,
        }
    }
    is_complete &= !missed.is_unproven;
    let mut findings = told.findings;
    match budget.afford((missed.found.len() * all.len()) as u64) {
        true => findings.extend(missed.told(world, all, &told.losers)),
        false => is_complete = false,
    }
    Claimed {
        findings,
        is_complete,
    }
}

/// Clashes of several views, each once.
#[derive(Default)]
pub(super) struct Told {
    pub(super) findings: Vec<Finding>,
    known: BTreeSet<(Meeting, Claim, Claim)>,
    /// Matches of which it is said already who takes their requests.
    losers: BTreeSet<Claim>,
    notes: BTreeSet<String>,
}

impl Told {
    /// Adds what was found in one view. Whether that was all.
    pub(super) fn add(&mut self, world: &World, found: Clashes) -> bool {
        if !found.is_complete {
            let note = "more rules meet at one path than are compared with each other: some duplicates, overlaps \
                        and captures may be missing";
            self.notes.insert(note.to_owned());
        }
        if found.omitted > 0 {
            let omitted = found.omitted;
            self.notes.insert(format!(
                "{omitted} more duplicates, overlaps and captures are not told"
            ));
        }
        for clash in found.found {
            if matches!(clash.meeting, Meeting::Same | Meeting::Covered) {
                self.losers.insert(clash.loser.clone());
            }
            let known = (clash.meeting, clash.winner.clone(), clash.loser.clone());
            if self.known.insert(known) {
                self.findings.extend(told(world, clash));
            }
        }
        found.is_complete && found.omitted == 0
    }
}

fn told(world: &World, clash: Clash) -> Option<Finding> {
    let (winner, loser) = (site(world, &clash.winner)?, site(world, &clash.loser)?);
    let because = reason(clash.reason);
    let (rule, at, other, message) = match clash.meeting {
        Meeting::Same => {
            let message = format!(
                "asks for the same as {}, which gets the requests because {because}: remove one of the two, or \
                 tell them apart",
                place(&winner)
            );
            (LintRule::Duplicate, loser, winner, message)
        }
        Meeting::Covered => {
            let message = format!(
                "asks only for requests that {} takes, because {because}: remove it, or let it come first",
                place(&winner)
            );
            (LintRule::Shadowed, loser, winner, message)
        }
        Meeting::Crossed => {
            let message = format!(
                "asks for requests that {} asks for too, which gets them because {because}: make one of the two \
                 narrower than the other, or let them exclude each other",
                place(&winner)
            );
            (LintRule::Overlap, loser, winner, message)
        }
        Meeting::Captured => {
            let message = format!(
                "takes requests that would go to {} of namespace {}, because {because}: see that both teams want that",
                place(&loser),
                loser.resource.namespace
            );
            (LintRule::Capture, winner, loser, message)
        }
    };
    let finding = Finding::new(rule, &at.resource, at.field, message);
    Some(finding.about(at.about).with(Some(clash.witness)).beside(other))
}

fn reason(reason: Reason) -> &'static str {
    match reason {
        Reason::Place => "its hostname or path is narrower",
        Reason::Method => "it names a method",
        Reason::Headers => "it asks for more headers",
        Reason::Query => "it asks for more query parameters",
        Reason::Age => "its route is older",
        Reason::Name => "the name of its route comes first",
        Reason::Order => "it comes first in its route",
    }
}

fn place(spot: &Spot) -> String {
    format!("{} {}", spot.resource, spot.field)
}

/// Where a match was written.
pub(super) fn site(world: &World, claim: &Claim) -> Option<Spot> {
    let resource: ResourceId = format!("{}/{}", Kind::HTTPRoute, claim.rule.owner())
        .parse()
        .ok()?;
    let rule = match world.get(&resource).map(|route| &route.resource.spec) {
        Some(Spec::HttpRoute(spec)) => spec.rules.get(claim.rule_index),
        _ => None,
    };
    let (at, one) = (claim.rule_index, claim.match_index);
    let field = match rule {
        None => "spec.rules".to_owned(),
        Some(rule) if rule.matches.is_empty() => format!("spec.rules[{at}]"),
        Some(_) => format!("spec.rules[{at}].matches[{one}]"),
    };
    let about = rule.and_then(|rule| rule.matches.get(one)).map(written);
    Some(Spot {
        resource,
        field,
        about: about.unwrap_or_default(),
    })
}

/// Matches that take no request, over several views.
#[derive(Default)]
struct Missed {
    /// In how many views, and why in the first of them.
    found: BTreeMap<Claim, (usize, Cause)>,
    is_unproven: bool,
}

impl Missed {
    fn add(&mut self, one: Reach) {
        self.is_unproven |= !one.is_proven;
        for unreached in one.unreached {
            let known = self.found.entry(unreached.claim);
            known.or_insert((0, unreached.cause)).0 += 1;
        }
    }

    /// Those that take none in any of `views` that have them, but for `losers`, of which it is said already.
    fn told(self, world: &World, views: &[&Snapshot], losers: &BTreeSet<Claim>) -> Vec<Finding> {
        let having = |claim: &Claim| {
            let has_it = |view: &&&Snapshot| view.resources().get(&claim.rule).is_some();
            views.iter().filter(has_it).count()
        };
        let found = self.found.into_iter();
        let nowhere = found.filter(|(claim, (count, _))| *count == having(claim) && !losers.contains(claim));
        nowhere
            .filter_map(|(claim, (_, cause))| nothing(world, &claim, cause))
            .collect()
    }
}

/// A match that takes nothing.
fn nothing(world: &World, claim: &Claim, cause: Cause) -> Option<Finding> {
    let own = site(world, claim)?;
    let plain = |rule, message: &str| {
        Finding::new(rule, &own.resource, own.field.clone(), message).about(own.about.clone())
    };
    Some(match cause {
        Cause::Taken(taken) => {
            let other = site(world, &taken.by)?;
            let message = format!(
                "takes no request: {} takes those that it asks for; remove it, or let it come first",
                place(&other)
            );
            plain(LintRule::Shadowed, &message)
                .with(Some(taken.witness))
                .beside(other)
        }
        Cause::Path => plain(
            LintRule::Unmatchable,
            "takes no request, for none has such a path: paths begin with `/`, and are normalised before they are \
             matched; mend it or remove it",
        ),
        Cause::Value => plain(
            LintRule::Unmatchable,
            "takes no request, for none has such a header or query parameter: mend the value or remove it",
        ),
        Cause::Unknown => plain(
            LintRule::Shadowed,
            "takes no request: others take all of its hosts, or all that it asks for",
        ),
    })
}
