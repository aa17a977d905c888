//! What holds of every difference.

use std::collections::{BTreeSet, HashMap, HashSet};

use proptest::prelude::*;
use sluice_core::{
    Cause, Matched, RequestView, Snapshot,
    claims::{Budget, Claim, Meeting, clashes, moved, near},
    diff::{Bounds, Diff, Facet, Outcome, changes, diff, outcome},
    reach, reach_of,
};
use sluice_model::{Match, PathMatch};

use crate::{
    grid,
    state::{State, change},
    world::{full, step},
};

/// What a class says of itself.
type Said = (u16, Outcome, Outcome);

/// Where a rule stands, or nothing; with its port and listener it decides the outcome.
type Stands = Option<(usize, usize)>;

fn stands(matched: Option<Matched<'_>>) -> Stands {
    matched.map(|matched| (std::ptr::from_ref(&**matched.rule).addr(), matched.match_index))
}

/// The differences that requests of the grid experience, found one request at a time.
fn by_brute_force(before: &Snapshot, after: &Snapshot) -> HashMap<Said, BTreeSet<Facet>> {
    let mut found: HashMap<Said, BTreeSet<Facet>> = HashMap::new();
    // Requests that the same two rules take for the same host and path experience the same.
    let mut seen = HashSet::new();
    grid::each(|port, request| {
        let taken = [before, after].map(|one| stands(one.route(port, request)));
        if !seen.insert((port, request.host.to_owned(), request.path.to_owned(), taken)) {
            return;
        }
        let facets = changes((before, after), port, request);
        if !facets.is_empty() {
            let [old, new] = [before, after].map(|one| outcome(one, port, request));
            found.entry((port, old, new)).or_default().extend(facets);
        }
    });
    found
}

fn said(diff: &Diff) -> HashMap<Said, BTreeSet<Facet>> {
    let mut said: HashMap<Said, BTreeSet<Facet>> = HashMap::new();
    for class in &diff.classes {
        let outcomes = (class.port, class.before.clone(), class.after.clone());
        said.entry(outcomes).or_default().extend(&class.facets);
    }
    said
}

