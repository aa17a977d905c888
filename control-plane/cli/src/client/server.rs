//! Where a control plane is.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use reqwest::Url;

/// Base URL of a control plane, `http://HOST:PORT`, perhaps with a path in front of `/v1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Server(Url);

/// Why a text is not the address of a control plane.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ServerError {
    /// Not an address at all.
    #[error("write it as http://HOST:PORT")]
    Malformed,
    /// Something else than `http`.
    #[error("only http is spoken; write it as http://HOST:PORT")]
    Scheme,
}

impl Server {
    /// The URL of the resource at `segments`, which are encoded where needed.
    pub(crate) fn url(&self, segments: &[&str]) -> Url {
        let mut url = self.0.clone();
        // An http URL always has a path to add to.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }

    /// Whether it is on this machine.
    pub(crate) fn is_loopback(&self) -> bool {
        let host = self.0.host_str().unwrap_or_default().trim_matches(['[', ']']);
        host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

impl FromStr for Server {
    type Err = ServerError;

    /// Reads `http://HOST:PORT`, or `HOST:PORT` alone.
    fn from_str(text: &str) -> Result<Self, ServerError> {
        let with_scheme = match text.contains("://") {
            true => text.to_owned(),
            false => format!("http://{text}"),
        };
        let url = Url::parse(&with_scheme).map_err(|_| ServerError::Malformed)?;
        match url.scheme() {
            "http" if url.query().is_none() && url.fragment().is_none() => Ok(Self(url)),
            "http" => Err(ServerError::Malformed),
            _ => Err(ServerError::Scheme),
        }
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_leave_out_the_scheme_and_keep_a_path() {
        for (text, url) in [
            ("127.0.0.1:7400", "http://127.0.0.1:7400/v1/fleet/a%2Fb"),
            ("http://cp:7400/", "http://cp:7400/v1/fleet/a%2Fb"),
            ("http://cp/sluice", "http://cp/sluice/v1/fleet/a%2Fb"),
        ] {
            let server: Server = text.parse().unwrap();
            assert_eq!(server.url(&["v1", "fleet", "a/b"]).as_str(), url);
        }
        assert_eq!(
            "http://cp:1/".parse::<Server>().unwrap().to_string(),
            "http://cp:1"
        );
    }

    #[test]
    fn this_machine_is_told_from_others() {
        let is_loopback = |text: &str| text.parse::<Server>().unwrap().is_loopback();
        assert!(
            ["localhost:1", "127.0.0.2:1", "http://[::1]:1"]
                .into_iter()
                .all(is_loopback)
        );
        assert!(
            !["cp:1", "10.0.0.1:1", "http://[2001:db8::1]:1"]
                .into_iter()
                .any(is_loopback)
        );
    }

    #[test]
    fn what_is_no_http_address_is_refused() {
        assert_eq!("ftp://cp".parse::<Server>(), Err(ServerError::Scheme));
        assert_eq!("http://".parse::<Server>(), Err(ServerError::Malformed));
        assert_eq!("http://cp/?a=b".parse::<Server>(), Err(ServerError::Malformed));
    }
}
