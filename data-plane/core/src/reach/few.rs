//! The same for a few rules, at the cost of what stands where they do.
//!
//! A match on a path, or on what begins with one, can only be kept from requests by those at the same path of the
//! same hostname: a host and an element that nobody names are always left. One on an expression can be by all of its
//! hostname. So a table of these decides, and only for a match whose plainest request others take.

use std::collections::BTreeSet;

use sluice_model::{Key, Kind, PathMatch, Violation};
use sluice_proto::v1;

use super::{Bounds, Cause, Marked, Reach, Unreached, cause, is_served, malformed, matches_of, reached};
use crate::claims::{Budget, Claim, places};
use crate::{CompiledRule, Entry, Snapshot};

/// Rules that are compared at once.
const MOST: usize = 500;
/// Comparisons of a rule with a request for one step.
const EACH: u64 = 20;
/// Steps that it takes to put a match into a table.
const MARK: u64 = 100;
/// Steps that it takes to put a listener into a table.
const LISTENER: u64 = 40;

/// The matches of the rules `of` that no request reaches. Costs no more than the `budget`. What is not certain is left
/// out, and not proven.
///
/// # Errors
/// When a table cannot be built, which one that serves always can.
pub fn reach_of(
    snapshot: &Snapshot,
    of: &BTreeSet<Key>,
    budget: &mut Budget,
) -> Result<Reach, Vec<Violation>> {
    let mut found = Reach {
        unreached: Vec::new(),
        is_proven: true,
    };
    let served = of.iter().filter(|key| is_served(snapshot, key));
    let rules = served.filter_map(|key| snapshot.rules.get(key));
    let claims = rules.flat_map(|rule| (0..rule.rule.matches.len()).map(move |at| claim(rule, at)));
    let mut suspects = Vec::new();
    // What the suspects need is kept back: whoever takes their requests is no proof.
    budget.part(2, |budget| {
        for claim in claims {
            if !budget.afford(1) {
                found.is_proven = false;
                break;
            }
            match cause(snapshot, &claim, budget) {
                None => {}
                Some(cause @ (Cause::Path | Cause::Value)) => {
                    found.unreached.push(Unreached { claim, cause });
                }
                Some(cause @ (Cause::Taken(_) | Cause::Unknown)) => suspects.push(Unreached { claim, cause }),
            }
        }
    });
    if !suspects.is_empty() {
        let (missed, is_proven) = unreached(snapshot, &suspects, budget)?;
        found.unreached.extend(missed);
        found.is_proven &= is_proven;
    }
    found.unreached.sort_by(|one, other| one.claim.cmp(&other.claim));
    Ok(found)
}

fn claim(rule: &CompiledRule, match_index: usize) -> Claim {
    Claim {
        rule: rule.rule.key.clone(),
        rule_index: rule.rule.index as usize,
        match_index,
    }
}

/// Those of `suspects` that no request reaches, and whether that is certain of the others.
fn unreached(
    snapshot: &Snapshot,
    suspects: &[Unreached],
    budget: &mut Budget,
) -> Result<(Vec<Unreached>, bool), Vec<Violation>> {
    let unknown = || Ok((Vec::new(), false));
    let (mut rivals, mut judged) = (BTreeSet::new(), Vec::new());
    for suspect in suspects {
        // Where too many stand at one path, nothing is said of that one.
        if add_rivals(snapshot, &suspect.claim, &mut rivals, budget) {
            judged.push(suspect);
        }
    }
    let listeners = snapshot.listeners().count() as u64;
    if !budget.afford(LISTENER * listeners) {
        return unknown();
    }
    let (mut bare, mut marks) = (plain_listeners(snapshot), Vec::new());
    let mut routes = BTreeSet::new();
    for entry in rivals.iter().filter_map(|key| snapshot.resources().get(key)) {
        let own = matches_of(entry)?;
        if !budget.afford(MARK * own.len() as u64) {
            return unknown();
        }
        marks.extend(own);
        let route = [entry.key.segment(0), entry.key.segment(1)];
        routes.insert(Key::new(Kind::Route, &route).map_err(|_| malformed(&entry.key))?);
    }
    bare.extend(
        routes
            .iter()
            .filter_map(|key| snapshot.resources().get(key))
            .cloned(),
    );
    // As much again may be done by automata.
    let (found, is_certain) = budget.part(2, |budget| compared(bare, &marks, budget))?;
    if !is_certain {
        return unknown();
    }
    let known = marks.iter().zip(found).filter(|(_, reached)| *reached);
    let known: BTreeSet<Claim> = known.map(|(mark, _)| Marked::claim(mark)).collect();
    let is_proven = judged.len() == suspects.len();
    let missed = judged.into_iter().filter(|one| !known.contains(&one.claim));
    Ok((missed.cloned().collect(), is_proven))
}

/// Which of `marks` some request reaches, and whether that is certain of the others.
fn compared(
    bare: Vec<Entry>,
    marks: &[Marked],
    budget: &mut Budget,
) -> Result<(Vec<bool>, bool), Vec<Violation>> {
    let bounds = Bounds {
        work: budget.left().saturating_mul(EACH),
        classes: usize::MAX,
        places: 1,
        ..Bounds::default()
    };
    let (found, is_certain, work) = budget.counted(|automata| reached(bare, marks, &bounds, automata))?;
    budget.spend(work / EACH);
    Ok((found, is_certain))
}

/// Adds the rules that may keep a claim from requests, and its own, if there is room for them; whether there is.
fn add_rivals(snapshot: &Snapshot, claim: &Claim, rivals: &mut BTreeSet<Key>, budget: &mut Budget) -> bool {
    let Some(rule) = snapshot.rules.get(&claim.rule) else {
        return true;
    };
    let Some(wanted) = rule.rule.matches.get(claim.match_index) else {
        return true;
    };
    let mut own = BTreeSet::from([claim.rule.clone()]);
    let most = usize::try_from(budget.left()).unwrap_or(usize::MAX).min(MOST * 4);
    let mut left = most;
    for (listener, hostname) in places(rule) {
        left = left.saturating_sub(1);
        let Some(table) = snapshot.table.paths(listener, hostname) else {
            continue;
        };
        let found = match &wanted.path {
            PathMatch::Regex(_) => table.below(&wanted.path, &mut left),
            PathMatch::Exact(_) | PathMatch::Prefix(_) => {
                let found: Vec<_> = table.mates(&wanted.path).take(left).collect();
                left -= found.len();
                found
            }
        };
        own.extend(found.into_iter().map(|one| one.rule.rule.key.clone()));
        if left == 0 {
            break;
        }
    }
    budget.spend((most - left) as u64);
    own.retain(|key| !rivals.contains(key));
    let is_room = left > 0 && own.len() + rivals.len() <= MOST;
    if is_room {
        rivals.append(&mut own);
    }
    is_room
}

/// The listeners, all without TLS: who hears what is the same, and certificates are of no use here.
fn plain_listeners(snapshot: &Snapshot) -> Vec<Entry> {
    let plain = snapshot.listeners().map(|listener| {
        let wire = v1::Listener {
            port: u32::from(listener.port),
            hostname: listener.hostname.to_string(),
            protocol: v1::listener::Protocol::Http as i32,
            ..v1::Listener::default()
        };
        Entry::new(listener.key.clone(), &wire)
    });
    plain.collect()
}
