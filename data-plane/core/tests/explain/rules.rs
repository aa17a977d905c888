//! Rules as these tests write them, and a request for them.

use http::{HeaderMap, HeaderValue, Method};
use sluice_proto::v1;

use crate::world::{self, Request, World};

/// A match as a test writes it: path, method, header, query.
pub(crate) fn wanted(
    path: &str,
    method: &str,
    header: Option<(&str, &str)>,
    query: Option<(&str, &str)>,
) -> v1::Match {
    let value = |(name, value): (&str, &str)| v1::ValueMatch {
        name: name.into(),
        value: value.into(),
        regex: false,
    };
    let path = (v1::path_match::Kind::Prefix, path.into());
    world::wanted(Some(path), method, header.map(value), query.map(value))
}

/// One rule for each of `matches`, all of one route at `hostnames` of the listener at that place in
/// [`LISTENERS`](crate::world::LISTENERS).
pub(crate) fn ruled(
    world: &mut World,
    route: u8,
    listener: usize,
    hostname: &'static str,
    matches: Vec<v1::Match>,
) {
    world.routes.insert(route, (1, vec![(listener, vec![hostname])]));
    for (rule, one) in (0..).zip(matches) {
        let rule_of = v1::Rule {
            matches: vec![one],
            ..Default::default()
        };
        world.rules.insert((route, rule), rule_of);
    }
}

/// A request with secrets of its own, whose header and parameter rules may ask for.
pub(crate) fn asked(host: &'static str, path: &str) -> Request {
    let mut headers = HeaderMap::new();
    headers.insert("x-a", HeaderValue::from_static("secret-of-the-client"));
    Request {
        port: 80,
        method: Method::GET,
        host,
        path: path.into(),
        query: Some("q=secret-of-the-query"),
        headers,
    }
}
