//! Every request of a small world, with values that nothing in it names.

use http::{HeaderMap, HeaderValue, Method, header::HeaderName};
use sluice_core::RequestView;

pub(crate) const PORTS: [u16; 3] = [80, 81, 82];
pub(crate) const HOSTS: [&str; 9] = [
    "a.x.com",
    "b.x.com",
    "q.x.com",
    "b.b.x.com",
    "q.b.x.com",
    "x.com",
    "q.org",
    "q",
    "",
];
pub(crate) const METHODS: [Method; 3] = [Method::GET, Method::POST, Method::PATCH];
pub(crate) const PATHS: [&str; 20] = [
    "/", "/a", "/b", "/q", "/a/", "/b/", "//", "/a/a", "/a/b", "/b/a", "/b/b", "/a/q", "/b/q", "/q/b", "//a",
    "/a//", "/a/b/q", "/a/q/b", "/qb", "/ab",
];
pub(crate) const VALUES: [Option<&str>; 6] = [None, Some("1"), Some("2"), Some("z"), Some("11"), Some("q")];
pub(crate) const QUERIES: [Option<&str>; 6] = [
    None,
    Some("q=1"),
    Some("q=2"),
    Some("q=z"),
    Some("q=11"),
    Some("q=q"),
];

/// Asks `ask` about every request.
pub(crate) fn each(mut ask: impl FnMut(u16, &RequestView<'_>)) {
    for (header, other) in VALUES
        .iter()
        .flat_map(|value| [(value, None), (value, Some("1"))])
    {
        let mut headers = HeaderMap::new();
        for (name, value) in [("x-a", *header), ("x-b", other)] {
            let value = value.map(HeaderValue::from_static);
            headers.extend(value.map(|value| (HeaderName::from_static(name), value)));
        }
        for port in PORTS {
            for host in HOSTS {
                for path in PATHS {
                    for (method, query) in METHODS
                        .iter()
                        .flat_map(|method| QUERIES.map(|query| (method, query)))
                    {
                        let request = RequestView {
                            method,
                            host,
                            path,
                            query,
                            headers: &headers,
                        };
                        ask(port, &request);
                    }
                }
            }
        }
    }
}
