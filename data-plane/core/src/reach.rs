//! Which matches no request ever reaches.
//!
//! Found by the difference of two tables: one in which every match is a rule of its own that redirects to a
//! host of its own, at the place in the order that it has, and one without rules. Each match that takes any
//! request at all then is a class of requests that are answered with its redirect; the others take none.

use std::collections::{BTreeMap, HashMap};

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use prost::Message as _;
use serde::Serialize;
use sluice_model::{Code, HistoryId, Key, Kind, Revision, Violation};
use sluice_proto::v1;

use crate::diff::{Bounds, Diff, Verdict, diff};
use crate::{Difference, Entry, RequestView, ResourceSet, Snapshot};

/// Places between two rules of a route for the matches of the first.
const STRIDE: u32 = 4_096;
/// Ends the hosts of redirects; nothing else can have it (RFC 6761 section 6.4).
const MARK: &str = ".reach.invalid";

/// What no request reaches.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Reach {
    /// By rule and match.
    pub unreached: Vec<Unreached>,
    /// Whether that is certain; otherwise there was too much to look at, and some of them may be reached.
    pub is_proven: bool,
}

/// A match that takes no request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Unreached {
    /// Key of its rule.
    pub rule: String,
    /// Position of the rule in its route.
    pub rule_index: usize,
    /// Its position in the rule.
    pub match_index: usize,
    /// Who takes a request that is all that the match asks for; nobody for expressions that match nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub taken: Option<Taken>,
}

/// A request that a match would take, and who takes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Taken {
    /// Key of the rule.
    pub rule: String,
    /// The position of its match.
    pub match_index: usize,
    /// Whether that match asks for the same.
    pub is_duplicate: bool,
    /// The request, `GET http://shop.example/a`, and its headers.
    pub witness: String,
}

/// One match as it stands in the table.
struct Marked {
    rule: Key,
    index: u32,
    match_index: usize,
    /// Nothing is a match for everything.
    wanted: v1::Match,
}

/// The matches of `snapshot` that no request reaches. Costs what everything costs.
///
/// # Errors
/// When the table cannot be built, which one that serves always can.
pub fn reach(snapshot: &Snapshot) -> Result<Reach, Vec<Violation>> {
    let (mut bare, mut marks) = (Vec::new(), Vec::new());
    for entry in snapshot.resources().iter() {
        match entry.key.kind() {
            Kind::Rule => marks.extend(matches_of(entry)?),
            Kind::Route | Kind::Listener | Kind::Certificate | Kind::Trust => bare.push(entry.clone()),
            _ => {}
        }
    }
    let mut full = bare.clone();
    for (number, mark) in marks.iter().enumerate() {
        full.push(marked(number, mark)?);
    }
    let bounds = Bounds {
        classes: usize::MAX,
        places: 1,
        ..Bounds::default()
    };
    let found = diff(&table(bare)?, &table(full)?, &bounds);
    let is_proven = found.coverage.unproven_count == 0 && found.classes.len() == found.class_count;
    let hosts = hosts_of(snapshot);
    let mut reached = vec![false; marks.len()];
    for number in reached_by(&found) {
        if let Some(reached) = reached.get_mut(number) {
            *reached = true;
        }
    }
    let missed = marks.iter().zip(reached).filter(|(_, reached)| !reached);
    let unreached = missed.map(|(mark, _)| Unreached {
        rule: mark.rule.to_string(),
        rule_index: mark.index as usize,
        match_index: mark.match_index,
        taken: taken(snapshot, mark, &hosts, &marks),
    });
    Ok(Reach {
        unreached: unreached.collect(),
        is_proven,
    })
}

fn malformed(key: &Key) -> Vec<Violation> {
    vec![Violation::new(key.as_str(), "", Code::Malformed, "does not read")]
}

/// The matches of a rule, of which one without any has one.
fn matches_of(entry: &Entry) -> Result<Vec<Marked>, Vec<Violation>> {
    let rule = v1::Rule::decode(entry.body.clone()).map_err(|_| malformed(&entry.key))?;
    let mut all = rule.matches;
    if all.is_empty() {
        all.push(v1::Match::default());
    }
    let marked = all.into_iter().enumerate().map(|(match_index, wanted)| Marked {
        rule: entry.key.clone(),
        index: rule.index,
        match_index,
        wanted,
    });
    Ok(marked.collect())
}

