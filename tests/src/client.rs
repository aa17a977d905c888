//! HTTP clients that do what they are told and nothing else: no redirects, no retries, no pool.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use http::header::HOST;
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri, Version};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::AbortHandle;
use tokio::time::timeout;

use crate::upstream::{Body, Echo, full};

/// Longest wait for one whole answer.
const ANSWER: Duration = Duration::from_secs(30);

/// What is spoken on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2 without TLS, by prior knowledge.
    H2c,
}

/// One connection; it ends when it is dropped.
#[derive(Debug)]
pub struct Connection {
    sender: Sender,
    driver: AbortHandle,
}

#[derive(Debug)]
enum Sender {
    Http1(http1::SendRequest<Body>),
    H2c(http2::SendRequest<Body>),
}

/// A whole answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Version of HTTP it came in.
    pub version: Version,
    /// Its header lines.
    pub headers: HeaderMap,
    /// Its trailer lines.
    pub trailers: HeaderMap,
    /// Its whole body.
    pub body: Bytes,
}

impl Connection {
    /// Connects to `address`.
    ///
    /// # Errors
    /// When nobody listens there, or the handshake fails.
    pub async fn open(address: SocketAddr, protocol: Protocol) -> anyhow::Result<Self> {
        Self::open_from(Ipv4Addr::LOCALHOST, address, protocol).await
    }

    /// Connects to `address` from the local address `source`.
    ///
    /// # Errors
    /// When nobody listens there, or the handshake fails.
    pub async fn open_from(
        source: Ipv4Addr,
        address: SocketAddr,
        protocol: Protocol,
    ) -> anyhow::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((source, 0).into())?;
        let stream = socket.connect(address).await;
        let stream = stream.with_context(|| format!("connecting to {address}"))?;
        stream.set_nodelay(true)?;
        let stream = TokioIo::new(stream);
        let (sender, driver) = match protocol {
            Protocol::Http1 => {
                let (sender, connection) = http1::handshake(stream).await?;
                (Sender::Http1(sender), tokio::spawn(connection.with_upgrades()))
            }
            Protocol::H2c => {
                let (sender, connection) = http2::handshake(TokioExecutor::new(), stream).await?;
                (Sender::H2c(sender), tokio::spawn(connection))
            }
        };
        Ok(Self {
            sender,
            driver: driver.abort_handle(),
        })
    }

    /// Sends a request whose URI is absolute and waits for the head of the answer.
    ///
    /// # Errors
    /// When the connection ends before.
    pub async fn start(&mut self, request: Request<Body>) -> anyhow::Result<Response<Incoming>> {
        let answer = match &mut self.sender {
            Sender::Http1(sender) => {
                sender.ready().await?;
                timeout(ANSWER, sender.send_request(origin_form(request)?)).await
            }
            Sender::H2c(sender) => {
                sender.ready().await?;
                timeout(ANSWER, sender.send_request(request)).await
            }
        };
        Ok(answer.context("no head of an answer")??)
    }

    /// Sends a request whose URI is absolute and waits for the whole answer.
    ///
    /// # Errors
    /// When the connection ends before.
    pub async fn send(&mut self, request: Request<Body>) -> anyhow::Result<Answer> {
        let (parts, body) = self.start(request).await?.into_parts();
        let body = timeout(ANSWER, body.collect())
            .await
            .context("no end of the answer")??;
        Ok(Answer {
            status: parts.status,
            version: parts.version,
            headers: parts.headers,
            trailers: body.trailers().cloned().unwrap_or_default(),
            body: body.to_bytes(),
        })
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Answer {
    /// The one value of the header `name`; empty when it is absent, or not the only one.
    pub fn header(&self, name: &str) -> &str {
        let mut values = self.headers.get_all(name).iter();
        match (values.next(), values.next()) {
            (Some(value), None) => value.to_str().unwrap_or_default(),
            _ => "",
        }
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// When it is not; with the whole answer.
    pub fn json(&self) -> anyhow::Result<Value> {
        serde_json::from_slice(&self.body).with_context(|| format!("{self:?}"))
    }

    /// The body as what an echoing upstream saw.
    ///
    /// # Errors
    /// When it is not; with the whole answer.
    pub fn echo(&self) -> anyhow::Result<Echo> {
        serde_json::from_slice(&self.body).with_context(|| format!("{self:?}"))
    }

    /// The `reason` of an answer that a proxy made itself.
    ///
    /// # Errors
    /// When the body has none, or says another status than the answer; with the whole answer.
    pub fn reason(&self) -> anyhow::Result<String> {
        let body = self.json()?;
        anyhow::ensure!(body["status"] == self.status.as_u16(), "{self:?}");
        let reason = body["reason"].as_str().with_context(|| format!("{self:?}"))?;
        anyhow::ensure!(self.header("x-sluice-reason") == reason, "{self:?}");
        Ok(reason.to_owned())
    }
}

/// `GET http://host/path` for [`Connection::send`] and [`send`].
///
/// # Panics
/// When host and path make no URI.
pub fn get(host: &str, path: &str) -> Request<Body> {
    request(Method::GET, host, path, &[])
}

/// A request without a body, with these header lines.
///
/// # Panics
/// When host, path or a header line are not valid.
#[allow(clippy::expect_used, reason = "tests write their requests out")]
pub fn request(method: Method, host: &str, path: &str, headers: &[(&str, &str)]) -> Request<Body> {
    let mut builder = Request::builder()
        .method(method)
        .uri(format!("http://{host}{path}"));
    for (name, value) in headers {
        builder = builder.header(*name, *value);
    }
    builder.body(full("")).expect("a valid request")
}

/// Sends one request on a connection of its own, HTTP/1.1.
///
/// # Errors
/// When there is no whole answer.
pub async fn send(address: SocketAddr, request: Request<Body>) -> anyhow::Result<Answer> {
    Connection::open(address, Protocol::Http1)
        .await?
        .send(request)
        .await
}

/// Name of the echoing upstream that answers `GET http://host/`.
///
/// # Errors
/// When the answer is no success.
pub async fn served_by(address: SocketAddr, host: &str) -> anyhow::Result<String> {
    let answer = send(address, get(host, "/")).await?;
    anyhow::ensure!(answer.status == StatusCode::OK, "{answer:?}");
    Ok(answer.header("x-upstream").to_owned())
}

/// Writes `bytes` on a connection of its own and reads until the peer closes it.
///
/// # Errors
/// When the connection breaks, or is not closed in time.
pub async fn raw(address: SocketAddr, bytes: &[u8]) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(bytes).await?;
    let mut answer = Vec::new();
    timeout(ANSWER, stream.read_to_end(&mut answer))
        .await
        .context("not closed")??;
    Ok(String::from_utf8(answer)?)
}

/// HTTP/1.1 has the host in a header and the target in origin form (RFC 9112 section 3.2.1).
fn origin_form(mut request: Request<Body>) -> anyhow::Result<Request<Body>> {
    let uri = std::mem::take(request.uri_mut());
    if let (Some(authority), false) = (uri.authority(), request.headers().contains_key(HOST)) {
        let host = authority.as_str().parse()?;
        request.headers_mut().insert(HOST, host);
    }
    let target = uri.path_and_query().context("a target")?.clone();
    *request.uri_mut() = Uri::from(target);
    Ok(request)
}
