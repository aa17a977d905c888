//! Goes through every kind of requests that may be different, and finds one of each that is.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::ControlFlow,
};

use http::Method;
use regex::Regex;
use sluice_model::{Hostname, Key};

use super::{
    Bounds, Coverage, Unproven,
    automata::{Automata, Start},
    budget::{Budget, SAMPLE},
    catalog::{Catalog, Side},
    cell::{Cell, Spot, free_method},
    demand::{Demand, Values},
    domain::Domain,
    found::{Difference, Found, Name},
    heard::{Entry, Expressions, Heard, first},
    hosts::HostIndex,
    pairs::{Traits, pairs},
    paths::{Below, Kind, each_kind},
    place::Place,
    touched::{Region, Touched, identity},
};
use crate::{Snapshot, trie::PathTable};

/// Why a class is left out, or a place.
const TOO_LARGE: &str = "outcomes with too many headers";

/// What it costs to look at one kind of paths, in comparisons of a rule with a request.
const KIND: u64 = 48;

/// The state of one comparison.
pub(super) struct Engine<'a> {
    snapshots: [&'a Snapshot; 2],
    touched: &'a Touched,
    bounds: &'a Bounds,
    catalog: Catalog,
    automata: &'a mut Automata,
    pub(super) found: Found,
    pub(super) coverage: Coverage,
    budget: Budget,
}

impl<'a> Engine<'a> {
    pub(super) fn new(
        snapshots: [&'a Snapshot; 2],
        touched: &'a Touched,
        bounds: &'a Bounds,
        automata: &'a mut Automata,
    ) -> Self {
        Self {
            snapshots,
            touched,
            bounds,
            catalog: Catalog::default(),
            automata,
            found: Found::default(),
            coverage: Coverage::default(),
            budget: Budget::new(bounds),
        }
    }

    /// How much was done, in comparisons of a rule with a request.
    pub(super) fn work(&self) -> u64 {
        self.budget.done()
    }

    /// Looks into everything that was touched.
    pub(super) fn run(&mut self) {
        let touched = self.touched;
        for (port, regions) in &touched.regions {
            self.port(*port, regions);
        }
    }

    fn port(&mut self, port: u16, regions: &BTreeMap<Hostname, Region>) {
        let is_exact = |name: &Hostname| matches!(name, Hostname::Exact(_));
        let index = match regions.keys().all(is_exact) {
            true => HostIndex::new(regions.keys().cloned()),
            false => {
                let [before, after] = self.snapshots.map(|one| one.table.hostnames(port));
                HostIndex::new(before.into_iter().chain(after))
            }
        };
        let mut kinds: BTreeMap<(usize, &Hostname), Vec<&Region>> = BTreeMap::new();
        for (hostname, region) in regions {
            for below in index.below(hostname) {
                kinds.entry((breadth(below), below)).or_default().push(region);
            }
        }
        for ((_, hostname), regions) in kinds {
            let hosts = index.names(hostname);
            let Some(host) = hosts.first() else { continue };
            if self.budget.is_spent() {
                self.doubt(port, hostname, "/*", "too many hosts and paths");
                continue;
            }
            let sides = self.snapshots.map(|one| Heard::new(one, port, host));
            let spot = Spot::new(port, hostname.clone(), hosts, sides);
            let region = Region::union(regions.into_iter());
            self.budget.spend(region.size());
            self.spot(&spot, &region);
        }
    }

    fn spot(&mut self, spot: &Spot<'a>, region: &Region) {
        let tables: Vec<&PathTable> = spot.sides.iter().flat_map(|side| side.tables.clone()).collect();
        let ended = each_kind(&tables, region, &mut |kind| {
            self.budget.spend(KIND);
            match kind {
                Kind::Point(path) => {
                    let lists = [0, 1].map(|at| spot.sides[at].contenders(path, Expressions::Matching));
                    self.cell(spot, &[path.to_owned()], lists);
                }
                Kind::Below(below) => self.below(spot, &below),
            }
            match self.budget.is_spent() {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        });
        if ended.is_break() {
            self.doubt(spot.port, &spot.hostname, "/*", "too many hosts and paths");
        }
    }

    fn below(&mut self, spot: &Spot<'a>, below: &Below<'_>) {
        let fresh = below.fresh();
        let Some(path) = fresh.first() else { return };
        let lists = [0, 1].map(|at| spot.sides[at].contenders(path, Expressions::All));
        if !self.may_differ(spot, &lists) {
            return;
        }
        let expressions = lists
            .iter()
            .flatten()
            .filter_map(|entry| entry.candidate.expression());
        let patterns: BTreeSet<&str> = expressions.map(Regex::as_str).collect();
        if patterns.is_empty() {
            self.cell(spot, &fresh, lists);
            return;
        }
        let prefix = format!("{}/", below.path);
        let start = Start {
            prefix: &prefix,
            excluded: below.known,
        };
        let patterns: Vec<String> = patterns.into_iter().map(Into::into).collect();
        let mut texts = self.automata.texts(Domain::Path, start, &[], &patterns);
        if !texts.complete {
            self.doubt(
                spot.port,
                &spot.hostname,
                &format!("{prefix}*"),
                "expressions of the path",
            );
            // Samples: what nothing names, and what each of them matches.
            texts.groups.push(fresh);
            for pattern in patterns.iter().take(SAMPLE as usize) {
                let alone = self.automata.texts(Domain::Path, start, &[pattern], &[]);
                texts.groups.extend(alone.groups);
            }
        }
        for paths in &texts.groups {
            let Some(path) = paths.first() else { continue };
            let lists = [0, 1].map(|at| spot.sides[at].contenders(path, Expressions::Matching));
            let classes = self.cell(spot, paths, lists);
            if !texts.complete {
                classes.into_iter().for_each(|class| self.found.doubt(class));
            }
        }
    }

    /// Whether a rule that was touched is among those that may take the request.
    fn may_differ(&self, spot: &Spot<'_>, lists: &[Vec<Entry<'_>>; 2]) -> bool {
        let is_touched = |entry: &Entry<'_>| self.touched.rules.contains(&identity(&entry.candidate.rule));
        spot.is_moved || lists.iter().flatten().any(is_touched)
    }

    /// Looks at all pairs of rules that a request here may have. The classes that were found.
    fn cell(&mut self, spot: &Spot<'a>, paths: &[String], lists: [Vec<Entry<'a>>; 2]) -> Vec<usize> {
        if !self.may_differ(spot, &lists) {
            return Vec::new();
        }
        let cost = self.cost(spot, &lists);
        if !self.budget.afford(cost) {
            self.doubt(spot.port, &spot.hostname, &paths[0], TOO_LARGE);
            return Vec::new();
        }
        let traits =
            [(0, Side::Before), (1, Side::After)].map(|(at, side)| self.traits(spot, (at, side), &lists));
        let cell = Cell {
            free_method: free_method(&lists),
            spot,
            paths,
            lists,
            traits,
        };
        self.coverage.cells += 1;
        let limit = self.budget.of_one_place();
        let pairs = pairs(&cell.traits[0], &cell.traits[1], spot.is_moved, limit);
        self.budget.spend(pairs.looked);
        let mut is_complete = pairs.complete;
        let mut classes = Vec::new();
        for (at, pair) in pairs.found.into_iter().enumerate() {
            if !self.budget.allows_after(at) {
                is_complete = false;
                break;
            }
            let (class, is_certain) = self.pair(&cell, pair);
            classes.extend(class);
            is_complete &= is_certain;
        }
        if !is_complete {
            let reason = match self.budget.is_sampling() {
                true => "too many combinations of rules",
                false => "expressions of headers or query parameters",
            };
            self.doubt(spot.port, &spot.hostname, &paths[0], reason);
            classes.iter().for_each(|class| self.found.doubt(*class));
        }
        classes
    }

