//! Why a request went wrong: whose fault it is, what is answered, whether it may be tried again.

use http::StatusCode;
use sluice_http1::{ChunkError, HeadError};

/// Everything that can go wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Reason {
    /// A head that is not HTTP/1 as RFC 9112 has it.
    BadHead(HeadError),
    /// A chunked body that is none.
    BadChunk(ChunkError),
    /// A head that took too long.
    HeadTimeout,
    /// A body of which nothing came for too long.
    BodyTimeout,
    /// A body that comes too slowly.
    BodyTooSlow,
    /// A body that is longer than allowed.
    BodyTooLarge,
    /// The process has no memory left for more.
    Overloaded,
    /// The listener has too many connections, of everybody or of this client.
    ListenerFull,
    /// No Host, several, or none that is a host.
    BadHost,
    /// A path that could mean something else upstream.
    BadPath,
    /// A host of another listener than the one the connection was made for (RFC 9110 section
    /// 15.5.20).
    Misdirected,
    /// CONNECT.
    MethodRefused,
    /// The request's body broke off.
    RequestBody,
    /// The client left before its answer was complete.
    ClientAbort,
    /// No rule takes the request.
    NoRoute,
    /// The rule sends its requests nowhere.
    NoBackends,
    /// The share of a backend that does not exist.
    DanglingBackend,
    /// The backend has no endpoint.
    NoEndpoints,
    /// No connection to the endpoint.
    ConnectFailed,
    /// No connection to the endpoint in time.
    ConnectTimeout,
    /// The endpoint is not who it has to be, or does no TLS.
    UpstreamTls,
    /// The connection broke before the answer was complete.
    UpstreamReset,
    /// The connection broke in the middle of an answer.
    UpstreamTruncated,
    /// The answer is not HTTP.
    UpstreamMalformed,
    /// No answer in the time an upstream has.
    ResponseTimeout,
    /// Not done in the time that the rule gives a request.
    RequestTimeout,
}

/// Who has to do something about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Whoever sent the request.
    Client,
    /// Whoever configured the routes.
    Gateway,
    /// Whoever runs the upstream.
    Upstream,
}

/// Whether a request may be sent a second time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retry {
    /// It must not.
    Never,
    /// It never left: to another endpoint, whatever its method.
    Elsewhere,
    /// It was on a kept connection that may have been dead already: if it was not written, or its
    /// method is idempotent and its body is untouched (RFC 9110 section 9.2.2).
    Reused,
}

impl Fault {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Gateway => "gateway",
            Self::Upstream => "upstream",
        }
    }
}

struct Facts {
    name: &'static str,
    status: StatusCode,
    fault: Fault,
    retry: Retry,
    detail: &'static str,
}

impl Facts {
    fn new(name: &'static str, status: u16, fault: Fault, retry: Retry, detail: &'static str) -> Self {
        Self {
            name,
            status: StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            fault,
            retry,
            detail,
        }
    }
}

/// nginx's code for a client that left; never sent.
const CLIENT_CLOSED_REQUEST: u16 = 499;

impl Reason {
    /// Those that say everything themselves.
    const PLAIN: [Self; 24] = [
        Self::HeadTimeout,
        Self::BodyTimeout,
        Self::BodyTooSlow,
        Self::BodyTooLarge,
        Self::Overloaded,
        Self::ListenerFull,
        Self::BadHost,
        Self::BadPath,
        Self::MethodRefused,
        Self::RequestBody,
        Self::ClientAbort,
        Self::NoRoute,
        Self::NoBackends,
        Self::DanglingBackend,
        Self::NoEndpoints,
        Self::ConnectFailed,
        Self::ConnectTimeout,
        Self::UpstreamTls,
        Self::UpstreamReset,
        Self::UpstreamTruncated,
        Self::UpstreamMalformed,
        Self::ResponseTimeout,
        Self::RequestTimeout,
        Self::Misdirected,
    ];

    /// How many there are.
    pub(crate) const COUNT: usize = Self::PLAIN.len() + HeadError::ALL.len() + ChunkError::ALL.len();

