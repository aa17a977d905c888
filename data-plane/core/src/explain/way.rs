//! The way of a request through the table, step by step, in words.

use sluice_model::Hostname;

use super::lost::{host, place, written};
use crate::candidate::Candidate;
use crate::explanation::{Decision, Share, Step};
use crate::request::RequestView;
use crate::table::RouteTable;
use crate::trie::{PathTable, Standing, Station};

/// Most things that a step names besides what came of it.
const MAX_CONSIDERED: usize = 20;

/// A request, where it came in, and who took it.
#[derive(Clone, Copy)]
pub(super) struct Way<'a> {
    pub(super) table: &'a RouteTable,
    pub(super) port: u16,
    pub(super) request: &'a RequestView<'a>,
    pub(super) winner: Option<&'a Candidate>,
}

impl Step {
    pub(super) fn new(stage: &'static str, found: impl Into<String>) -> Self {
        Self {
            stage,
            found: found.into(),
            considered: Vec::new(),
        }
    }

    /// Only as many of `others` are made as are told.
    pub(super) fn considering(mut self, mut others: impl Iterator<Item = String>) -> Self {
        self.considered.extend(others.by_ref().take(MAX_CONSIDERED));
        if others.next().is_some() {
            self.considered.push("and more".to_owned());
        }
        self
    }
}

impl Way<'_> {
    /// The steps from the listener to `decision`; the one before says which port it is.
    pub(super) fn steps(&self, port: Step, decision: &Decision) -> Vec<Step> {
        let mut steps = vec![port, self.listener()];
        if !matches!(decision, Decision::NoListener) {
            let tables = self.table.named_tables(self.port, self.request.host);
            let took = |(_, table): &(Hostname, &PathTable)| table.find(self.request).is_some();
            let taken = tables.iter().position(took);
            steps.push(host_step(&tables, taken, self.request));
            steps.extend(self.path(&tables, taken));
        }
        steps.push(Step::new("decision", told(decision)));
        steps
    }

    fn listener(&self) -> Step {
        let (port, asked) = (self.port, named(self.request));
        let mut all = self.table.listeners_for(port, self.request.host);
        let Some(listener) = all.next() else {
            let others = self.table.listeners().filter(|one| one.port == port);
            return Step::new("listener", format!("none of port {port} takes {asked}"))
                .considering(others.map(|one| place(one)));
        };
        let (key, own) = (&listener.key, host(&listener.hostname));
        let found = format!("{key}: of the hostnames of port {port}, {own} is the most specific for {asked}");
        Step::new("listener", found).considering(all.map(|one| format!("{}: less specific", place(one))))
    }

    fn path(&self, tables: &[(Hostname, &PathTable)], taken: Option<usize>) -> Vec<Step> {
        let path = self.request.path;
        let Some((_, table)) = taken.and_then(|at| tables.get(at)) else {
            let stations = tables.iter().flat_map(|(name, table)| {
                let stations = table.stations(path).into_iter();
                stations.map(move |station| format!("{}: {}", host(name), passed(&station, path)))
            });
            let found = format!("nothing takes {path}");
            return vec![Step::new("path", found).considering(stations)];
        };
        let Some(winner) = self.winner else {
            return Vec::new();
        };
        let stations = table.stations(path);
        let stops = |station: &Station<'_>| station.candidates.position(&winner.rule, winner.at);
        let Some((at, place)) = (0..).zip(&stations).find_map(|(at, one)| Some((at, stops(one)?))) else {
            return Vec::new();
        };
        let found = match stations[at].standing {
            Standing::Exact => format!("{path}, exactly"),
            Standing::Prefix(depth) => format!("{path} is below {}", prefix(path, depth)),
            Standing::Regex => {
                let expression = winner.expression().map_or("", written);
                format!("{path} matches {expression}")
            }
        };
        let considered = stations[..at].iter().map(|station| passed(station, path));
        let (number, all, key) = (place + 1, stations[at].candidates.len(), &winner.rule.rule.key);
        let order = format!("match {} of {key} is number {number} of {all} there", winner.at);
        vec![
            Step::new("path", found).considering(considered),
            Step::new("order", order),
        ]
    }
}

fn host_step(tables: &[(Hostname, &PathTable)], taken: Option<usize>, request: &RequestView<'_>) -> Step {
    let asked = named(request);
    let found = match taken.and_then(|at| tables.get(at)) {
        Some((name @ Hostname::Exact(_), _)) => format!("{name}, exactly"),
        Some((name @ Hostname::Wildcard(_), _)) => format!("{asked} is below {name}"),
        Some((Hostname::Any, _)) => "routes for any host".to_owned(),
        None if tables.is_empty() => format!("no route of the listener takes {asked}"),
        None => format!("no match of the hostnames that take {asked} takes the request"),
    };
    let others = (0..).zip(tables).filter(|(at, _)| Some(*at) != taken);
    let others = others.map(|(at, (name, _))| match taken {
        Some(taken) if taken < at => format!("{}: less specific, not asked", host(name)),
        Some(_) | None => format!("{}: nothing there takes it", host(name)),
    });
    Step::new("host", found).considering(others)
}

fn named(request: &RequestView<'_>) -> String {
    match request.host {
        "" => "a request without a host".to_owned(),
        host => host.to_owned(),
    }
}

/// A list that the request came by.
fn passed(station: &Station<'_>, path: &str) -> String {
    let count = station.candidates.len();
    let matches = if count == 1 { "match" } else { "matches" };
    match station.standing {
        Standing::Exact => format!("exactly {path}: {count} {matches}, none takes it"),
        Standing::Prefix(depth) => {
            let prefix = prefix(path, depth);
            format!("below {prefix}: {count} {matches}, none takes it")
        }
        Standing::Regex => format!("expressions: {count} {matches}, none takes it"),
    }
}

/// The first `depth` elements of `path`.
fn prefix(path: &str, depth: usize) -> &str {
    let mut ends = memchr::memchr_iter(b'/', path.as_bytes())
        .skip(1)
        .chain([path.len()]);
    match depth.checked_sub(1).and_then(|last| ends.nth(last)) {
        Some(end) => &path[..end],
        None => "/",
    }
}

/// A decision in a sentence.
fn told(decision: &Decision) -> String {
    match decision {
        Decision::NoListener | Decision::NoRoute => "404".to_owned(),
        Decision::Redirect { status, location, .. } => format!("{status} to {location}"),
        Decision::Preflight { .. } => "204, to a browser's question whether a page may".to_owned(),
        Decision::NoBackends { .. } => "500: the rule has nowhere to send it".to_owned(),
        Decision::Split { backends, .. } => format!("sent on by weight: {}", shares(backends)),
        Decision::Experiment {
            variant,
            slot,
            forced,
            backends,
            ..
        } => {
            let why = match slot {
                _ if *forced => ", forced by a header".to_owned(),
                Some(slot) => format!(" by slot {slot}"),
                None => String::new(),
            };
            format!("variant {variant}{why}: {}", shares(backends))
        }
    }
}

fn shares(backends: &[Share]) -> String {
    let all = backends.iter().map(|share| {
        let to = share
            .backend
            .as_deref()
            .unwrap_or("500, as the reference dangles,");
        format!("{to} {:.1}%", share.percent)
    });
    all.collect::<Vec<_>>().join(", ")
}
