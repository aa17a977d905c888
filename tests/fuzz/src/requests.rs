//! Requests that meet the names of a [`World`](crate::world::World): one of every kind.

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use sluice_core::RequestView;

use crate::messages::PORTS;

const HOSTS: [&str; 6] = ["a.x.com", "b.x.com", "c.b.x.com", "x.com", "other.org", ""];
const PATHS: [&str; 7] = ["/", "//", "/a", "/a/", "/a/b", "/b/a/a", "/a/b/../%2F"];
const QUERIES: [Option<&str>; 3] = [None, Some("q=1&q=0"), Some("p=a%20b&=&&q")];

/// A request and the port it comes in on.
#[derive(Clone, Copy, Debug)]
pub struct Visit<'a> {
    /// As a Gateway names it.
    pub port: u16,
    /// What is asked for.
    pub view: RequestView<'a>,
}

/// Header fields for [`all`].
pub fn headers() -> HeaderMap {
    let pairs = [("x-a", "1"), ("x-a", "0"), ("x-b", "1"), ("cookie", "q=7; x-a=1")];
    let pairs = pairs.map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(name, value);
    }
    headers
}

/// Every host with every path, and the rest in turn.
pub fn all(headers: &HeaderMap) -> impl Iterator<Item = Visit<'_>> {
    let places = HOSTS
        .iter()
        .flat_map(|host| PATHS.iter().map(move |path| (*host, *path)));
    places.enumerate().map(move |(at, (host, path))| Visit {
        // 80 most of the time, and a port that nobody has.
        port: if at % 5 == 4 {
            PORTS[at % PORTS.len()]
        } else {
            PORTS[0]
        },
        view: RequestView {
            method: if at % 3 == 2 { &Method::POST } else { &Method::GET },
            host,
            path,
            query: QUERIES[at % QUERIES.len()],
            headers,
        },
    })
}
