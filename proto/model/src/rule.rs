//! Rules: what matches, what is done to it, where it goes.

use std::time::Duration;

use sluice_proto::v1;

use crate::{Code, Filters, Key, Kind, Match, PathMatch, Violation, problems::Problems};

/// Most matches of one rule (Gateway API allows 64).
pub const MAX_MATCHES: usize = 64;

/// One rule of a route.
#[derive(Clone, Debug)]
pub struct Rule {
    /// `rule/NAMESPACE/ROUTE/ID`
    pub key: Key,
    /// Place in the route's list; the first wins a tie.
    pub index: u32,
    /// Any of these has to match; never empty.
    pub matches: Vec<Match>,
    /// Key of a split or an experiment. `None`: no backends, 500 unless it redirects.
    pub target: Option<Key>,
    /// What is changed on the way.
    pub filters: Filters,
    /// How long it may take.
    pub timeouts: Timeouts,
    /// Most bytes of a request's body; `None`: the listener's limit.
    pub body_bytes: Option<u64>,
}

/// Limits in time; `None` is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timeouts {
    /// From the request's arrival to the end of the response.
    pub request: Option<Duration>,
    /// One attempt at one endpoint, to the end of its response.
    pub backend_request: Option<Duration>,
}

impl Rule {
    pub(crate) fn read(key: &Key, wire: &v1::Rule) -> Result<Self, Vec<Violation>> {
        let mut problems = Problems::of(key);
        if wire.matches.len() > MAX_MATCHES {
            problems.add(
                "matches",
                Code::OutOfRange,
                format!("a rule has at most {MAX_MATCHES} matches"),
            );
        }
        let mut matches = Vec::with_capacity(wire.matches.len().clamp(1, MAX_MATCHES));
        for (at, one) in wire.matches.iter().take(MAX_MATCHES).enumerate() {
            matches.extend(Match::read(&mut problems, &format!("matches[{at}]"), one));
        }
        if wire.matches.is_empty() {
            matches.push(Match {
                path: PathMatch::root(),
                method: None,
                headers: vec![],
                query: vec![],
            });
        }
        let target = match wire.target.as_str() {
            "" => None,
            text => problems.keep(|| "target".into(), Key::parse(text)),
        };
        if target
            .as_ref()
            .is_some_and(|key| !matches!(key.kind(), Kind::Split | Kind::Experiment))
        {
            problems.add("target", Code::Invalid, "a target is a split or an experiment");
        }
        let filters = Filters::of_rule(&mut problems, wire);
        let timeouts = Timeouts {
            request: millis(wire.request_timeout_ms),
            backend_request: millis(wire.backend_request_timeout_ms),
        };
        let rule = Self {
            key: key.clone(),
            index: wire.index,
            matches,
            target,
            filters,
            timeouts,
            body_bytes: (wire.body_bytes != 0).then_some(wire.body_bytes),
        };
        problems.finish(Some(rule))
    }
}

fn millis(ms: u64) -> Option<Duration> {
    (ms != 0).then(|| Duration::from_millis(ms))
}
