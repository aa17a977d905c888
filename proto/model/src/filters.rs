//! What is changed on the way: headers, URLs, copies, cross-origin answers.

use std::ops::Deref;

use http::{HeaderName, HeaderValue, StatusCode};
use sluice_proto::v1;

use crate::{Code, Cors, Key, Kind, problems::Problems};

/// Most mirrors of one rule, and of one of its backends.
pub const MAX_MIRRORS: usize = 16;

/// Changes to request and response, of a rule or of one backend of it. Read like a [`FilterSet`]; one
/// without any change takes no memory of its own, as most rules are so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filters(Option<Box<FilterSet>>);

/// Every change there may be. Those of a backend neither redirect nor answer cross-origin requests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FilterSet {
    /// Headers on the way up.
    pub request_headers: HeaderEdit,
    /// Headers on the way down.
    pub response_headers: HeaderEdit,
    /// Answer with a redirect; nothing is forwarded.
    pub redirect: Option<Redirect>,
    /// Change the URL on the way up.
    pub rewrite: Option<Rewrite>,
    /// Who else gets a copy of the request; at most [`MAX_MIRRORS`].
    pub mirrors: Vec<Mirror>,
    /// What pages of other origins may do.
    pub cors: Option<Cors>,
}

/// A copy of a part of the requests; its answer is ignored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirror {
    /// `None`: the reference dangles, and nothing is sent.
    pub backend: Option<Key>,
    /// Of [`denominator`](Self::denominator) requests so many are copied; no more than that.
    pub numerator: u32,
    /// At least 1.
    pub denominator: u32,
}

/// Header changes, applied in the order set, add, remove.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderEdit {
    /// Replaced, or added when absent.
    pub set: Vec<(HeaderName, HeaderValue)>,
    /// Appended to what is there.
    pub add: Vec<(HeaderName, HeaderValue)>,
    /// Taken out.
    pub remove: Vec<HeaderName>,
}

impl HeaderEdit {
    const NONE: Self = Self {
        set: Vec::new(),
        add: Vec::new(),
        remove: Vec::new(),
    };

    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        self.set.is_empty() && self.add.is_empty() && self.remove.is_empty()
    }
}

/// Scheme of a redirect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// `http`, port 80
    Http,
    /// `https`, port 443
    Https,
}

/// A redirect (Gateway API `HTTPRequestRedirectFilter`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// The request's when absent.
    pub scheme: Option<Scheme>,
    /// The request's when absent.
    pub hostname: Option<Box<str>>,
    /// The request's when absent.
    pub path: Option<PathEdit>,
    /// When absent: by the scheme if that is given, else the listener's written port.
    pub port: Option<u16>,
    /// 301, 302, 303, 307 or 308.
    pub status: StatusCode,
}

/// A URL rewrite (Gateway API `HTTPURLRewriteFilter`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rewrite {
    /// New Host.
    pub hostname: Option<HeaderValue>,
    /// New path.
    pub path: Option<PathEdit>,
}

/// A change of the path; the query stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathEdit {
    /// The whole path.
    Full(Box<str>),
    /// The prefix that matched.
    Prefix(Box<str>),
}

impl Filters {
    /// Those that change nothing.
    pub const NONE: Self = Self(None);

    /// Whether nothing is changed.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    pub(crate) fn of_rule(problems: &mut Problems<'_>, wire: &v1::Rule) -> Self {
        let set = FilterSet {
            request_headers: HeaderEdit::read_part(problems, "request_headers", &wire.request_headers),
            response_headers: HeaderEdit::read_part(problems, "response_headers", &wire.response_headers),
            redirect: wire
                .redirect
                .as_ref()
                .and_then(|wire| Redirect::read(problems, wire)),
            rewrite: wire
                .rewrite
                .as_ref()
                .map(|wire| Rewrite::read(problems, "rewrite", wire)),
            mirrors: Mirror::read_all(problems, "mirrors", &wire.mirrors),
            cors: wire.cors.as_ref().map(|wire| Cors::read(problems, wire)),
        };
        if set.redirect.is_some() && set.rewrite.is_some() {
            problems.add("rewrite", Code::Conflict, "a rule either redirects or rewrites");
        }
        Self::from(set)
    }

    pub(crate) fn of_backend(problems: &mut Problems<'_>, field: &str, wire: &v1::BackendFilters) -> Self {
        let part = |name: &str| format!("{field}.{name}");
        let rewrite = wire.rewrite.as_ref();
        Self::from(FilterSet {
            request_headers: HeaderEdit::read_part(problems, &part("request_headers"), &wire.request_headers),
            response_headers: HeaderEdit::read_part(
                problems,
                &part("response_headers"),
                &wire.response_headers,
            ),
            redirect: None,
            rewrite: rewrite.map(|wire| Rewrite::read(problems, &part("rewrite"), wire)),
            mirrors: Mirror::read_all(problems, &part("mirrors"), &wire.mirrors),
            cors: None,
        })
    }
}

impl From<FilterSet> for Filters {
    fn from(set: FilterSet) -> Self {
        Self((set != FilterSet::default()).then(|| Box::new(set)))
    }
}

impl Deref for Filters {
    type Target = FilterSet;

    fn deref(&self) -> &FilterSet {
        static NONE: FilterSet = FilterSet {
            request_headers: HeaderEdit::NONE,
            response_headers: HeaderEdit::NONE,
            redirect: None,
            rewrite: None,
            mirrors: Vec::new(),
            cors: None,
        };
        self.0.as_deref().unwrap_or(&NONE)
    }
}