fn snapshots(before: &State, after: &State, is_step: bool) -> (Snapshot, Snapshot) {
    let old = full(&before.resources(), 1);
    // Built from the one before it, as proposals are, or by itself: nothing is shared then.
    let new = match is_step {
        true => step(&old, &after.resources(), 2),
        false => full(&after.resources(), 2),
    };
    (old, new)
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 2_000, ..ProptestConfig::with_cases(cases()) })]

    #[test]
    fn no_request_of_the_grid_differs_outside_of_the_classes(
        (before, after) in change(), is_step in any::<bool>(),
    ) {
        let (old, new) = snapshots(&before, &after, is_step);
        let diff = diff(&old, &new, &Bounds::default());
        prop_assert_eq!(diff.coverage.unproven_count, 0, "{:?}", diff.coverage);
        let said = said(&diff);
        for (outcomes, facets) in by_brute_force(&old, &new) {
            let class = said.get(&outcomes);
            prop_assert!(class.is_some(), "missed {:#?} of {:#?}", outcomes, diff.classes);
            let class = class.unwrap();
            prop_assert!(class.is_superset(&facets), "{:?} of {:?}: {:#?}", facets, class, outcomes);
        }
    }

    #[test]
    fn every_witness_really_differs_and_classes_can_be_told_apart(
        (before, after) in change(), is_step in any::<bool>(),
    ) {
        let (old, new) = snapshots(&before, &after, is_step);
        let diff = diff(&old, &new, &Bounds::default());
        let mut seen = HashSet::new();
        for class in &diff.classes {
            let ask = |request: &RequestView<'_>| {
                let outcomes = [&old, &new].map(|one| outcome(one, class.port, request));
                let facets = changes((&old, &new), class.port, request);
                let key = |one: &Snapshot| one.listener_for(class.port, request.host).map(|one| one.key.to_string());
                (outcomes, facets, [key(&old), key(&new)])
            };
            let (outcomes, facets, listeners) = class.witness.with_view(ask).unwrap();
            prop_assert_eq!(outcomes, [class.before.clone(), class.after.clone()], "{:#?}", class);
            prop_assert!(!facets.is_empty() && class.facets.is_superset(&facets), "{:?} {:#?}", facets, class);
            prop_assert_eq!(&listeners, &[class.listener_before.clone(), class.listener_after.clone()]);
            prop_assert!(class.place_count >= 1 && !class.places.is_empty());
            prop_assert!(seen.insert((class.port, listeners, class.before.clone(), class.after.clone())));
        }
    }

    #[test]
    fn a_match_that_takes_a_request_of_the_grid_is_reached((state, _) in change()) {
        let snapshot = full(&state.resources(), 1);
        let found = reach(&snapshot).unwrap();
        prop_assume!(found.is_proven);
        let unreached: HashSet<_> = found.unreached.iter().map(|one| (one.claim.rule.to_string(), one.claim.match_index)).collect();
        let mut wrong = None;
        grid::each(|port, request| {
            let matched = snapshot.route(port, request);
            let taken = matched.map(|matched| (matched.rule.rule.key.to_string(), matched.match_index));
            if let Some(taken) = taken.filter(|taken| unreached.contains(taken)) {
                wrong = Some((taken, request.host.to_owned(), request.path.to_owned()));
            }
        });
        prop_assert!(wrong.is_none(), "{:?}", wrong);
        for one in &found.unreached {
            if let Cause::Taken(taken) = &one.cause {
                prop_assert!(taken.by != one.claim, "{:?}", one);
            }
        }
    }

    #[test]
    fn few_are_unreached_where_all_are_looked_at_and_only_what_is_near_a_change_becomes_so((before, after) in change()) {
        let (old, new) = snapshots(&before, &after, false);
        let missed = |snapshot: &Snapshot| {
            let found = reach(snapshot).unwrap();
            (found.unreached.into_iter().map(|one| one.claim).collect::<BTreeSet<_>>(), found.is_proven)
        };
        let [(were, was_proven), (are, is_proven)] = [&old, &new].map(missed);
        prop_assume!(was_proven && is_proven);
        let all: BTreeSet<_> = new.rules().map(|rule| rule.rule.key.clone()).collect();
        let mut budget = Budget::new(Budget::TABLE);
        let few = reach_of(&new, &all, &mut budget).unwrap();
        prop_assert!(few.is_proven);
        let few: BTreeSet<_> = few.unreached.into_iter().map(|one| one.claim).collect();
        prop_assert_eq!(&few, &are);
        let moved = moved(&old, &new, &mut budget);
        let near = near(&old, &new, &moved, &mut budget);
        prop_assert!(near.is_complete);
        for claim in are.difference(&were) {
            let is_near = moved.came.contains(&claim.rule) || near.losers.contains(&claim.rule);
            prop_assert!(is_near, "{:?} of {:?}", claim, (&moved, &near));
        }
    }

    #[test]
    fn both_sides_of_a_clash_ask_for_its_request_and_who_is_covered_asks_for_nothing_else((state, _) in change()) {
        let snapshot = full(&state.resources(), 1);
        let found = clashes(&snapshot, None, 2_000, &mut Budget::new(Budget::TABLE)).found;
        for clash in &found {
            let both = [&clash.winner, &clash.loser].map(|one| wanted(&snapshot, one));
            let asked = clash.witness.with_view(|view| both.each_ref().map(|one| asks_for(one, view)));
            prop_assert_eq!(asked, Some([true, true]), "{:#?}", clash);
        }
        let covered = found.iter().filter(|one| matches!(one.meeting, Meeting::Same | Meeting::Covered));
        for clash in covered.take(2) {
            let [winner, loser] = [&clash.winner, &clash.loser].map(|one| wanted(&snapshot, one));
            let mut wrong = None;
            grid::each(|_, request| {
                if asks_for(&loser, request) && !asks_for(&winner, request) {
                    wrong = Some((request.path.to_owned(), request.query.map(str::to_owned)));
                }
            });
            prop_assert!(wrong.is_none(), "{:?}: {:#?}", wrong, clash);
        }
    }

    #[test]
    fn nothing_differs_from_itself_and_there_and_back_are_the_same_classes(
        (before, after) in change(),
    ) {
        let (old, new) = snapshots(&before, &after, false);
        let same = diff(&old, &full(&before.resources(), 3), &Bounds::default());
        prop_assert!(same.classes.is_empty() && same.listeners.is_empty() && same.shifts.is_empty());
        let there = said(&diff(&old, &new, &Bounds::default()));
        let back = said(&diff(&new, &old, &Bounds::default()));
        let turned = back.into_keys().map(|(port, after, before)| (port, before, after));
        prop_assert_eq!(there.into_keys().collect::<HashSet<_>>(), turned.collect::<HashSet<_>>());
    }
}

fn wanted(snapshot: &Snapshot, claim: &Claim) -> Match {
    let mut rules = snapshot.rules();
    let rule = rules.find(|rule| rule.rule.key == claim.rule).unwrap();
    rule.rule.matches[claim.match_index].clone()
}

/// Whether a match takes a request, whatever stands before it; hosts aside.
fn asks_for(wanted: &Match, request: &RequestView<'_>) -> bool {
    let is_on_path = match &wanted.path {
        PathMatch::Exact(path) => **path == *request.path,
        PathMatch::Prefix(prefix) => {
            let rest = request.path.strip_prefix(&**prefix);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        }
        PathMatch::Regex(regex) => regex.is_match(request.path),
    };
    is_on_path && request.unmet(wanted).is_none()
}

/// Few unless asked for: brute force takes its time in a debug build.
fn cases() -> u32 {
    let asked = std::env::var("PROPTEST_CASES").ok();
    asked.and_then(|cases| cases.parse().ok()).unwrap_or(48)
}
