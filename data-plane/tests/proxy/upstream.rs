//! Upstreams: one that answers what a function says, one that is a script of bytes.

use std::{convert::Infallible, net::SocketAddr, sync::Arc};

use http::{Request, Response};
use hyper::{body::Incoming, server::conn, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::{AbortHandle, JoinSet},
};

use crate::client::{Body, full};

/// A running upstream; gone with all its connections when dropped.
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    task: AbortHandle,
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Upstream {
    /// Runs `serve` for every connection.
    pub(crate) async fn start<F, S>(serve: S) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
        S: Fn(TcpStream) -> F + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                connections.spawn(serve(stream));
            }
        });
        Self {
            address,
            task: task.abort_handle(),
        }
    }

    /// Answers HTTP/1.1 with what `answer` returns.
    pub(crate) async fn http1<F, A>(answer: A) -> Self
    where
        F: Future<Output = Response<Body>> + Send + 'static,
        A: Fn(Request<Incoming>) -> F + Send + Sync + 'static,
    {
        let answer = Arc::new(answer);
        Self::start(move |stream| {
            let answer = Arc::clone(&answer);
            async move {
                let service = service_fn(move |request| {
                    let answered = answer(request);
                    async move { Ok::<_, Infallible>(answered.await) }
                });
                let connection = conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                let _ = connection.with_upgrades().await;
            }
        })
        .await
    }

    /// Answers HTTP/2 with what `answer` returns.
    pub(crate) async fn http2<F, A>(answer: A) -> Self
    where
        F: Future<Output = Response<Body>> + Send + 'static,
        A: Fn(Request<Incoming>) -> F + Send + Sync + 'static,
    {
        let answer = Arc::new(answer);
        Self::start(move |stream| {
            let answer = Arc::clone(&answer);
            async move {
                let service = service_fn(move |request| {
                    let answered = answer(request);
                    async move { Ok::<_, Infallible>(answered.await) }
                });
                let connection = conn::http2::Builder::new(TokioExecutor::new());
                let _ = connection.serve_connection(TokioIo::new(stream), service).await;
            }
        })
        .await
    }

    /// Answers with a text that never changes.
    pub(crate) async fn saying(text: &'static str) -> Self {
        Self::http1(move |_| async move { Response::new(full(text)) }).await
    }

    /// Answers with the request it got: its line, then its header lines in order of their names.
    pub(crate) async fn echoing() -> Self {
        Self::http1(|request| async move { Response::new(describe(&request)) }).await
    }

    /// The address as a site has it.
    pub(crate) fn name(&self) -> String {
        self.address.to_string()
    }
}

/// A request as text.
pub(crate) fn describe<B>(request: &Request<B>) -> Body {
    let mut lines: Vec<String> = request
        .headers()
        .iter()
        .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
        .collect();
    lines.sort();
    lines.insert(0, format!("{} {}", request.method(), request.uri()));
    use http_body_util::BodyExt as _;
    http_body_util::Full::from(lines.join("\n")).boxed()
}

/// Reads one request head.
pub(crate) async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8(head).unwrap()
}

pub(crate) async fn write(stream: &mut TcpStream, bytes: &str) {
    stream.write_all(bytes.as_bytes()).await.unwrap();
}

/// An address where nobody listens.
pub(crate) fn nobody() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

/// Answers on `io` with the requests it gets, as [`Upstream::echoing`] does.
pub(crate) async fn echo<I>(io: I, http2: bool)
where
    I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let service = service_fn(|request| async move { Ok::<_, Infallible>(Response::new(describe(&request))) });
    // How it ends is the other side's to say.
    match http2 {
        true => {
            let connection = conn::http2::Builder::new(TokioExecutor::new());
            let _ = connection.serve_connection(io, service).await;
        }
        false => {
            let _ = conn::http1::Builder::new().serve_connection(io, service).await;
        }
    }
}
