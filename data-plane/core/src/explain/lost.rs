//! The first predicate that kept a match from a request, and how that is told.

use std::cmp::Reverse;

use sluice_model::{Hostname, Listener, PathMatch, ValueMatch};

use crate::candidate::Candidate;
use crate::explanation::NearMiss;
use crate::request::{CREDENTIALS, RequestView, Unmet};
use crate::table::RouteTable;

/// Most names that one near miss lists.
const MAX_NAMES: usize = 3;

/// Why a match did not get a request. The order is that in which predicates are asked, the last first: the
/// smaller, the nearer.
#[derive(Clone, Copy, Debug)]
pub(super) enum Lost<'a> {
    /// All holds, and another match goes before it.
    Precedence,
    Unmet(Unmet<'a>),
    Path,
    Host,
    /// Its route is not attached to the listener that the request came through.
    Listener,
}

impl<'a> Lost<'a> {
    /// The first predicate of `candidate` that does not hold for a request which came through `listener`.
    pub(super) fn first(
        candidate: &'a Candidate,
        listener: Option<&Listener>,
        request: &RequestView<'_>,
    ) -> Self {
        let mut here = hostnames(candidate, listener).peekable();
        if here.peek().is_none() {
            return Self::Listener;
        }
        if !here.any(|hostname| hostname.matches(request.host)) {
            return Self::Host;
        }
        let wanted = candidate.conditions();
        if !holds(&wanted.path, request.path) {
            return Self::Path;
        }
        request.unmet(wanted).map_or(Self::Precedence, Self::Unmet)
    }

    /// Smaller is nearer.
    pub(super) fn distance(self) -> u8 {
        match self {
            Self::Precedence => 0,
            Self::Unmet(Unmet::Query(_)) => 1,
            Self::Unmet(Unmet::Header(_)) => 2,
            Self::Unmet(Unmet::Method(_)) => 3,
            Self::Path => 4,
            Self::Host => 5,
            Self::Listener => 6,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Precedence => "precedence",
            Self::Unmet(Unmet::Query(_)) => "query",
            Self::Unmet(Unmet::Header(_)) => "header",
            Self::Unmet(Unmet::Method(_)) => "method",
            Self::Path => "path",
            Self::Host => "host",
            Self::Listener => "listener",
        }
    }
}

/// What near misses are told with.
#[derive(Clone, Copy)]
pub(super) struct Teller<'a> {
    pub(super) table: &'a RouteTable,
    pub(super) request: &'a RequestView<'a>,
    pub(super) listener: Option<&'a Listener>,
    /// Who got the request.
    pub(super) winner: Option<&'a Candidate>,
    pub(super) tells_values: bool,
}

impl Teller<'_> {
    pub(super) fn near_miss(&self, candidate: &Candidate, lost: Lost<'_>) -> NearMiss {
        let mut precedence = None;
        let detail = match lost {
            Lost::Listener => self.other_listener(candidate),
            Lost::Host => self.other_host(candidate),
            Lost::Path => other_path(&candidate.conditions().path, self.request.path),
            Lost::Unmet(unmet) => self.unmet(unmet),
            Lost::Precedence => {
                let won = self.winner.map(|winner| self.precedence(winner, candidate));
                precedence = won.as_ref().map(|(by, _)| *by);
                won.map_or_else(String::new, |(_, text)| text)
            }
        };
        NearMiss {
            rule: candidate.rule.rule.key.to_string(),
            match_index: candidate.at,
            lost_by: lost.name(),
            detail,
            precedence,
        }
    }

    fn other_listener(&self, candidate: &Candidate) -> String {
        let attached = candidate.rule.route.attachments.iter().map(|to| {
            let listener = self.table.get(&to.listener);
            listener.map_or_else(|| to.listener.to_string(), |listener| place(listener))
        });
        format!("its route is attached to {}", some(attached))
    }

    fn other_host(&self, candidate: &Candidate) -> String {
        let names = || hostnames(candidate, self.listener);
        let own = |name: &Hostname| {
            let suffix = match name {
                Hostname::Wildcard(suffix) => suffix,
                Hostname::Exact(_) | Hostname::Any => return false,
            };
            suffix.strip_prefix('.') == Some(self.request.host)
        };
        let asked = match self.request.host {
            "" => "the request names no host",
            host => host,
        };
        let listed = some(names().map(host));
        match names().find(|name| own(name)) {
            Some(name) => format!("its route is for {listed}: {name} does not take {asked} itself"),
            None => format!("its route is for {listed}, not {asked}"),
        }
    }

    fn unmet(&self, unmet: Unmet<'_>) -> String {
        let has = |is_there: bool| {
            if is_there {
                "the request has another value"
            } else {
                "the request lacks it"
            }
        };
        match unmet {
            Unmet::Method(method) => format!("{method} is asked for, not {}", self.request.method),
            Unmet::Header(wanted) => {
                let has = has(self.request.headers.contains_key(&wanted.name));
                let is_private = CREDENTIALS.contains(&wanted.name);
                match is_private || !self.tells_values {
                    true => format!("a certain {} is asked for; {has}", wanted.name),
                    false => format!("{}: {} is asked for; {has}", wanted.name, told(&wanted.value)),
                }
            }
            Unmet::Query(wanted) => {
                let has = has(self.request.query(&wanted.name).is_some());
                match self.tells_values {
                    false => format!("a certain {} is asked for; {has}", wanted.name),
                    true => format!("{}={} is asked for; {has}", wanted.name, told(&wanted.value)),
                }
            }
        }
    }

    /// By what `winner` goes before `loser`, where both hold: a word, and a sentence.
    fn precedence(&self, winner: &Candidate, loser: &Candidate) -> (&'static str, String) {
        let rank = |one: &Candidate| {
            let names = hostnames(one, self.listener).filter(|name| name.matches(self.request.host));
            names.map(specificity).min()
        };
        let (a, b) = (winner.conditions(), loser.conditions());
        let (x, y) = (&winner.rule, &loser.rule);
        let (by, why) = if rank(winner) != rank(loser) {
            ("hostname", "its hostname is more specific")
        } else if standing(&a.path) != standing(&b.path) {
            let why = match (&a.path, &b.path) {
                (PathMatch::Exact(_), _) => "its path is exact",
                (_, PathMatch::Regex(_)) => "a prefix goes before an expression",
                _ => "its path is longer",
            };
            ("path", why)
        } else if a.method.is_some() != b.method.is_some() {
            ("method", "it names a method")
        } else if a.headers.len() != b.headers.len() {
            ("headers", "it asks for more headers")
        } else if a.query.len() != b.query.len() {
            ("query", "it asks for more query parameters")
        } else if x.route.creation_revision != y.route.creation_revision {
            ("age", "its route is older")
        } else if x.route.key != y.route.key {
            ("name", "the name of its route comes first")
        } else if x.rule.key != y.rule.key {
            ("rule", "it comes first in the route")
        } else {
            ("match", "that match comes first in the rule")
        };
        let (key, at) = (&x.rule.key, winner.at);
        (
            by,
            format!("all holds, and match {at} of {key} goes before it: {why}"),
        )
    }
}