    /// About how many bytes would be kept of outcomes that are new.
    fn cost(&self, spot: &Spot<'a>, lists: &[Vec<Entry<'a>>; 2]) -> u64 {
        let of = |(at, side): (usize, Side)| -> u64 {
            let heard = &spot.sides[at];
            let Some(listener) = heard.listener else { return 0 };
            let from = (side, heard.snapshot);
            let costs = lists[at].iter();
            costs
                .map(|entry| self.catalog.cost(from, listener, entry.candidate))
                .sum()
        };
        of((0, Side::Before)) + of((1, Side::After))
    }

    fn traits(
        &mut self,
        spot: &Spot<'a>,
        (at, side): (usize, Side),
        lists: &[Vec<Entry<'a>>; 2],
    ) -> Vec<Traits> {
        let heard = &spot.sides[at];
        let mut traits = Vec::with_capacity(lists[at].len() + 1);
        if let Some(listener) = heard.listener {
            let of = |entry: &Entry<'_>| {
                let from = (side, heard.snapshot);
                self.catalog.traits(from, listener, entry.candidate, self.touched)
            };
            traits.extend(lists[at].iter().map(of));
        }
        if lists[at]
            .last()
            .is_none_or(|last| !last.candidate.is_unconditional())
        {
            let listener = heard.listener.map(AsRef::as_ref);
            traits.push(self.catalog.tail(heard.snapshot, spot.port, listener));
        }
        traits
    }

    /// Finds a request that the two take, and what it experiences. The class, if that is different, and
    /// whether it is certain that there is none if there is none.
    fn pair(&mut self, cell: &Cell<'_, 'a>, pair: (usize, usize)) -> (Option<usize>, bool) {
        let outcomes = [cell.traits[0][pair.0].outcome, cell.traits[1][pair.1].outcome];
        let meeting = cell.meeting(pair);
        if let Some(class) = self.found.class_of(&meeting)
            && !outcomes
                .iter()
                .any(|one| self.catalog.outcome(*one).follows_the_request())
        {
            return (class, true);
        }
        let Some(demand) = Demand::of(cell.wanted(pair)) else {
            return (None, true);
        };
        self.coverage.pairs += 1;
        let method = demand.method.map_or(cell.free_method.as_str(), Method::as_str);
        let mut is_certain = true;
        // First without regard to others: what is found so needs no more.
        for others in [Vec::new(), cell.others(pair)] {
            let ways = demand.ways(self.automata, &others);
            for values in &ways.all {
                if let Some(class) = self.attempt(cell, pair, method, values) {
                    return (class, true);
                }
            }
            is_certain = ways.complete;
            if demand.is_plain() {
                break;
            }
        }
        (None, is_certain)
    }

    /// `None` when the request is taken by others; else the class of its difference, if it has one.
    fn attempt(
        &mut self,
        cell: &Cell<'_, 'a>,
        pair: (usize, usize),
        method: &str,
        values: &Values,
    ) -> Option<Option<usize>> {
        let mut request = cell.request(method, values)?;
        self.budget.spend((pair.0 + pair.1 + 2) as u64);
        let taken =
            request.with_view(|view| [0, 1].map(|at| first(&cell.lists[at], &values.headers, view)))?;
        if taken != [pair.0, pair.1] {
            return None;
        }
        let spot = cell.spot;
        let numbers = [cell.traits[0][pair.0].outcome, cell.traits[1][pair.1].outcome];
        let ends = [(0, 0), (spot.hosts.len() - 1, cell.paths.len() - 1)];
        for (host, path) in ends {
            request.host.clone_from(&spot.hosts[host]);
            request.path.clone_from(&cell.paths[path]);
            let outcomes = numbers.map(|number| self.catalog.outcome(number).clone());
            let Some(difference) = cell.compare(pair, outcomes, &request) else {
                self.doubt(
                    spot.port,
                    &spot.hostname,
                    &request.path,
                    "the tables disagree with themselves",
                );
                continue;
            };
            if !difference.facets.is_empty() {
                return Some(self.note(cell, pair, difference));
            }
        }
        Some(None)
    }

    fn note(&mut self, cell: &Cell<'_, 'a>, pair: (usize, usize), difference: Difference) -> Option<usize> {
        let spot = cell.spot;
        let candidate = |side: usize, at: usize| {
            let entry = cell.lists[side].get(at)?;
            Some((entry.candidate, &spot.sides[side].listener?.key))
        };
        let (before, after) = (candidate(0, pair.0), candidate(1, pair.1));
        let name = Name {
            port: spot.port,
            listeners: [0, 1].map(|side| spot.sides[side].listener.map(|one| Key::clone(&one.key))),
            outcomes: [cell.traits[0][pair.0].outcome, cell.traits[1][pair.1].outcome],
        };
        let place = Place::of(&difference.witness.host, before, after, &spot.hostname);
        let weights = name.outcomes.iter().map(|one| self.catalog.weight(*one)).sum();
        if !self.found.has(&name) && !self.budget.afford(weights) {
            self.doubt(spot.port, &spot.hostname, &cell.paths[0], TOO_LARGE);
            return None;
        }
        let bounds = (self.bounds.classes, self.bounds.places);
        self.found
            .add(name, cell.meeting(pair), difference, place, bounds)
    }

    fn doubt(&mut self, port: u16, hostname: &Hostname, path: &str, reason: &'static str) {
        self.coverage.unproven_count += 1;
        if self.coverage.unproven.len() < self.bounds.places {
            self.coverage.unproven.push(Unproven {
                port,
                host: match hostname {
                    Hostname::Any => "*".into(),
                    name => name.to_string(),
                },
                path: path.into(),
                reason,
            });
        }
    }
}

/// Broader hostnames are smaller.
fn breadth(hostname: &Hostname) -> usize {
    match hostname {
        Hostname::Any => 0,
        Hostname::Wildcard(suffix) => suffix.len(),
        Hostname::Exact(_) => usize::MAX,
    }
}
