//! Upstream services inside the test's own process, HTTP/1.1 and h2c on one free port.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::Context as _;
use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use serde::{Deserialize, Serialize};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};

/// Largest request body that [`Upstream::echo`] takes, in bytes.
const ECHO_BODY: usize = 1 << 20;

/// Any free port of 127.0.0.1.
const FREE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Body of a request or response made by a test.
pub type Body = UnsyncBoxBody<Bytes, std::io::Error>;

/// A body that is there at once.
pub fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into())
        .map_err(|never: Infallible| match never {})
        .boxed_unsync()
}

/// A service on a free port of 127.0.0.1; it and its connections end when it is dropped.
#[derive(Debug)]
pub struct Upstream {
    /// Where it listens.
    pub address: SocketAddr,
    accepting: AbortHandle,
}

/// What [`Upstream::echo`] answers: the request as it arrived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Echo {
    /// Name of the upstream that answered.
    pub upstream: String,
    /// Method of the request.
    pub method: String,
    /// Path and query of the request.
    pub target: String,
    /// Version of HTTP, as `HTTP/1.1`.
    pub version: String,
    /// Header lines by lower-case name, in the order they came. With HTTP/2, `:authority` is told
    /// as `host`.
    pub headers: BTreeMap<String, Vec<String>>,
    /// The request's body.
    pub body: String,
    /// Port of the client: the same for all requests of one connection.
    pub peer: u16,
}

impl Echo {
    /// The one value of the header `name`; empty when it is absent.
    ///
    /// # Errors
    /// When it came more than once.
    pub fn header(&self, name: &str) -> anyhow::Result<&str> {
        match self.headers.get(name).map(Vec::as_slice) {
            None | Some([]) => Ok(""),
            Some([value]) => Ok(value),
            Some(values) => anyhow::bail!("{name}: {values:?}"),
        }
    }
}

impl Upstream {
    /// Answers every request with its description, an [`Echo`], and the header `x-upstream`.
    ///
    /// # Errors
    /// When it cannot listen.
    pub async fn echo(name: &str) -> anyhow::Result<Self> {
        Self::echo_at(name, FREE).await
    }

    /// As [`Upstream::echo`], at `address`.
    ///
    /// # Errors
    /// When it cannot listen there.
    pub async fn echo_at(name: &str, address: SocketAddr) -> anyhow::Result<Self> {
        let name: Arc<str> = name.into();
        Self::serve_at(address, move |request, peer| {
            echo(Arc::clone(&name), request, peer)
        })
        .await
    }

    /// Answers every request with what `handler` makes of it and the client's address; an error
    /// ends the connection without an answer.
    ///
    /// # Errors
    /// When it cannot listen.
    pub async fn serve<F, A>(handler: F) -> anyhow::Result<Self>
    where
        F: Fn(Request<Incoming>, SocketAddr) -> A + Send + Sync + 'static,
        A: Future<Output = anyhow::Result<Response<Body>>> + Send + 'static,
    {
        Self::serve_at(FREE, handler).await
    }

    async fn serve_at<F, A>(address: SocketAddr, handler: F) -> anyhow::Result<Self>
    where
        F: Fn(Request<Incoming>, SocketAddr) -> A + Send + Sync + 'static,
        A: Future<Output = anyhow::Result<Response<Body>>> + Send + 'static,
    {
        let handler = Arc::new(handler);
        Self::accept_at(address, move |stream: TcpStream| {
            let handler = Arc::clone(&handler);
            async move {
                let Ok(peer) = stream.peer_addr() else { return };
                let service = service_fn(move |request| handler(request, peer));
                // An error ends this one connection; the client sees it.
                let _ = auto::Builder::new(TokioExecutor::new())
                    .serve_connection_with_upgrades(TokioIo::new(stream), service)
                    .await;
            }
        })
        .await
    }

    /// Hands every connection to `handler`.
    ///
    /// # Errors
    /// When it cannot listen.
    pub async fn accept<F, A>(handler: F) -> anyhow::Result<Self>
    where
        F: Fn(TcpStream) -> A + Clone + Send + 'static,
        A: Future<Output = ()> + Send + 'static,
    {
        Self::accept_at(FREE, handler).await
    }

    async fn accept_at<F, A>(address: SocketAddr, handler: F) -> anyhow::Result<Self>
    where
        F: Fn(TcpStream) -> A + Clone + Send + 'static,
        A: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let accepting = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let _ = stream.set_nodelay(true);
                connections.spawn(handler(stream));
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Self {
            address,
            accepting: accepting.abort_handle(),
        })
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn echo(
    name: Arc<str>,
    request: Request<Incoming>,
    peer: SocketAddr,
) -> anyhow::Result<Response<Body>> {
    let (parts, body) = request.into_parts();
    let body = http_body_util::Limited::new(body, ECHO_BODY)
        .collect()
        .await
        .map_err(anyhow::Error::from_boxed)?;
    let target = parts.uri.path_and_query().context("a target")?.as_str();
    let mut headers = lines(&parts.headers)?;
    if let Some(authority) = parts.uri.authority() {
        headers.insert("host".to_owned(), vec![authority.to_string()]);
    }
    let echo = Echo {
        upstream: name.to_string(),
        method: parts.method.to_string(),
        target: target.to_owned(),
        version: format!("{:?}", parts.version),
        headers,
        body: String::from_utf8(body.to_bytes().into())?,
        peer: peer.port(),
    };
    Ok(Response::builder()
        .header("content-type", "application/json")
        .header("x-upstream", &*name)
        .body(full(serde_json::to_vec(&echo)?))?)
}

fn lines(headers: &HeaderMap) -> anyhow::Result<BTreeMap<String, Vec<String>>> {
    let mut lines = BTreeMap::<_, Vec<_>>::new();
    for (name, value) in headers {
        let value = value.to_str()?.to_owned();
        lines.entry(name.to_string()).or_default().push(value);
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::{Connection, Protocol, request};

    #[tokio::test]
    async fn an_echo_tells_the_request_in_both_versions_of_http() {
        let upstream = Upstream::echo("web").await.unwrap();
        for (protocol, version) in [(Protocol::Http1, "HTTP/1.1"), (Protocol::H2c, "HTTP/2.0")] {
            let mut connection = Connection::open(upstream.address, protocol).await.unwrap();
            let sent = [("x-a", "1"), ("x-a", "2"), ("x-b", "3")];
            let asked = request(http::Method::PUT, "shop.example.com", "/a?b=c", &sent);
            let answer = connection.send(asked).await.unwrap();
            assert_eq!(answer.header("x-upstream"), "web");
            let echo = answer.echo().unwrap();
            assert_eq!((&*echo.method, &*echo.target), ("PUT", "/a?b=c"));
            assert_eq!(echo.version, version);
            assert_eq!(echo.header("host").unwrap(), "shop.example.com");
            assert_eq!(echo.headers["x-a"], ["1", "2"]);
            assert!(echo.header("x-a").is_err());
        }
    }
}
