//! What of a request decides where it goes, and whether a rule's match holds for it.

use std::borrow::Cow;

use http::header::{AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION};
use http::{HeaderMap, HeaderName, Method};
use percent_encoding::percent_decode_str;
use sluice_model::{HeaderMatch, Match, QueryMatch};

/// What clients have to keep to themselves. A rule may know them by it, so its values are not told to everybody.
pub(crate) static CREDENTIALS: [HeaderName; 3] = [AUTHORIZATION, PROXY_AUTHORIZATION, COOKIE];

/// The parts of a request that are matched, normalised by whoever took it.
#[derive(Clone, Copy, Debug)]
pub struct RequestView<'a> {
    /// Compared exactly; HEAD is not GET.
    pub method: &'a Method,
    /// Lower case, without port or trailing dot; empty when there is none.
    pub host: &'a str,
    /// Normalised path, starting with `/`.
    pub path: &'a str,
    /// What follows the `?`, undecoded.
    pub query: Option<&'a str>,
    /// Header fields.
    pub headers: &'a HeaderMap,
}

/// The condition that kept a match from holding.
#[derive(Clone, Copy, Debug)]
pub enum Unmet<'a> {
    /// Another method.
    Method(&'a Method),
    /// A header absent or different.
    Header(&'a HeaderMatch),
    /// A query parameter absent or different.
    Query(&'a QueryMatch),
}

impl<'a> RequestView<'a> {
    /// The first condition of `wanted` besides its path that does not hold.
    #[inline]
    pub fn unmet<'m>(&self, wanted: &'m Match) -> Option<Unmet<'m>> {
        if let Some(method) = wanted.method.as_ref().filter(|method| *method != self.method) {
            return Some(Unmet::Method(method));
        }
        if let Some(header) = wanted.headers.iter().find(|header| !self.header_holds(header)) {
            return Some(Unmet::Header(header));
        }
        wanted
            .query
            .iter()
            .find(|query| !self.query_holds(query))
            .map(Unmet::Query)
    }

    pub(crate) fn header_holds(&self, wanted: &HeaderMatch) -> bool {
        self.header(&wanted.name)
            .is_some_and(|value| wanted.value.matches(&value))
    }

    pub(crate) fn query_holds(&self, wanted: &QueryMatch) -> bool {
        self.query(&wanted.name)
            .is_some_and(|value| wanted.value.matches(&value))
    }

    /// The value of a header; several lines are one value joined by `, ` (RFC 9110 section 5.3).
    /// `None` when absent or not text.
    pub fn header(&self, name: &HeaderName) -> Option<Cow<'a, str>> {
        let mut lines = self.headers.get_all(name).iter();
        let first = lines.next()?.to_str().ok()?;
        let Some(second) = lines.next() else {
            return Some(Cow::Borrowed(first));
        };
        let mut joined = String::from(first);
        for line in std::iter::once(second).chain(lines) {
            joined.push_str(", ");
            joined.push_str(line.to_str().ok()?);
        }
        Some(Cow::Owned(joined))
    }

    /// The first query parameter called `name`, both decoded; `+` is a space, as forms write it.
    pub fn query(&self, name: &str) -> Option<Cow<'a, str>> {
        let pairs = self
            .query?
            .split('&')
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        let mut named = pairs.filter(|(key, _)| decode(key) == name);
        named.next().map(|(_, value)| decode(value))
    }
}

fn decode(text: &str) -> Cow<'_, str> {
    if !text.bytes().any(|byte| matches!(byte, b'%' | b'+')) {
        return Cow::Borrowed(text);
    }
    let spaced = text.replace('+', " ");
    Cow::Owned(percent_decode_str(&spaced).decode_utf8_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_names_and_values_are_decoded_and_the_first_of_a_name_counts() {
        let headers = HeaderMap::new();
        let query = Some("a=1&b%20c=x+y&a=2&flag");
        let view = RequestView {
            method: &Method::GET,
            host: "",
            path: "/",
            query,
            headers: &headers,
        };
        assert_eq!(view.query("a").as_deref(), Some("1"));
        assert_eq!(view.query("b c").as_deref(), Some("x y"));
        assert_eq!(view.query("flag").as_deref(), Some(""));
        assert_eq!(view.query("none"), None);
    }

    #[test]
    fn several_lines_of_a_header_are_one_value() {
        let mut headers = HeaderMap::new();
        let name = HeaderName::from_static("x-list");
        headers.append(&name, "a".parse().unwrap());
        headers.append(&name, "b".parse().unwrap());
        let view = RequestView {
            method: &Method::GET,
            host: "",
            path: "/",
            query: None,
            headers: &headers,
        };
        assert_eq!(view.header(&name).as_deref(), Some("a, b"));
    }
}
