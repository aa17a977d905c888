//! What is counted, and the classes in their order.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashMap},
};

use foldhash::fast::FixedState;
use serde::Serialize;

use super::{
    ReplayBounds, Sample,
    margin::{Interval, effective_size},
    meeting::{Met, Seen},
    share::moved,
};
use crate::diff::{facet::Facet, outcome::Outcome, witness::Witness};

/// A part of the requests that is none: parts are sums of fractions in floating point.
const NOTHING: f64 = 1e-9;

/// What became of all requests that were replayed.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Replayed {
    /// How many of them there were, and how many of them change.
    #[serde(flatten)]
    pub totals: Totals,
    /// Those whose outcome changes: first what fails from now on, then what most requests are moved by.
    pub classes: Vec<ReplayClass>,
    /// How many classes there are.
    pub class_count: usize,
    /// Requests of which too little is known.
    pub not_judged: NotJudged,
    /// Requests that were judged as if they had not had a header, because it was not recorded, while a rule
    /// on their path asks for it: by its name; `?` is the query.
    pub assumed: BTreeMap<String, u64>,
    /// How many these are.
    pub assumed_requests: u64,
    /// Requests of which the port is not known, while rules of several take them.
    pub port_not_recorded: u64,
}

/// Numbers of requests; percentages are of those that were judged.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Totals {
    /// All.
    pub requests: u64,
    /// Kinds of them: what differs in anything is another kind.
    pub keys: u64,
    /// Of which enough is known.
    pub judged: u64,
    /// Whose outcome is another in anything.
    pub changed: u64,
    /// Answered by somebody else: another backend, redirect or status. Of a split or an experiment only those
    /// that its change moves, so it is a number to expect.
    pub target: f64,
    /// The same in percent.
    pub target_percent: f64,
    /// Of those: served now and failing then, or the reverse, or failing in another way.
    pub status: u64,
    /// The same in percent.
    pub status_percent: f64,
    /// Answered by the same, and different in something else.
    pub other: u64,
    /// The same in percent.
    pub other_percent: f64,
    /// Squares of what the kinds stand for that were judged, added up: says how good a sample they are.
    #[serde(skip)]
    pub squares: u128,
}

impl Totals {
    /// As how many draws of one request each what was judged counts.
    pub fn effective_size(&self) -> f64 {
        effective_size(self.judged as f64, self.squares as f64)
    }

    /// Where such a part of what was judged lies, if it is a sample: `part` of its requests.
    pub fn interval(&self, part: f64) -> Interval {
        Interval::wilson(part / self.judged.max(1) as f64, self.effective_size())
    }
}

/// Requests of which too little is known.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NotJudged {
    /// All of them.
    pub requests: u64,
    /// With a header of which only a hash is known, while an expression on their path is for its value, or of
    /// which not even that is known; by its name.
    pub hidden: BTreeMap<String, u64>,
    /// Past the bound on classes.
    pub beyond: u64,
}

/// Requests whose outcome changes from one thing to one other.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReplayClass {
    /// What happens to them now.
    pub before: Outcome,
    /// What will.
    pub after: Outcome,
    /// What of it changed for one of them at least, the most important first.
    pub facets: BTreeSet<Facet>,
    /// How many.
    pub requests: u64,
    /// Of all that were judged.
    pub percent: f64,
    /// How many of them are answered by somebody else, as a number to expect.
    pub target: f64,
    /// Kinds of them.
    pub keys: u64,
    /// Those that most requests are like; at most as many as the bound says.
    pub examples: Vec<Example>,
}

/// A kind of request that was made.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Example {
    /// It.
    #[serde(flatten)]
    pub request: Witness,
    /// How often it was made.
    pub requests: u64,
    /// Where it is redirected to now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location_before: Option<String>,
    /// Where it will be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location_after: Option<String>,
}

/// A class as it grows.
#[derive(Debug, Default)]
struct Group {
    facets: BTreeSet<Facet>,
    requests: u64,
    target: f64,
    keys: u64,
    /// The most frequent first.
    examples: Vec<Example>,
}

