//! What pages of other origins may do (Fetch standard, section 3.2; Gateway API `HTTPCORSFilter`).

use std::{
    net::{Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use http::{HeaderName, HeaderValue, Method};
use sluice_proto::v1;

use crate::{Code, Hostname, problems::Problems};

/// Most entries of each list.
const MAX_ENTRIES: usize = 64;
/// How long a browser keeps an answer, as browsers do it without being told.
const DEFAULT_MAX_AGE: Duration = Duration::from_secs(5);

/// Rules for cross-origin requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cors {
    /// Origins that may; any of them.
    pub allow_origins: Vec<OriginMatch>,
    /// Whether requests may carry cookies and the like.
    pub allow_credentials: bool,
    /// Methods besides the safelisted ones.
    pub allow_methods: Allowed,
    /// Request headers besides the safelisted ones.
    pub allow_headers: Allowed,
    /// Response headers that pages may read, besides the safelisted ones.
    pub expose_headers: Allowed,
    /// How long a browser may keep the answer to a preflight.
    pub max_age: Duration,
}

/// One entry of the allowed origins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OriginMatch {
    /// `*`: all of them, `null` too.
    Any,
    /// One origin, as browsers write it: lower case, without the port that the scheme implies.
    Exact(Box<str>),
    /// `https://*.example.com:8443`: any depth below the name.
    Wildcard {
        /// `https`
        scheme: Box<str>,
        /// `.example.com`; empty: every host.
        suffix: Box<str>,
        /// `None`: the one that the scheme implies.
        port: Option<u16>,
    },
}

/// A list of names, or `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Allowed {
    /// `*`
    Any,
    /// These, joined as the header's value; `None`: none.
    Listed(Option<HeaderValue>),
}

impl Cors {
    pub(crate) fn read(problems: &mut Problems<'_>, wire: &v1::Cors) -> Self {
        if wire.allow_origins.len() > MAX_ENTRIES {
            problems.add(
                "cors.allow_origins",
                Code::OutOfRange,
                format!("at most {MAX_ENTRIES} origins"),
            );
        }
        let mut allow_origins = Vec::with_capacity(wire.allow_origins.len().min(MAX_ENTRIES));
        for (at, text) in wire.allow_origins.iter().take(MAX_ENTRIES).enumerate() {
            let origin = OriginMatch::parse(text);
            if origin.is_none() {
                let message = "an origin is '*', https://a.example or https://*.a.example:8443";
                problems.add(format!("cors.allow_origins[{at}]"), Code::Invalid, message);
            }
            allow_origins.extend(origin);
        }
        let is_method = |text: &str| Method::from_bytes(text.as_bytes()).is_ok();
        let is_header = |text: &str| HeaderName::from_bytes(text.as_bytes()).is_ok();
        Self {
            allow_origins,
            allow_credentials: wire.allow_credentials,
            allow_methods: Allowed::read(problems, "cors.allow_methods", &wire.allow_methods, is_method),
            allow_headers: Allowed::read(problems, "cors.allow_headers", &wire.allow_headers, is_header),
            expose_headers: Allowed::read(problems, "cors.expose_headers", &wire.expose_headers, is_header),
            max_age: match wire.max_age_s {
                0 => DEFAULT_MAX_AGE,
                seconds => Duration::from_secs(seconds.into()),
            },
        }
    }
}

impl OriginMatch {
    fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::Any);
        }
        let lower = text.to_ascii_lowercase();
        let (scheme, authority) = lower.split_once("://")?;
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !authority.ends_with(']') => (host, Some(port.parse::<u16>().ok()?)),
            Some(_) | None => (authority, None),
        };
        let port = port.filter(|port| *port != implied_port(scheme));
        if !is_scheme(scheme) {
            return None;
        }
        if let Some(suffix) = host.strip_prefix('*') {
            let well_formed = suffix.is_empty() || matches!(Hostname::parse(host), Ok(Hostname::Wildcard(_)));
            return well_formed.then(|| Self::Wildcard {
                scheme: scheme.into(),
                suffix: suffix.into(),
                port,
            });
        }
        let v6 = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let is_host = match v6 {
            Some(v6) => v6.parse::<Ipv6Addr>().is_ok(),
            None => {
                host.parse::<Ipv4Addr>().is_ok() || matches!(Hostname::parse(host), Ok(Hostname::Exact(_)))
            }
        };
        let port = port.map_or_else(String::new, |port| format!(":{port}"));
        is_host.then(|| Self::Exact(format!("{scheme}://{host}{port}").into()))
    }

    /// Whether it is the origin, given as browsers write it (RFC 6454 section 6.2).
    pub fn matches(&self, origin: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(exact) => origin.eq_ignore_ascii_case(exact),
            Self::Wildcard { scheme, suffix, port } => {
                let Some((of, authority)) = origin.split_once("://") else {
                    return false;
                };
                let (host, at) = match authority.rsplit_once(':').map(|(host, at)| (host, at.parse())) {
                    Some((host, Ok(at))) => (host, Some(at)),
                    Some((_, Err(_))) => return false,
                    None => (authority, None),
                };
                let is_name = host
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'));
                let host = host.to_ascii_lowercase();
                of.eq_ignore_ascii_case(scheme)
                    && is_name
                    && at == *port
                    && host.len() > suffix.len()
                    && host.ends_with(&**suffix)
            }
        }
    }
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
}