fn told(value: &ValueMatch) -> String {
    match value {
        ValueMatch::Exact(text) => text.to_string(),
        ValueMatch::Regex(regex) => format!("~{}", written(regex)),
    }
}

/// Hostnames of a match's route on `listener`.
fn hostnames<'a>(
    candidate: &'a Candidate,
    listener: Option<&Listener>,
) -> impl Iterator<Item = &'a Hostname> {
    let attachments = candidate.rule.route.attachments.iter();
    let here = attachments.filter(move |to| listener.is_some_and(|listener| listener.key == to.listener));
    here.flat_map(|to| &to.hostnames)
}

/// Smaller is more specific: exact, then the longest wildcard, then any.
fn specificity(hostname: &Hostname) -> (u8, Reverse<usize>) {
    match hostname {
        Hostname::Exact(_) => (0, Reverse(0)),
        Hostname::Wildcard(suffix) => (1, Reverse(suffix.len())),
        Hostname::Any => (2, Reverse(0)),
    }
}

/// Smaller goes first: exact, then the longest prefix, then expressions.
fn standing(path: &PathMatch) -> (u8, Reverse<usize>) {
    match path {
        PathMatch::Exact(_) => (0, Reverse(0)),
        PathMatch::Prefix(prefix) => (1, Reverse(prefix.len())),
        PathMatch::Regex(_) => (2, Reverse(0)),
    }
}

fn holds(wanted: &PathMatch, path: &str) -> bool {
    match wanted {
        PathMatch::Exact(exact) => **exact == *path,
        PathMatch::Prefix(prefix) => {
            let rest = path.strip_prefix(&**prefix);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        }
        PathMatch::Regex(regex) => regex.is_match(path),
    }
}

fn other_path(wanted: &PathMatch, path: &str) -> String {
    match wanted {
        PathMatch::Exact(exact) => format!("{path} is not {exact}"),
        PathMatch::Prefix(prefix) => format!("{path} is not below {prefix}"),
        PathMatch::Regex(regex) => format!("{path} does not match {}", written(regex)),
    }
}

/// The expression as it was written: it was put between `^(?:` and `)$`.
pub(super) fn written(regex: &regex::Regex) -> &str {
    let text = regex.as_str();
    let inner = text.strip_prefix("^(?:").and_then(|text| text.strip_suffix(")$"));
    inner.unwrap_or(text)
}

/// A hostname for people.
pub(super) fn host(hostname: &Hostname) -> String {
    match hostname {
        Hostname::Any => "any host".to_owned(),
        Hostname::Exact(_) | Hostname::Wildcard(_) => hostname.to_string(),
    }
}

/// A listener with what it listens for.
pub(super) fn place(listener: &Listener) -> String {
    let Listener { key, port, .. } = listener;
    format!("{key} (port {port}, {})", host(&listener.hostname))
}

fn some(names: impl Iterator<Item = String>) -> String {
    let mut names: Vec<String> = names.collect();
    let more = names.len().saturating_sub(MAX_NAMES);
    names.truncate(MAX_NAMES);
    match more {
        0 => names.join(", "),
        more => format!("{} and {more} more", names.join(", ")),
    }
}
