//! Clients: one that speaks HTTP, one that sends bytes.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, header::HOST};
use http_body_util::{BodyExt as _, Empty, Full, combinators::BoxBody};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

pub(crate) type Body = BoxBody<Bytes, std::convert::Infallible>;

/// One HTTP/1.1 connection.
pub(crate) struct Client(pub(crate) SendRequest<Body>);

/// An answer, whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
    pub(crate) trailers: Option<HeaderMap>,
}

pub(crate) fn empty() -> Body {
    Empty::new().boxed()
}

pub(crate) fn full(text: &'static str) -> Body {
    Full::from(text).boxed()
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Self(sender)
    }

    /// Returns when the other side has closed the connection.
    pub(crate) async fn closed(&mut self) {
        while self.0.ready().await.is_ok() {
            tokio::task::yield_now().await;
        }
    }

    pub(crate) async fn get(&mut self, path: &str) -> Answer {
        self.send(
            Request::get(path)
                .header(HOST, "shop.example")
                .body(empty())
                .unwrap(),
        )
        .await
    }

    pub(crate) async fn send(&mut self, request: Request<Body>) -> Answer {
        self.0.ready().await.unwrap();
        read(self.0.send_request(request).await.unwrap()).await
    }
}

/// Reads an answer to its end.
pub(crate) async fn read(response: http::Response<hyper::body::Incoming>) -> Answer {
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap();
    let trailers = body.trailers().cloned();
    Answer {
        status: parts.status,
        headers: parts.headers,
        body: String::from_utf8(body.to_bytes().to_vec()).unwrap(),
        trailers,
    }
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// What a refused request was refused for.
    pub(crate) fn reason(&self) -> (u16, &str) {
        (self.status.as_u16(), self.header("x-sluice-reason"))
    }
}

/// Sends `bytes` and returns everything until the other side closes.
pub(crate) async fn raw(address: SocketAddr, bytes: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}
