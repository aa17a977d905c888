//! Where a class applies, as the rules that make it say it.

use serde::Serialize;
use sluice_model::{Hostname, Key, PathMatch};

use crate::candidate::Candidate;

/// What all requests of a place have in common. More specific rules may take some of them away.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Place {
    /// `shop.example.com`, `*.example.com`, or `*` for all.
    pub host: String,
    /// How the path is matched.
    pub path: PathPlace,
    /// The method, if only one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// `NAME: VALUE`, with `~` before an expression.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<String>,
    /// `NAME=VALUE`, with `~` before an expression.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub query: Vec<String>,
}

/// Paths of a place, the broader ones first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase", tag = "kind", content = "value")]
pub enum PathPlace {
    /// The path itself and all below it; `/` for all.
    Prefix(String),
    /// Paths that an expression matches; of both sides, if they have different ones.
    Regex(String),
    /// One path.
    Exact(String),
}

impl Place {
    /// What requests have in common that `before` and `after` take, which a request for `host` through
    /// the listeners of those keys shows; `None`: no rule takes them.
    pub(super) fn of(
        host: &str,
        before: Option<(&Candidate, &Key)>,
        after: Option<(&Candidate, &Key)>,
        otherwise: &Hostname,
    ) -> Self {
        let both = || before.into_iter().chain(after);
        let hostname = both().map(|(candidate, listener)| hostname_of(candidate, listener, host));
        let hostname = hostname.reduce(|a, b| a.intersect(&b).unwrap_or(b));
        let path = both().map(|(candidate, _)| PathPlace::of(&candidate.conditions().path));
        let mut place = Self {
            host: match hostname.as_ref().unwrap_or(otherwise) {
                Hostname::Any => "*".into(),
                name => name.to_string(),
            },
            path: path
                .reduce(PathPlace::narrower)
                .unwrap_or_else(|| PathPlace::Prefix("/".into())),
            method: None,
            headers: Vec::new(),
            query: Vec::new(),
        };
        for (candidate, _) in both() {
            let wanted = candidate.conditions();
            place.method = place.method.or(wanted.method.as_ref().map(ToString::to_string));
            let headers = wanted.headers.iter();
            let headers = headers.map(|header| format!("{}: {}", header.name, header.value));
            place.headers.extend(headers);
            let query = wanted.query.iter();
            place
                .query
                .extend(query.map(|query| format!("{}={}", query.name, query.value)));
        }
        for list in [&mut place.headers, &mut place.query] {
            list.sort_unstable();
            list.dedup();
        }
        place
    }

    /// Smaller is broader: by host, by path, by conditions.
    pub(super) fn breadth(&self) -> (usize, usize, usize) {
        let host = match self.host.as_str() {
            "*" => 0,
            name if name.starts_with("*.") => 1 + name.split('.').count(),
            _ => usize::MAX,
        };
        let path = match &self.path {
            PathPlace::Prefix(path) => path.split('/').filter(|element| !element.is_empty()).count(),
            PathPlace::Regex(_) => usize::MAX - 1,
            PathPlace::Exact(_) => usize::MAX,
        };
        let conditions = usize::from(self.method.is_some()) + self.headers.len() + self.query.len();
        (host, path, conditions)
    }
}

/// The most specific hostname by which `candidate` got a request for `host` through `listener`.
fn hostname_of(candidate: &Candidate, listener: &Key, host: &str) -> Hostname {
    let attachments = candidate.rule.route.attachments.iter();
    let names = attachments
        .filter(|attachment| attachment.listener == *listener)
        .flat_map(|attachment| &attachment.hostnames);
    names
        .filter(|name| name.matches(host))
        .cloned()
        .reduce(|a, b| a.intersect(&b).unwrap_or(a))
        .unwrap_or(Hostname::Any)
}

impl PathPlace {
    fn of(path: &PathMatch) -> Self {
        match path {
            PathMatch::Prefix(prefix) if prefix.is_empty() => Self::Prefix("/".into()),
            PathMatch::Prefix(prefix) => Self::Prefix(prefix.to_string()),
            PathMatch::Regex(regex) => Self::Regex(written(regex.as_str())),
            PathMatch::Exact(path) => Self::Exact(path.to_string()),
        }
    }

    /// Of two that have a path in common.
    fn narrower(self, other: Self) -> Self {
        match (self, other) {
            (Self::Exact(path), _) | (_, Self::Exact(path)) => Self::Exact(path),
            (Self::Regex(a), Self::Regex(b)) if a != b => Self::Regex(format!("{a} and {b}")),
            (Self::Regex(regex), Self::Prefix(prefix)) | (Self::Prefix(prefix), Self::Regex(regex))
                if prefix != "/" =>
            {
                Self::Regex(format!("{regex} below {prefix}"))
            }
            (Self::Regex(regex), _) | (_, Self::Regex(regex)) => Self::Regex(regex),
            (Self::Prefix(a), Self::Prefix(b)) => Self::Prefix(if a.len() >= b.len() { a } else { b }),
        }
    }
}

/// As it was written, without what makes it match the whole.
fn written(pattern: &str) -> String {
    let inner = pattern
        .strip_prefix("^(?:")
        .and_then(|rest| rest.strip_suffix(")$"));
    inner.unwrap_or(pattern).to_owned()
}