/// The match as a rule of its own.
fn marked(number: usize, mark: &Marked) -> Result<Entry, Vec<Violation>> {
    let place = u32::try_from(mark.match_index).unwrap_or(u32::MAX);
    let rule = v1::Rule {
        index: mark.index.saturating_mul(STRIDE).saturating_add(place),
        matches: vec![mark.wanted.clone()],
        redirect: Some(v1::Redirect {
            hostname: format!("m{number}{MARK}"),
            status: 302,
            ..v1::Redirect::default()
        }),
        ..v1::Rule::default()
    };
    let (namespace, route) = (mark.rule.segment(0), mark.rule.segment(1));
    let key = Key::parse(&format!("rule/{namespace}/{route}/m{number}"));
    let key = key.map_err(|_| malformed(&mark.rule))?;
    Ok(Entry::new(key, &rule))
}

fn table(upserts: Vec<Entry>) -> Result<Snapshot, Vec<Violation>> {
    let difference = Difference {
        upserts,
        removals: vec![],
    };
    let resources = ResourceSet::empty().apply(&difference);
    Snapshot::empty(HistoryId([0; 16])).step(Revision(1), resources, &difference)
}

/// The numbers of the marks that a class of requests is redirected to.
fn reached_by(found: &Diff) -> impl Iterator<Item = usize> {
    found.classes.iter().filter_map(|class| {
        let Verdict::Redirect(redirect) = &class.after.verdict else {
            return None;
        };
        let name = redirect.hostname.as_deref()?.strip_suffix(MARK)?;
        name.strip_prefix('m')?.parse().ok()
    })
}

/// A port and a host for every route, by `NAMESPACE/NAME`.
fn hosts_of(snapshot: &Snapshot) -> HashMap<String, (u16, String)> {
    let listeners = snapshot.listeners().map(|one| (one.key.to_string(), one.port));
    let ports: BTreeMap<String, u16> = listeners.collect();
    let routes = snapshot
        .resources()
        .iter()
        .filter(|entry| entry.key.kind() == Kind::Route);
    let hosts = routes.filter_map(|entry| {
        let route = v1::Route::decode(entry.body.clone()).ok()?;
        let attachment = route.attachments.first()?;
        let port = *ports.get(&attachment.listener)?;
        let host = match attachment.hostnames.first()?.as_str() {
            "" => "any.example".to_owned(),
            name => name.replacen('*', "any", 1),
        };
        let name = format!("{}/{}", entry.key.segment(0), entry.key.segment(1));
        Some((name, (port, host)))
    });
    hosts.collect()
}

/// Who takes a request that has all that the match asks for and nothing else; none for expressions, whose
/// texts are not sought.
fn taken(
    snapshot: &Snapshot,
    mark: &Marked,
    hosts: &HashMap<String, (u16, String)>,
    marks: &[Marked],
) -> Option<Taken> {
    let route = format!("{}/{}", mark.rule.segment(0), mark.rule.segment(1));
    let (port, host) = hosts.get(&route)?;
    let wanted = &mark.wanted;
    let path = match &wanted.path {
        None => "/",
        Some(path) if path.kind() == v1::path_match::Kind::Regex => return None,
        Some(path) => path.value.as_str(),
    };
    let is_open = |one: &v1::ValueMatch| one.regex;
    if wanted.headers.iter().chain(&wanted.query).any(is_open) {
        return None;
    }
    let method = match wanted.method.as_str() {
        "" => Method::GET,
        name => Method::from_bytes(name.as_bytes()).ok()?,
    };
    let mut headers = HeaderMap::new();
    for one in &wanted.headers {
        let name = HeaderName::try_from(one.name.as_str()).ok()?;
        headers.insert(name, HeaderValue::try_from(one.value.as_str()).ok()?);
    }
    let query = wanted
        .query
        .iter()
        .map(|one| format!("{}={}", one.name, one.value));
    let query = query.collect::<Vec<_>>().join("&");
    let view = RequestView {
        method: &method,
        host,
        path,
        query: (!query.is_empty()).then_some(query.as_str()),
        headers: &headers,
    };
    let matched = snapshot.route(*port, &view)?;
    let mut witness = format!("{method} http://{host}:{port}{path}");
    if !query.is_empty() {
        witness = format!("{witness}?{query}");
    }
    for one in &wanted.headers {
        witness = format!("{witness} -H '{}: {}'", one.name, one.value);
    }
    let rule = matched.rule.rule.key.clone();
    let winner = marks
        .iter()
        .find(|one| one.rule == rule && one.match_index == matched.match_index);
    Some(Taken {
        is_duplicate: winner.is_some_and(|winner| winner.wanted == *wanted),
        rule: rule.to_string(),
        match_index: matched.match_index,
        witness,
    })
}
