//! The same for a few rules, at the cost of what stands where they do.
//!
//! A match on a path, or on what begins with one, can only be kept from requests by those at the same path of the
//! same hostname: a host and an element that nobody names are always left. One on an expression can be by all of its
//! hostname. So a table of these decides, and only for a match whose plainest request others take.

use std::collections::BTreeSet;

use sluice_model::{Key, Kind, PathMatch, Violation};
use sluice_proto::v1;

use super::{Bounds, Cause, Marked, Reach, Unreached, cause, is_served, malformed, matches_of, reached};
use crate::claims::{Claim, Limits, REQUEST, Sampler, places};
use crate::{CompiledRule, Entry, Snapshot};

/// Rules that are compared at once.
const MOST: usize = 500;
/// Comparisons of a rule with a request, for one comparison of two matches that [`Limits::work`] allows.
const EACH: u64 = 20;

/// The matches of the rules `of` that no request reaches; [`Limits::work`] at most. What is not certain is left out,
/// and not proven.
///
/// # Errors
/// When a table cannot be built, which one that serves always can.
pub fn reach_of(snapshot: &Snapshot, of: &BTreeSet<Key>, limits: &Limits) -> Result<Reach, Vec<Violation>> {
    let mut sampler = Sampler::new(limits.states);
    let mut found = Reach {
        unreached: Vec::new(),
        is_proven: true,
    };
    let served = of.iter().filter(|key| is_served(snapshot, key));
    let rules = served.filter_map(|key| snapshot.rules.get(key));
    let claims = rules.flat_map(|rule| (0..rule.rule.matches.len()).map(move |at| claim(rule, at)));
    let mut suspects = Vec::new();
    let mut left = limits.work / REQUEST;
    for claim in claims {
        if left == 0 {
            found.is_proven = false;
            break;
        }
        left -= 1;
        match cause(snapshot, &claim, &mut sampler) {
            None => {}
            Some(cause @ (Cause::Path | Cause::Value)) => found.unreached.push(Unreached { claim, cause }),
            Some(cause @ (Cause::Taken(_) | Cause::Unknown)) => suspects.push(Unreached { claim, cause }),
        }
    }
    if !suspects.is_empty() {
        match unreached(snapshot, &suspects, limits)? {
            Some(missed) => found.unreached.extend(missed),
            None => found.is_proven = false,
        }
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

/// Those of `suspects` that no request reaches; `None` when there is too much to look at.
fn unreached(
    snapshot: &Snapshot,
    suspects: &[Unreached],
    limits: &Limits,
) -> Result<Option<Vec<Unreached>>, Vec<Violation>> {
    let mut rivals = BTreeSet::new();
    for suspect in suspects {
        if !add_rivals(snapshot, &suspect.claim, &mut rivals) {
            return Ok(None);
        }
    }
    let (mut bare, mut marks) = (plain_listeners(snapshot), Vec::new());
    let mut routes = BTreeSet::new();
    for entry in rivals.iter().filter_map(|key| snapshot.resources().get(key)) {
        marks.extend(matches_of(entry)?);
        let route = [entry.key.segment(0), entry.key.segment(1)];
        routes.insert(Key::new(Kind::Route, &route).map_err(|_| malformed(&entry.key))?);
    }
    bare.extend(
        routes
            .iter()
            .filter_map(|key| snapshot.resources().get(key))
            .cloned(),
    );
    let bounds = Bounds {
        work: limits.work.saturating_mul(EACH),
        states: limits.states,
        all_states: limits.states.saturating_mul(10),
        classes: usize::MAX,
        places: 1,
        ..Bounds::default()
    };
    let (reached, is_proven) = reached(bare, &marks, &bounds)?;
    if !is_proven {
        return Ok(None);
    }
    let known = marks.iter().zip(reached).filter(|(_, reached)| *reached);
    let known: BTreeSet<Claim> = known.map(|(mark, _)| Marked::claim(mark)).collect();
    let missed = suspects.iter().filter(|one| !known.contains(&one.claim));
    Ok(Some(missed.cloned().collect()))
}

/// Adds the rules that may keep a claim from requests, and its own. Whether there is room for them.
fn add_rivals(snapshot: &Snapshot, claim: &Claim, rivals: &mut BTreeSet<Key>) -> bool {
    let Some(rule) = snapshot.rules.get(&claim.rule) else {
        return true;
    };
    let Some(wanted) = rule.rule.matches.get(claim.match_index) else {
        return true;
    };
    rivals.insert(claim.rule.clone());
    let mut left = MOST * 4;
    for (listener, hostname) in places(rule) {
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
        rivals.extend(found.into_iter().map(|one| one.rule.rule.key.clone()));
        if left == 0 || rivals.len() > MOST {
            return false;
        }
    }
    true
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
