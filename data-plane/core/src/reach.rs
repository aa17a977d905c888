//! Which matches no request ever reaches.
//!
//! Found by the difference of two tables: one in which every match is a rule of its own that redirects to a
//! host of its own, at the place in the order that it has, and one without rules. Each match that takes any
//! request at all then is a class of requests that are answered with its redirect; the others take none.

mod few;

use prost::Message as _;
use sluice_model::{Code, HistoryId, Key, Kind, Match, PathMatch, Revision, Violation};
use sluice_proto::v1;

use crate::claims::{Budget, Claim, Lack, PLACE, address, places, taker};
use crate::diff::{Automata, Bounds, Diff, Verdict, Witness, diff_with};
use crate::{CompiledRule, Difference, Entry, ResourceSet, Snapshot};

pub use few::reach_of;

/// Places between two rules of a route for the matches of the first.
const STRIDE: u32 = 4_096;
/// Methods that are tried where a match names none.
const METHODS: [&str; 3] = ["GET", "POST", "OTHER"];
/// Ends the hosts of redirects; nothing else can have it (RFC 6761 section 6.4).
const MARK: &str = ".reach.invalid";

/// What no request reaches.
#[derive(Clone, Debug, Default)]
pub struct Reach {
    /// By rule and match.
    pub unreached: Vec<Unreached>,
    /// Whether that is certain; otherwise there was too much to look at, and some of them may be reached.
    pub is_proven: bool,
}

/// A match that takes no request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreached {
    /// The match.
    pub claim: Claim,
    /// Why.
    pub cause: Cause,
}

/// Why a match takes no request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Others take all that are like that.
    Taken(Box<Taken>),
    /// No request has a path like that.
    Path,
    /// No request has a header or query parameter like that.
    Value,
    /// Other listeners have all its hosts, or it was not found in the time that there was.
    Unknown,
}

/// A request that a match would take, and who takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// The match that takes it.
    pub by: Claim,
    /// The request.
    pub witness: Witness,
}

/// One match as it stands in the table.
struct Marked {
    rule: Key,
    index: u32,
    match_index: usize,
    /// Nothing is a match for everything.
    wanted: v1::Match,
}

impl Marked {
    fn claim(&self) -> Claim {
        Claim {
            rule: self.rule.clone(),
            rule_index: self.index as usize,
            match_index: self.match_index,
        }
    }
}

/// The matches of `snapshot` that no request reaches. Costs what everything costs.
///
/// # Errors
/// When the table cannot be built, which one that serves always can.
pub fn reach(snapshot: &Snapshot) -> Result<Reach, Vec<Violation>> {
    let (mut bare, mut marks) = (Vec::new(), Vec::new());
    for entry in snapshot.resources().iter() {
        match entry.key.kind() {
            Kind::Rule if is_served(snapshot, &entry.key) => marks.extend(matches_of(entry)?),
            Kind::Route | Kind::Listener | Kind::Certificate | Kind::Trust => bare.push(entry.clone()),
            _ => {}
        }
    }
    let bounds = Bounds {
        classes: usize::MAX,
        places: 1,
        ..Bounds::default()
    };
    let mut automata = Automata::new(bounds.states, bounds.all_states);
    let (reached, is_proven, _) = reached(bare, &marks, &bounds, &mut automata)?;
    let mut budget = Budget::new(Budget::TABLE);
    let missed = marks.iter().zip(reached).filter(|(_, reached)| !reached);
    let unreached = missed.filter_map(|(mark, _)| {
        let claim = mark.claim();
        let cause = cause(snapshot, &claim, &mut budget)?;
        Some(Unreached { claim, cause })
    });
    let mut unreached: Vec<_> = unreached.collect();
    unreached.sort_by(|one, other| one.claim.cmp(&other.claim));
    Ok(Reach { unreached, is_proven })
}