/// Numbers and classes so far. Sums end at the largest number.
#[derive(Debug)]
pub struct Found {
    bounds: ReplayBounds,
    bytes: u64,
    replayed: Replayed,
    numbers: HashMap<[Outcome; 2], usize, FixedState>,
    groups: Vec<Group>,
    /// Outcomes of classes whose requests are looked at one by one.
    dependent: HashMap<usize, [Outcome; 2], FixedState>,
}

impl Found {
    /// Nothing yet.
    pub fn new(bounds: ReplayBounds) -> Self {
        Self {
            bounds,
            bytes: bounds.bytes,
            replayed: Replayed::default(),
            numbers: HashMap::default(),
            groups: Vec::new(),
            dependent: HashMap::default(),
        }
    }

    /// What comes of a meeting that was not seen before.
    pub(super) fn meet(&mut self, seen: &Seen<'_, '_>) -> Met {
        let outcomes = seen.outcomes();
        if outcomes[0] == outcomes[1] {
            return Met::Same;
        }
        let depends = outcomes.iter().any(Outcome::follows_the_request);
        let facets = seen.facets(&outcomes);
        if facets.is_empty() && !depends {
            return Met::Same;
        }
        let moved = moved(&outcomes, &facets);
        let Some(class) = self.number(outcomes, depends, seen.cost()) else {
            return Met::Beyond;
        };
        if depends {
            return Met::Depends { class };
        }
        if let Some(group) = self.groups.get_mut(class) {
            group.facets.extend(facets);
        }
        Met::Changed { class, moved }
    }

    /// The number of a class; `None` past the bounds.
    fn number(&mut self, outcomes: [Outcome; 2], depends: bool, cost: u64) -> Option<usize> {
        if let Some(class) = self.numbers.get(&outcomes) {
            return Some(*class);
        }
        let cost = if depends { 2 * cost } else { cost };
        let class = self.groups.len();
        if class >= self.bounds.classes {
            return None;
        }
        self.bytes = self.bytes.checked_sub(cost)?;
        if depends {
            self.dependent.insert(class, outcomes.clone());
        }
        self.numbers.insert(outcomes, class);
        self.groups.push(Group::default());
        Some(class)
    }

    /// Counts a request.
    pub(super) fn add(&mut self, sample: &Sample<'_>, seen: &Seen<'_, '_>, met: Met) {
        self.count(sample);
        let weight = sample.weight;
        match met {
            Met::Beyond => {
                more(&mut self.replayed.not_judged.requests, weight);
                more(&mut self.replayed.not_judged.beyond, weight);
                return;
            }
            Met::Same => {}
            Met::Changed { class, moved } => self.change(class, weight, moved, seen),
            Met::Depends { class } => {
                let Some(outcomes) = self.dependent.get(&class) else {
                    return;
                };
                let facets = seen.facets(outcomes);
                if !facets.is_empty() {
                    let moved = moved(outcomes, &facets);
                    if let Some(group) = self.groups.get_mut(class) {
                        group.facets.extend(facets);
                    }
                    self.change(class, weight, moved, seen);
                }
            }
        }
        let totals = &mut self.replayed.totals;
        more(&mut totals.judged, weight);
        let square = u128::from(weight) * u128::from(weight);
        totals.squares = totals.squares.saturating_add(square);
    }

    fn change(&mut self, class: usize, weight: u64, moved: f64, seen: &Seen<'_, '_>) {
        let Some(group) = self.groups.get_mut(class) else {
            return;
        };
        let totals = &mut self.replayed.totals;
        let target = weight as f64 * moved;
        group.keys += 1;
        more(&mut group.requests, weight);
        group.target += target;
        more(&mut totals.changed, weight);
        totals.target += target;
        // That follows from the outcomes alone, so it is so for all requests of the class.
        if group.facets.contains(&Facet::Status) {
            more(&mut totals.status, weight);
        }
        if moved < NOTHING {
            more(&mut totals.other, weight);
        }
        let is_full = group.examples.len() >= self.bounds.examples;
        if is_full && group.examples.last().is_none_or(|last| last.requests >= weight) {
            return;
        }
        let at = group.examples.partition_point(|one| one.requests >= weight);
        let [location_before, location_after] = seen.locations();
        group.examples.truncate(self.bounds.examples.saturating_sub(1));
        group.examples.insert(
            at.min(group.examples.len()),
            Example {
                request: seen.witness(),
                requests: weight,
                location_before,
                location_after,
            },
        );
    }

