//! Normalize: one spelling of host and path, to be matched and forwarded.

use std::borrow::Cow;

use http::{Request, header::HOST};
use sluice_core::{RequestView, normalize_host, normalize_path};

use super::Reason;

/// Where a request wants to go, normalised. Borrows what is normal already.
#[derive(Debug)]
pub(super) struct Url<'a> {
    host: Cow<'a, str>,
    pub(super) path: Cow<'a, str>,
    pub(super) query: Option<&'a str>,
}

/// Reads host and path.
///
/// # Errors
/// A host or a path that is none.
pub(super) fn normalize<B>(request: &Request<B>) -> Result<Url<'_>, Reason> {
    let path = normalize_path(request.uri().path()).map_err(|_| Reason::BadPath)?;
    let host = normalize_host(written_host(request)?).map_err(|_| Reason::BadHost)?;
    Ok(Url {
        host: host.name,
        path,
        query: request.uri().query(),
    })
}

/// The host as the client wrote it. The target's wins over the Host header (RFC 9112 section
/// 3.2.2); in HTTP/2 two that differ are malformed (RFC 9113 section 8.3.1).
fn written_host<B>(request: &Request<B>) -> Result<&str, Reason> {
    let line = request.headers().get(HOST).map(|host| host.to_str());
    let line = line.transpose().map_err(|_| Reason::BadHost)?;
    match (request.uri().authority(), line) {
        (None, line) => Ok(line.unwrap_or("")),
        (Some(authority), Some(line))
            if request.version() == http::Version::HTTP_2 && line != authority.as_str() =>
        {
            Err(Reason::BadHost)
        }
        (Some(authority), _) => Ok(authority.as_str()),
    }
}

impl Url<'_> {
    /// What of the request is matched.
    pub(super) fn view<'v, B>(&'v self, request: &'v Request<B>) -> RequestView<'v> {
        RequestView {
            method: request.method(),
            host: &self.host,
            path: &self.path,
            query: self.query,
            headers: request.headers(),
        }
    }
}

#[cfg(test)]
mod tests {
    use http::Version;

    use super::*;

    fn read(version: Version, uri: &str, host: Option<&str>) -> Result<(String, String), Reason> {
        let mut request = Request::builder().version(version).uri(uri);
        if let Some(host) = host {
            request = request.header(HOST, host);
        }
        let request = request.body(()).unwrap();
        normalize(&request).map(|url| (url.host.into_owned(), url.path.into_owned()))
    }

    fn ok(host: &str, path: &str) -> Result<(String, String), Reason> {
        Ok((host.into(), path.into()))
    }

    #[test]
    fn the_target_wins_over_host() {
        let (h1, h2) = (Version::HTTP_11, Version::HTTP_2);
        assert_eq!(read(h1, "/a/../b", Some("Shop:80")), ok("shop", "/b"));
        assert_eq!(
            read(h1, "http://A.example:81/x", Some("b")),
            ok("a.example", "/x")
        );
        assert_eq!(read(h2, "http://a/x", None), ok("a", "/x"));
        assert_eq!(read(h2, "http://a/x", Some("b")), Err(Reason::BadHost));
        assert_eq!(read(Version::HTTP_10, "/", None), ok("", "/"));
    }

    #[test]
    fn what_is_no_host_or_path_is_refused() {
        let h1 = Version::HTTP_11;
        assert_eq!(read(h1, "/", Some("a b")), Err(Reason::BadHost));
        assert_eq!(read(h1, "http://user@a/", Some("a")), Err(Reason::BadHost));
        assert_eq!(read(h1, "/%00", Some("a")), Err(Reason::BadPath));
        assert_eq!(read(h1, "/%zz", Some("a")), Err(Reason::BadPath));
    }
}