impl Mirror {
    fn read_all(problems: &mut Problems<'_>, field: &str, wire: &[v1::Mirror]) -> Vec<Self> {
        if wire.len() > MAX_MIRRORS {
            problems.add(field, Code::OutOfRange, format!("at most {MAX_MIRRORS} mirrors"));
        }
        let one = |(at, wire): (usize, &v1::Mirror)| Self::read(problems, &format!("{field}[{at}]"), wire);
        wire.iter().take(MAX_MIRRORS).enumerate().map(one).collect()
    }

    fn read(problems: &mut Problems<'_>, field: &str, wire: &v1::Mirror) -> Self {
        let backend = match wire.backend.as_str() {
            "" => None,
            text => problems.key(&format!("{field}.backend"), text, Kind::Backend),
        };
        let (numerator, denominator) = match wire.denominator {
            0 => (1, 1),
            denominator => (wire.numerator, denominator),
        };
        if numerator > denominator {
            problems.add(
                format!("{field}.numerator"),
                Code::OutOfRange,
                "no more than all requests can be copied",
            );
        }
        Self {
            backend,
            numerator,
            denominator,
        }
    }
}

impl HeaderEdit {
    fn read_part(problems: &mut Problems<'_>, field: &str, wire: &Option<v1::HeaderEdit>) -> Self {
        wire.as_ref()
            .map_or(Self::NONE, |wire| Self::read(problems, field, wire))
    }

    fn read(problems: &mut Problems<'_>, field: &str, wire: &v1::HeaderEdit) -> Self {
        let mut pairs = |part: &str, list: &[v1::Header]| {
            let mut pairs = Vec::with_capacity(list.len());
            for (at, header) in list.iter().enumerate() {
                let field = || format!("{field}.{part}[{at}]");
                let name = problems.keep(field, HeaderName::from_bytes(header.name.as_bytes()));
                let value = problems.keep(field, HeaderValue::from_str(&header.value));
                pairs.extend(name.zip(value));
            }
            pairs
        };
        let (set, add) = (pairs("set", &wire.set), pairs("add", &wire.add));
        let mut remove = Vec::with_capacity(wire.remove.len());
        for (at, name) in wire.remove.iter().enumerate() {
            let name = HeaderName::from_bytes(name.as_bytes());
            remove.extend(problems.keep(|| format!("{field}.remove[{at}]"), name));
        }
        Self { set, add, remove }
    }
}

impl Redirect {
    fn read(problems: &mut Problems<'_>, wire: &v1::Redirect) -> Option<Self> {
        let scheme = match wire.scheme.as_str() {
            "" => None,
            "http" => Some(Scheme::Http),
            "https" => Some(Scheme::Https),
            other => {
                problems.add(
                    "redirect.scheme",
                    Code::Invalid,
                    format!("'{other}' is neither http nor https"),
                );
                None
            }
        };
        let port = match wire.port {
            0 => None,
            port => problems.keep(|| "redirect.port".into(), u16::try_from(port)),
        };
        let status = u16::try_from(wire.status)
            .ok()
            .filter(|s| matches!(s, 301 | 302 | 303 | 307 | 308));
        let status = status.and_then(|status| StatusCode::from_u16(status).ok());
        if status.is_none() {
            problems.add(
                "redirect.status",
                Code::Invalid,
                "a redirect is 301, 302, 303, 307 or 308",
            );
        }
        let hostname =
            authority(problems, "redirect.hostname", &wire.hostname).map(|_| wire.hostname.as_str().into());
        let path = wire
            .path
            .as_ref()
            .and_then(|path| PathEdit::read(problems, "redirect.path", path));
        status.map(|status| Self {
            scheme,
            hostname,
            path,
            port,
            status,
        })
    }
}

impl Rewrite {
    fn read(problems: &mut Problems<'_>, field: &str, wire: &v1::Rewrite) -> Self {
        let hostname = authority(problems, &format!("{field}.hostname"), &wire.hostname);
        let path = wire
            .path
            .as_ref()
            .and_then(|path| PathEdit::read(problems, &format!("{field}.path"), path));
        Self { hostname, path }
    }
}

/// A host to send, if one is written: checked, so that it can neither split a head nor change the path.
fn authority(problems: &mut Problems<'_>, field: &str, host: &str) -> Option<HeaderValue> {
    if host.is_empty() {
        return None;
    }
    match crate::Hostname::parse(host) {
        Ok(crate::Hostname::Exact(_)) => problems.keep(|| field.into(), HeaderValue::from_str(host)),
        Ok(_) => {
            problems.add(field, Code::Invalid, "one precise hostname is needed here");
            None
        }
        Err(error) => {
            problems.add(field, Code::Invalid, error);
            None
        }
    }
}

impl PathEdit {
    fn read(problems: &mut Problems<'_>, field: &str, wire: &v1::PathEdit) -> Option<Self> {
        use v1::path_edit::Edit;
        let (text, full) = match wire.edit.as_ref()? {
            Edit::Full(text) => (text, true),
            Edit::Prefix(text) => (text, false),
        };
        // The edited path goes into a request line or a Location as it is.
        let clean = text
            .bytes()
            .all(|b| b.is_ascii_graphic() && !matches!(b, b'?' | b'#'));
        if !clean || !(text.starts_with('/') || (!full && text.is_empty())) {
            problems.add(
                field,
                Code::Invalid,
                "a path starts with '/' and has no space, '?', '#' or control byte",
            );
            return None;
        }
        Some(match full {
            true => Self::Full(text.as_str().into()),
            false => Self::Prefix(text.as_str().into()),
        })
    }
}