    /// Counts a request with a header whose value would have to be known.
    pub(super) fn hidden(&mut self, sample: &Sample<'_>, name: &str) {
        self.count(sample);
        let not_judged = &mut self.replayed.not_judged;
        more(&mut not_judged.requests, sample.weight);
        add(&mut not_judged.hidden, name, sample.weight);
    }

    /// Notes that a request is judged as if it had no such header.
    pub(super) fn assumed(&mut self, sample: &Sample<'_>, name: &str) {
        more(&mut self.replayed.assumed_requests, sample.weight);
        add(&mut self.replayed.assumed, name, sample.weight);
    }

    /// Notes that it is not known on which of several ports a request came in.
    pub(super) fn portless(&mut self, sample: &Sample<'_>) {
        more(&mut self.replayed.port_not_recorded, sample.weight);
    }

    /// Whether something changes for the request.
    pub(super) fn is_change(&self, met: Met, seen: &Seen<'_, '_>) -> bool {
        match met {
            Met::Same => false,
            Met::Changed { .. } | Met::Beyond => true,
            Met::Depends { class } => {
                let outcomes = self.dependent.get(&class);
                outcomes.is_some_and(|outcomes| !seen.facets(outcomes).is_empty())
            }
        }
    }

    fn count(&mut self, sample: &Sample<'_>) {
        more(&mut self.replayed.totals.requests, sample.weight);
        self.replayed.totals.keys += 1;
    }

    /// The numbers so far; percentages are reckoned at the end.
    pub fn totals(&self) -> Totals {
        self.replayed.totals
    }

    /// The classes in their order, and what part of all they are.
    pub fn finish(mut self) -> Replayed {
        let totals = &mut self.replayed.totals;
        let judged = totals.judged;
        totals.target_percent = percent(totals.target, judged);
        totals.status_percent = percent(totals.status as f64, judged);
        totals.other_percent = percent(totals.other as f64, judged);
        let mut groups: Vec<Option<Group>> = self.groups.into_iter().map(Some).collect();
        let class = |(outcomes, at): ([Outcome; 2], usize)| {
            let group = groups.get_mut(at)?.take().filter(|group| group.requests > 0)?;
            let [before, after] = outcomes;
            Some(ReplayClass {
                before,
                after,
                facets: group.facets,
                requests: group.requests,
                percent: percent(group.requests as f64, judged),
                target: group.target,
                keys: group.keys,
                examples: group.examples,
            })
        };
        let mut classes: Vec<_> = self.numbers.into_iter().filter_map(class).collect();
        classes.sort_by_cached_key(ReplayClass::rank);
        self.replayed.class_count = classes.len();
        self.replayed.classes = classes;
        self.replayed
    }
}

impl ReplayClass {
    /// What comes first.
    fn rank(&self) -> impl Ord + use<> {
        let fails_now = !self.before.is_failing() && self.after.is_failing();
        let example = self.examples.first().map(|one| one.request.url());
        (
            !fails_now,
            // Whole requests are enough to tell them apart.
            Reverse(self.target.round() as u64),
            self.facets.first().copied(),
            Reverse(self.requests),
            example,
        )
    }
}

fn add(counts: &mut BTreeMap<String, u64>, name: &str, weight: u64) {
    match counts.get_mut(name) {
        Some(count) => more(count, weight),
        None => drop(counts.insert(name.to_owned(), weight)),
    }
}

fn more(sum: &mut u64, weight: u64) {
    *sum = sum.saturating_add(weight);
}

fn percent(part: f64, whole: u64) -> f64 {
    match whole {
        0 => 0.0,
        whole => part * 100.0 / whole as f64,
    }
}