/// Which of `marks` some request reaches, where `bare` is what they stand on, whether that is certain of the
/// others, and how much of [`Bounds::work`] it took.
fn reached(
    bare: Vec<Entry>,
    marks: &[Marked],
    bounds: &Bounds,
    automata: &mut Automata,
) -> Result<(Vec<bool>, bool, u64), Vec<Violation>> {
    let mut full = bare.clone();
    for (number, mark) in marks.iter().enumerate() {
        full.push(marked(number, mark)?);
    }
    let (found, work) = diff_with(&table(bare)?, &table(full)?, bounds, automata);
    let mut reached = vec![false; marks.len()];
    for number in reached_by(&found) {
        if let Some(reached) = reached.get_mut(number) {
            *reached = true;
        }
    }
    let is_proven = found.coverage.unproven_count == 0 && found.classes.len() == found.class_count;
    Ok((reached, is_proven, work))
}

/// Whether requests can come to the rule at all: its route is attached to something.
fn is_served(snapshot: &Snapshot, rule: &Key) -> bool {
    let rule = snapshot.rules.get(rule);
    rule.is_some_and(|rule| !rule.route.attachments.is_empty())
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

/// Who takes a request that is all that the match asks for. `None` when it takes that itself, so that it is reached.
fn cause(snapshot: &Snapshot, claim: &Claim, budget: &mut Budget) -> Option<Cause> {
    let rule = snapshot.rules.get(&claim.rule)?;
    let wanted = rule.rule.matches.get(claim.match_index)?;
    let lack = match request(snapshot, rule, wanted, budget) {
        Ok(request) => return taken(snapshot, claim, wanted, request, budget),
        Err(lack) => lack,
    };
    Some(match lack {
        Lack::Path => Cause::Path,
        Lack::Value => Cause::Value,
        Lack::Conflict | Lack::Unknown => Cause::Unknown,
    })
}

/// A request that is all that the match asks for, at the first place where any come.
fn request(
    snapshot: &Snapshot,
    rule: &CompiledRule,
    wanted: &Match,
    budget: &mut Budget,
) -> Result<Witness, Lack> {
    let mut affordable = places(rule).take_while(|_| budget.afford(PLACE));
    let address = affordable.find_map(|(listener, hostname)| address(snapshot, listener, hostname));
    drop(affordable);
    budget.request(&address.ok_or(Lack::Unknown)?, &[wanted])
}

/// Who takes requests like `witness`, which is all that the match asks for: of those that do, one that does not ask
/// for a method or the end of a path that the match leaves open. That one takes all, and not just this request.
fn taken(
    snapshot: &Snapshot,
    claim: &Claim,
    wanted: &Match,
    witness: Witness,
    budget: &mut Budget,
) -> Option<Cause> {
    let mut paths = vec![witness.path.clone()];
    if matches!(wanted.path, PathMatch::Prefix(_)) {
        paths.push(format!("{}/any", witness.path.trim_end_matches('/')));
    }
    let methods = match wanted.method {
        Some(_) => vec![witness.method.clone()],
        None => METHODS.map(String::from).into(),
    };
    let mut first = None;
    for path in &paths {
        for method in &methods {
            let request = Witness {
                path: path.clone(),
                method: method.clone(),
                ..witness.clone()
            };
            let Some((by, taker)) = by(snapshot, &request, budget) else {
                continue;
            };
            if by == *claim {
                return None;
            }
            let is_narrower = (taker.method.is_some() && wanted.method.is_none())
                || (paths.len() > 1 && matches!(taker.path, PathMatch::Exact(_)));
            let taken = Taken { by, witness: request };
            if !is_narrower {
                return Some(Cause::Taken(Box::new(taken)));
            }
            first.get_or_insert(taken);
        }
    }
    let taken = first.map(|taken| Cause::Taken(Box::new(taken)));
    Some(taken.unwrap_or(Cause::Unknown))
}

/// Who takes the request, and what that asks for.
fn by<'a>(snapshot: &'a Snapshot, witness: &Witness, budget: &mut Budget) -> Option<(Claim, &'a Match)> {
    let taker = taker(snapshot, witness, budget)?;
    let rule = &taker.rule.rule;
    let by = Claim {
        rule: rule.key.clone(),
        rule_index: rule.index as usize,
        match_index: taker.at,
    };
    Some((by, rule.matches.get(taker.at)?))
}