/// 0, which no origin has, where none is implied.
fn implied_port(scheme: &str) -> u16 {
    match scheme {
        "http" => 80,
        "https" => 443,
        _ => 0,
    }
}

impl Allowed {
    fn read(problems: &mut Problems<'_>, field: &str, wire: &[String], fits: impl Fn(&str) -> bool) -> Self {
        if wire.len() > MAX_ENTRIES {
            problems.add(field, Code::OutOfRange, format!("at most {MAX_ENTRIES} names"));
        }
        if wire.iter().any(|name| name == "*") {
            return Self::Any;
        }
        if let Some(at) = wire.iter().position(|name| !fits(name)) {
            problems.add(
                format!("{field}[{at}]"),
                Code::Invalid,
                "not a name that HTTP allows here",
            );
        }
        if wire.is_empty() {
            return Self::Listed(None);
        }
        Self::Listed(problems.keep(|| field.into(), HeaderValue::try_from(wire.join(", "))))
    }
}

#[cfg(test)]
mod tests {
    use proptest::{prelude::*, sample::select};

    use super::*;

    #[test]
    fn an_origin_matches_by_scheme_host_and_port() {
        for (pattern, origin, expected) in [
            ("*", "null", true),
            ("https://a.example", "https://a.example", true),
            ("https://A.example:443", "https://a.example", true),
            ("https://a.example", "http://a.example", false),
            ("https://a.example", "https://a.example:8443", false),
            ("https://a.example", "https://a.example.evil.org", false),
            ("http://127.0.0.1:3000", "http://127.0.0.1:3000", true),
            ("http://[::1]:3000", "http://[::1]:3000", true),
            ("http://[::1]", "http://[::1]", true),
            ("https://*.a.example", "https://x.a.example", true),
            ("https://*.a.example", "https://y.x.a.example", true),
            ("https://*.a.example", "https://a.example", false),
            ("https://*.a.example", "https://xa.example", false),
            ("https://*.a.example", "https://x.a.example:8443", false),
            ("https://*.a.example", "https://evil.org/.a.example", false),
            ("https://*.a.example:8443", "https://x.a.example:8443", true),
            ("https://*", "https://anything.example", true),
            ("https://*", "http://anything.example", false),
            ("https://*", "null", false),
            ("https://*.a.example", "https://x.a.example:x", false),
            ("capacitor://localhost", "capacitor://localhost", true),
        ] {
            let parsed = OriginMatch::parse(pattern).unwrap();
            assert_eq!(parsed.matches(origin), expected, "{pattern} {origin}");
        }
    }

    #[test]
    fn what_is_no_origin_is_refused() {
        for text in [
            "",
            "a.example",
            "https://",
            "https://a.example/",
            "https://a*.example",
            "https://a.example:x",
            "://a",
            "https://u@a",
            "http://[127.0.0.1]",
            "http://::1",
        ] {
            assert_eq!(OriginMatch::parse(text), None, "{text}");
        }
    }

    /// Scheme, host and port, as text with the port written only where `written` or it must be.
    fn origin(scheme: &str, host: &str, port: u16, written: bool) -> String {
        match port == implied_port(scheme) && !written {
            true => format!("{scheme}://{host}"),
            false => format!("{scheme}://{host}:{port}"),
        }
    }

    proptest! {
        #[test]
        fn a_pattern_takes_the_origins_that_its_three_parts_take(
            (scheme, wanted_scheme) in (select(&["http", "https"]), select(&["http", "https"])),
            (host, name) in ("[ab](\\.[ab]){0,3}", "[ab](\\.[ab]){0,2}"),
            (port, wanted_port) in (select(&[80, 443, 8443]), select(&[80, 443, 8443])),
            wildcard: bool, written: bool,
        ) {
            let wanted = if wildcard { format!("*.{name}") } else { name.clone() };
            let pattern = OriginMatch::parse(&origin(wanted_scheme, &wanted, wanted_port, written)).unwrap();
            let takes_host = match wildcard {
                true => host.ends_with(&format!(".{name}")),
                false => host == name,
            };
            let expected = scheme == wanted_scheme && port == wanted_port && takes_host;
            // Browsers leave out the port that the scheme implies.
            prop_assert_eq!(pattern.matches(&origin(scheme, &host, port, false)), expected);
        }
    }
}
