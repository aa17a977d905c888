//! What a request has to be like for two rules to hold at once, and requests that are.
//!
//! Nothing but what the two ask for is there: whatever another rule asks for besides then fails. So
//! without expressions one request decides whether there is any.

use std::collections::BTreeMap;

use http::Method;
use sluice_model::{Match, ValueMatch};

use super::{
    automata::{Automata, Start},
    domain::Domain,
};

/// Most combinations of values that are tried for one demand.
const MAX_COMBINATIONS: usize = 512;

/// A header or a query parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place<'a> {
    Header(&'a str),
    Query(&'a str),
}

/// Everything that two matches ask for, besides the path.
#[derive(Debug, Default)]
pub(crate) struct Demand<'a> {
    pub(crate) method: Option<&'a Method>,
    values: BTreeMap<Place<'a>, Vec<&'a ValueMatch>>,
}

/// One way to fulfil a demand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Values {
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) query: Vec<(String, String)>,
}

/// Ways to fulfil a demand.
#[derive(Debug)]
pub(crate) struct Ways {
    pub(crate) all: Vec<Values>,
    /// Whether there is no other that other rules would tell apart from these.
    pub(crate) complete: bool,
}

fn conditions(one: &Match) -> impl Iterator<Item = (Place<'_>, &ValueMatch)> {
    let headers = one.headers.iter();
    let headers = headers.map(|header| (Place::Header(header.name.as_str()), &header.value));
    let query = one.query.iter();
    headers.chain(query.map(|query| (Place::Query(&query.name), &query.value)))
}

impl<'a> Demand<'a> {
    /// What `matches` ask for; `None` when they exclude each other plainly.
    pub(crate) fn of(matches: impl Iterator<Item = &'a Match>) -> Option<Self> {
        let mut demand = Self::default();
        for one in matches {
            match (demand.method, &one.method) {
                (Some(held), Some(wanted)) if held != wanted => return None,
                (_, Some(wanted)) => demand.method = Some(wanted),
                (_, None) => {}
            }
            for (place, value) in conditions(one) {
                demand.values.entry(place).or_default().push(value);
            }
        }
        let agree = demand.values.values().all(|wanted| agreed(wanted));
        agree.then_some(demand)
    }

    /// Whether a single request decides: no value is left open by an expression.
    pub(crate) fn is_plain(&self) -> bool {
        self.values.values().all(|wanted| exact(wanted).is_some())
    }

    /// Ways to fulfil it. Of those that differ only in what none of `others` asks for, some.
    pub(crate) fn ways(&self, automata: &mut Automata, others: &[&Match]) -> Ways {
        let mut ways = Ways {
            all: vec![Values::default()],
            complete: true,
        };
        for (place, wanted) in &self.values {
            let (values, complete) = match exact(wanted) {
                Some(value) => (vec![value.to_owned()], true),
                None => open_values(automata, *place, wanted, others),
            };
            ways.complete &= complete && ways.all.len() * values.len().max(1) <= MAX_COMBINATIONS;
            let with = |held: &Values, value: &String| {
                let mut next = held.clone();
                match place {
                    Place::Header(name) => next.headers.push(((*name).to_owned(), value.clone())),
                    Place::Query(name) => next.query.push(((*name).to_owned(), value.clone())),
                }
                next
            };
            let next = ways
                .all
                .iter()
                .flat_map(|held| values.iter().map(move |value| with(held, value)));
            ways.all = next.take(MAX_COMBINATIONS).collect();
        }
        ways
    }
}

/// The value, if one is asked for and not an expression.
fn exact<'a>(wanted: &[&'a ValueMatch]) -> Option<&'a str> {
    wanted.iter().find_map(|one| match one {
        ValueMatch::Exact(value) => Some(&**value),
        ValueMatch::Regex(_) => None,
    })
}

fn agreed(wanted: &[&ValueMatch]) -> bool {
    exact(wanted).is_none_or(|value| wanted.iter().all(|one| one.matches(value)))
}

fn open_values(
    automata: &mut Automata,
    place: Place<'_>,
    wanted: &[&ValueMatch],
    others: &[&Match],
) -> (Vec<String>, bool) {
    let domain = match place {
        Place::Header(_) => Domain::Header,
        Place::Query(_) => Domain::Query,
    };
    let wanted: Vec<String> = wanted.iter().map(|one| pattern(one)).collect();
    let of_others = others.iter().flat_map(|one| conditions(one));
    let mut free: Vec<String> = of_others
        .filter(|(other, _)| *other == place)
        .map(|(_, value)| pattern(value))
        .filter(|pattern| !wanted.contains(pattern))
        .collect();
    free.sort_unstable();
    free.dedup();
    let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
    let texts = automata.texts(domain, Start::default(), &wanted, &free);
    let values = texts
        .groups
        .into_iter()
        .filter_map(|group| group.into_iter().next());
    (values.collect(), texts.complete)
}

/// As an expression for the whole value; those of the model are kept so.
fn pattern(value: &ValueMatch) -> String {
    match value {
        ValueMatch::Exact(value) => format!("^(?:{})$", regex::escape(value)),
        ValueMatch::Regex(regex) => regex.as_str().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderName;
    use sluice_model::{HeaderMatch, PathMatch};

    use super::*;

    fn wants(method: Option<Method>, headers: &[(&'static str, &str)]) -> Match {
        let header = |(name, value): &(&'static str, &str)| HeaderMatch {
            name: HeaderName::from_static(name),
            value: match value.strip_prefix('~') {
                Some(pattern) => ValueMatch::Regex(sluice_model::whole(pattern).unwrap()),
                None => ValueMatch::Exact((*value).into()),
            },
        };
        Match {
            path: PathMatch::root(),
            method,
            headers: headers.iter().map(header).collect(),
            query: vec![],
        }
    }

    fn ways(matches: &[Match], others: &[Match]) -> Option<(Vec<String>, bool)> {
        let demand = Demand::of(matches.iter())?;
        let others: Vec<&Match> = others.iter().collect();
        let ways = demand.ways(&mut Automata::new(10_000, 100_000), &others);
        let values = ways.all.into_iter().flat_map(|values| values.headers);
        Some((values.map(|(_, value)| value).collect(), ways.complete))
    }

    #[test]
    fn plain_conditions_are_met_in_one_way_or_in_none() {
        let a = wants(Some(Method::GET), &[("x-a", "1")]);
        let b = wants(None, &[("x-b", "2"), ("x-a", "1")]);
        let both = Some((vec!["1".to_owned(), "2".to_owned()], true));
        assert_eq!(ways(&[a.clone(), b], &[]), both);
        assert_eq!(ways(&[a.clone(), wants(None, &[("x-a", "2")])], &[]), None);
        assert_eq!(ways(&[a.clone(), wants(Some(Method::PUT), &[])], &[]), None);
        assert_eq!(ways(&[a, wants(None, &[("x-a", "~[2-9]")])], &[]), None);
    }

    #[test]
    fn an_open_value_is_tried_on_either_side_of_every_other_condition() {
        let a = wants(None, &[("x-a", "~[ab]")]);
        let (mut values, complete) = ways(std::slice::from_ref(&a), &[wants(None, &[("x-a", "a")])]).unwrap();
        values.sort_unstable();
        assert_eq!((values, complete), (vec!["a".into(), "b".into()], true));
        let none = ways(&[a, wants(None, &[("x-a", "~[c-f]")])], &[]);
        assert_eq!(none, Some((vec![], true)));
    }
}
