//! Rules that claim the same requests, and matches that no request reaches, over all views of a fleet.

use std::collections::{BTreeMap, BTreeSet};

use sluice_core::claims::{Claim, Clash, Limits, Meeting, Reason, clashes};
use sluice_core::{Cause, Snapshot, reach};
use sluice_intent::{Kind, LintRule, ResourceId, Spec};
use sluice_model::Key;

use super::{Finding, Found};
use crate::compile::World;

/// Views that are looked into. What is in further ones is not called unreached.
const MAX_VIEWS: usize = 16;

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
    let limits = Limits {
        work: Limits::TABLE.work / looked.len().max(1) as u64,
        ..Limits::TABLE
    };
    let mut all = Told::default();
    for snapshot in looked {
        all.add(world, snapshot, None, &limits);
    }
    unreached(world, &views, looked.len(), &all.losers, &mut found);
    found.findings.extend(all.findings);
    found.notes.extend(all.notes);
    found
}

/// Rules of a change that claim what others claim, in any view.
pub(super) fn of_rules(world: &World, rules: &BTreeSet<Key>) -> Vec<Finding> {
    let limits = Limits {
        // As much for each as one has alone among its neighbours.
        work: Limits::CHANGE.work.saturating_mul(1 + rules.len() as u64 / 100),
        ..Limits::CHANGE
    };
    let mut all = Told::default();
    for (_, snapshot) in world.views().take(MAX_VIEWS) {
        all.add(world, snapshot, Some(rules), &limits);
    }
    all.findings
}

/// Clashes of several views, each once.
#[derive(Default)]
struct Told {
    findings: Vec<Finding>,
    known: BTreeSet<(Meeting, Claim, Claim)>,
    /// Matches of which it is said already who takes their requests.
    losers: BTreeSet<Claim>,
    notes: BTreeSet<String>,
}

impl Told {
    fn add(&mut self, world: &World, snapshot: &Snapshot, of: Option<&BTreeSet<Key>>, limits: &Limits) {
        let found = clashes(snapshot, of, limits);
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
                loser.0.namespace
            );
            (LintRule::Capture, winner, loser, message)
        }
    };
    let finding = Finding::new(rule, &at.0, at.1, message);
    Some(finding.with(Some(clash.witness)).beside(other))
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

fn place((resource, field): &(ResourceId, String)) -> String {
    format!("{resource} {field}")
}

/// Where a match was written.
fn site(world: &World, claim: &Claim) -> Option<(ResourceId, String)> {
    let id: ResourceId = format!("{}/{}", Kind::HTTPRoute, claim.rule.owner())
        .parse()
        .ok()?;
    let written = match world.get(&id).map(|route| &route.resource.spec) {
        Some(Spec::HttpRoute(spec)) => spec.rules.get(claim.rule_index),
        _ => None,
    };
    let (rule, at) = (claim.rule_index, claim.match_index);
    let field = match written {
        None => "spec.rules".to_owned(),
        Some(written) if written.matches.is_empty() => format!("spec.rules[{rule}]"),
        Some(_) => format!("spec.rules[{rule}].matches[{at}]"),
    };
    Some((id, field))
}

/// Adds the matches that take no request in any of the views that have them; `looked` views are looked into.
fn unreached(world: &World, views: &[&Snapshot], looked: usize, losers: &BTreeSet<Claim>, found: &mut Found) {
    let mut missed: BTreeMap<Claim, (usize, Cause)> = BTreeMap::new();
    let mut is_proven = true;
    for snapshot in &views[..looked] {
        match reach(snapshot) {
            Ok(one) => {
                is_proven &= one.is_proven;
                for unreached in one.unreached {
                    missed.entry(unreached.claim).or_insert((0, unreached.cause)).0 += 1;
                }
            }
            Err(violations) => found.broken.extend(violations),
        }
    }
    if !is_proven {
        let note = "there is more than is looked at: matches that are called shadowed may take requests that were not";
        found.notes.push(note.to_owned());
    }
    for (claim, (count, cause)) in missed {
        let has_it = |view: &&&Snapshot| view.resources().get(&claim.rule).is_some();
        if count == views.iter().filter(has_it).count() && !losers.contains(&claim) {
            found.findings.extend(nothing(world, &claim, cause));
        }
    }
}

/// A match that takes nothing.
fn nothing(world: &World, claim: &Claim, cause: Cause) -> Option<Finding> {
    let (id, field) = site(world, claim)?;
    let plain = |rule, message: &str| Finding::new(rule, &id, field.clone(), message);
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
