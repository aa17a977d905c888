//! A request that has all that certain matches ask for, and nothing else.

use sluice_model::{Hostname, Key, Match, PathMatch};

use super::Budget;
use crate::{
    Snapshot,
    diff::{Demand, Domain, Witness, query, scheme_text},
    normalize_path,
};

/// Names that are tried for a host that nothing names.
const TRIES: usize = 8;

/// Where requests are sent.
#[derive(Clone, Debug)]
pub(crate) struct Address {
    port: u16,
    scheme: &'static str,
    host: String,
}

/// Why there is no request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lack {
    /// No request has such a path.
    Path,
    /// No request has such a header or query parameter.
    Value,
    /// They exclude each other.
    Conflict,
    /// It was not found in so much time.
    Unknown,
}

/// A host that comes to `listener` and is looked for under `hostname` first. `None` when others have all of them.
pub(crate) fn address(snapshot: &Snapshot, listener: &Key, hostname: &Hostname) -> Option<Address> {
    let table = &snapshot.table;
    let (heard, own) = (table.get(listener)?, table.paths(listener, hostname)?);
    let is_own = |host: &String| {
        let tables = table.tables(heard.port, host);
        tables.is_some_and(|(by, paths)| {
            by.key == *listener && paths.first().is_some_and(|first| std::ptr::eq(*first, own))
        })
    };
    let mut names = (0..TRIES).map(|number| {
        let number = match number {
            0 => String::new(),
            more => more.to_string(),
        };
        match hostname {
            Hostname::Exact(name) => name.to_string(),
            Hostname::Wildcard(suffix) => format!("any{number}{suffix}"),
            Hostname::Any => format!("any.example{number}"),
        }
    });
    Some(Address {
        port: heard.port,
        scheme: scheme_text(heard.scheme()),
        host: names.find(is_own)?,
    })
}

impl Budget {
    /// A request that all of `wanted` take. Their paths are the same, or expressions.
    pub(crate) fn request(&mut self, address: &Address, wanted: &[&Match]) -> Result<Witness, Lack> {
        if !self.afford_request(wanted) {
            return Err(Lack::Unknown);
        }
        let demand = Demand::of(wanted.iter().copied()).ok_or(Lack::Conflict)?;
        let path = self.path(wanted)?;
        let ways = self.counted(|automata| demand.ways(automata, &[]));
        let is_complete = ways.complete;
        let mut requests = ways.all.into_iter().map(|values| {
            let parameters = values.query.iter();
            let parameters: Vec<(&str, &str)> = parameters.map(|(name, value)| (&**name, &**value)).collect();
            Witness {
                port: address.port,
                scheme: address.scheme,
                method: demand.method.map_or_else(|| "GET".into(), ToString::to_string),
                host: address.host.clone(),
                path: path.clone(),
                query: query(&parameters),
                headers: values.headers,
            }
        });
        let found = requests.find(|request| arrives(request, wanted));
        found.ok_or(match is_complete {
            true => Lack::Value,
            false => Lack::Unknown,
        })
    }

    fn path(&mut self, wanted: &[&Match]) -> Result<String, Lack> {
        let mut expressions = Vec::new();
        for one in wanted {
            match &one.path {
                PathMatch::Regex(regex) => expressions.push(regex.as_str()),
                PathMatch::Exact(path) | PathMatch::Prefix(path) => {
                    let path = if path.is_empty() { "/" } else { &**path };
                    let is_normal = normalize_path(path).is_ok_and(|normal| normal == path);
                    return if is_normal {
                        Ok(path.to_owned())
                    } else {
                        Err(Lack::Path)
                    };
                }
            }
        }
        let texts = self.texts(Domain::Path, &expressions, &[]);
        match texts.groups.into_iter().flatten().next() {
            Some(path) => Ok(path),
            None if texts.complete => Err(Lack::Path),
            None => Err(Lack::Unknown),
        }
    }
}

/// Whether the request can be sent at all, and all of `wanted` hold for it when it has come.
fn arrives(request: &Witness, wanted: &[&Match]) -> bool {
    let is_trimmed = |value: &str| value.trim_matches([' ', '\t']).len() == value.len();
    let is_sent = request.headers.iter().all(|(_, value)| is_trimmed(value));
    let holds = request.with_view(|view| wanted.iter().all(|one| view.unmet(one).is_none()));
    is_sent && holds == Some(true)
}
