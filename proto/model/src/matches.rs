//! What a rule matches: path, method, headers, query parameters.

use http::{HeaderName, Method};
use regex::{Regex, RegexBuilder};
use sluice_proto::v1;

use crate::{Code, problems::Problems};

/// Largest compiled regular expression, in bytes; a bound on what one pattern may cost.
pub const REGEX_SIZE_LIMIT: usize = 256 * 1024;

/// Longest path of a match, in bytes (Gateway API); it bounds the depth of the route table too.
pub const MAX_PATH: usize = 1024;

/// Conditions that must all hold.
#[derive(Clone, Debug)]
pub struct Match {
    /// The path; [`PathMatch::root`] when nothing was written.
    pub path: PathMatch,
    /// The method, or any.
    pub method: Option<Method>,
    /// Headers, by different names.
    pub headers: Vec<HeaderMatch>,
    /// Query parameters, by different names.
    pub query: Vec<QueryMatch>,
}

/// How a path is matched.
#[derive(Clone, Debug)]
pub enum PathMatch {
    /// The whole path.
    Exact(Box<str>),
    /// Whole path elements from the start; kept without a trailing slash, so the root is empty.
    Prefix(Box<str>),
    /// The whole path against an expression.
    Regex(Regex),
}

impl PathMatch {
    /// The prefix that every path has.
    pub fn root() -> Self {
        Self::Prefix("".into())
    }
}

/// One header condition.
#[derive(Clone, Debug)]
pub struct HeaderMatch {
    /// Which header. Several lines of it count as one value joined by commas (RFC 9110 section 5.3).
    pub name: HeaderName,
    /// What it must be.
    pub value: ValueMatch,
}

/// One query parameter condition.
#[derive(Clone, Debug)]
pub struct QueryMatch {
    /// Which parameter, case-sensitive; the first of that name counts.
    pub name: Box<str>,
    /// What it must be.
    pub value: ValueMatch,
}

/// What a value must be.
#[derive(Clone, Debug)]
pub enum ValueMatch {
    /// These bytes.
    Exact(Box<str>),
    /// The whole value matches.
    Regex(Regex),
}

impl ValueMatch {
    /// Whether `value` is what was asked for.
    pub fn matches(&self, value: &str) -> bool {
        match self {
            Self::Exact(want) => **want == *value,
            Self::Regex(regex) => regex.is_match(value),
        }
    }
}

/// Compiles an expression that has to match the whole of a value, within [`REGEX_SIZE_LIMIT`].
///
/// # Errors
/// A pattern that does not parse, or is larger than the limit when compiled.
pub fn whole(pattern: &str) -> Result<Regex, regex::Error> {
    // Compiled alone first: `a)|(b` must not become valid by what is put around it.
    let bounded = |pattern: &str| RegexBuilder::new(pattern).size_limit(REGEX_SIZE_LIMIT).build();
    bounded(pattern)?;
    bounded(&format!("^(?:{pattern})$"))
}

impl Match {
    pub(crate) fn read(problems: &mut Problems<'_>, field: &str, wire: &v1::Match) -> Option<Self> {
        let path = match &wire.path {
            None => Some(PathMatch::root()),
            Some(path) => PathMatch::read(problems, field, path),
        };
        let method = match wire.method.as_str() {
            "" => None,
            text => problems.keep(|| format!("{field}.method"), Method::from_bytes(text.as_bytes())),
        };
        let headers = wire.headers.iter().enumerate().filter_map(|(at, header)| {
            let field = format!("{field}.headers[{at}]");
            let name = problems.keep(
                || format!("{field}.name"),
                HeaderName::from_bytes(header.name.as_bytes()),
            );
            let value = ValueMatch::read(problems, &field, header);
            name.zip(value).map(|(name, value)| HeaderMatch { name, value })
        });
        let headers = headers.collect();
        let query = wire.query.iter().enumerate().filter_map(|(at, parameter)| {
            let value = ValueMatch::read(problems, &format!("{field}.query[{at}]"), parameter)?;
            Some(QueryMatch {
                name: parameter.name.as_str().into(),
                value,
            })
        });
        let query = query.collect();
        path.map(|path| Self {
            path,
            method,
            headers,
            query,
        })
    }
}

impl PathMatch {
    fn read(problems: &mut Problems<'_>, field: &str, wire: &v1::PathMatch) -> Option<Self> {
        use v1::path_match::Kind;
        let field = || format!("{field}.path.value");
        if wire.kind() != Kind::Regex && !wire.value.starts_with('/') {
            problems.add(field(), Code::Invalid, "a path starts with '/'");
            return None;
        }
        if wire.value.len() > MAX_PATH {
            problems.add(
                field(),
                Code::OutOfRange,
                format!("a path has at most {MAX_PATH} bytes"),
            );
            return None;
        }
        match wire.kind() {
            Kind::Exact => Some(Self::Exact(wire.value.as_str().into())),
            Kind::Prefix => Some(Self::Prefix(
                wire.value.strip_suffix('/').unwrap_or(&wire.value).into(),
            )),
            Kind::Regex => problems.keep(field, whole(&wire.value)).map(Self::Regex),
            Kind::Unspecified => {
                problems.add(
                    field(),
                    Code::Unsupported,
                    "a way to match paths this proxy does not know",
                );
                None
            }
        }
    }
}

impl ValueMatch {
    fn read(problems: &mut Problems<'_>, field: &str, wire: &v1::ValueMatch) -> Option<Self> {
        match wire.regex {
            false => Some(Self::Exact(wire.value.as_str().into())),
            true => problems
                .keep(|| format!("{field}.value"), whole(&wire.value))
                .map(Self::Regex),
        }
    }
}

impl std::fmt::Display for ValueMatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exact(value) => f.write_str(value),
            Self::Regex(regex) => write!(f, "~{}", regex.as_str()),
        }
    }
}