    /// All of them, in the order of their [`Reason::index`].
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        let heads = HeadError::ALL.into_iter().map(Self::BadHead);
        let chunks = ChunkError::ALL.into_iter().map(Self::BadChunk);
        Self::PLAIN.into_iter().chain(heads).chain(chunks)
    }

    /// Its place among all. Looked for, as only what goes wrong asks.
    pub(crate) fn index(self) -> usize {
        Self::all().take_while(|other| *other != self).count()
    }

    /// The one mapping from what went wrong to everything that follows from it.
    fn facts(self) -> Facts {
        use Fault::{Client, Gateway, Upstream};
        use Retry::{Elsewhere, Never, Reused};
        let client = |name, status, detail| Facts::new(name, status, Client, Never, detail);
        let gateway = |name, status, detail| Facts::new(name, status, Gateway, Never, detail);
        let upstream = |name, status, retry, detail| Facts::new(name, status, Upstream, retry, detail);
        match self {
            Self::BadHead(error) => client(error.as_str(), head_status(error), error.detail()),
            Self::BadChunk(error) => client(error.as_str(), 400, error.detail()),
            Self::HeadTimeout => client("head_timeout", 408, "the request head did not come in time"),
            Self::BodyTimeout => client("body_timeout", 408, "the request body did not come in time"),
            Self::BodyTooSlow => client("body_too_slow", 408, "the request body comes too slowly"),
            Self::BodyTooLarge => client("body_too_large", 413, "the request body is too large"),
            Self::Overloaded => gateway("overloaded", 503, "the proxy has no memory left; try again"),
            Self::ListenerFull => gateway("listener_full", 503, "too many connections; try again"),
            Self::Misdirected => client("misdirected", 421, "this connection was made for another host"),
            Self::BadHost => client("bad_host", 400, "exactly one valid Host is needed"),
            Self::BadPath => client("bad_path", 400, "the path is not valid"),
            Self::MethodRefused => client("method_refused", 405, "this is no forward proxy"),
            Self::RequestBody => client("request_body", 400, "the request body broke off"),
            Self::ClientAbort => client("client_abort", CLIENT_CLOSED_REQUEST, "the client left"),
            Self::NoRoute => client("no_route", 404, "no route takes this request"),
            Self::NoBackends => gateway("no_backends", 500, "the route has no backends"),
            Self::DanglingBackend => gateway(
                "dangling_backend",
                500,
                "the route names a backend that does not exist",
            ),
            Self::NoEndpoints => gateway("no_endpoints", 503, "the backend has no endpoints"),
            Self::ConnectFailed => {
                upstream("connect_failed", 502, Elsewhere, "the endpoint cannot be reached")
            }
            Self::ConnectTimeout => upstream(
                "connect_timeout",
                504,
                Elsewhere,
                "the endpoint cannot be reached in time",
            ),
            Self::UpstreamTls => upstream(
                "upstream_tls",
                502,
                Elsewhere,
                "no trusted TLS connection to the endpoint",
            ),
            Self::UpstreamReset => upstream(
                "upstream_reset",
                502,
                Reused,
                "the upstream closed the connection",
            ),
            Self::UpstreamTruncated => upstream(
                "upstream_truncated",
                502,
                Never,
                "the upstream broke off its answer",
            ),
            Self::UpstreamMalformed => upstream(
                "upstream_malformed",
                502,
                Never,
                "the upstream did not speak HTTP",
            ),
            Self::ResponseTimeout => upstream(
                "response_timeout",
                504,
                Never,
                "the upstream did not answer in time",
            ),
            Self::RequestTimeout => upstream("request_timeout", 504, Never, "the request took too long"),
        }
    }

    /// Its name: in bodies, headers, logs and metrics.
    pub(crate) fn as_str(self) -> &'static str {
        self.facts().name
    }

    /// The status that the client gets.
    pub(crate) fn status(self) -> StatusCode {
        self.facts().status
    }

    /// Whose fault it is.
    pub(crate) fn fault(self) -> Fault {
        self.facts().fault
    }

    /// Whether the request may be sent again.
    pub(crate) fn retry(self) -> Retry {
        self.facts().retry
    }

    /// A sentence for a person.
    pub(crate) fn detail(self) -> &'static str {
        self.facts().detail
    }
}

/// RFC 6585 section 5, RFC 9110 section 15.5.
const fn head_status(error: HeadError) -> u16 {
    match error {
        HeadError::TooLong | HeadError::TooManyLines => 431,
        HeadError::TargetTooLong => 414,
        HeadError::Expectation => 417,
        _ => 400,
    }
}

impl From<HeadError> for Reason {
    fn from(error: HeadError) -> Self {
        match error {
            HeadError::Host => Self::BadHost,
            error => Self::BadHead(error),
        }
    }
}

impl From<ChunkError> for Reason {
    fn from(error: ChunkError) -> Self {
        Self::BadChunk(error)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_reason_has_a_name_of_its_own_and_stands_at_its_place() {
        let others = Reason::all().filter(|reason| *reason != Reason::BadHead(HeadError::Host));
        let names: HashSet<_> = others.map(Reason::as_str).collect();
        assert_eq!(names.len(), Reason::COUNT - 1);
        for (at, reason) in Reason::all().enumerate() {
            assert_eq!(reason.index(), at, "{reason:?}");
        }
    }

    #[test]
    fn the_status_says_whose_fault_it_is() {
        for reason in Reason::all() {
            let client = reason.fault() == Fault::Client;
            assert_eq!(client, reason.status().is_client_error(), "{reason:?}");
            assert_eq!(client, !reason.status().is_server_error(), "{reason:?}");
        }
    }
}
