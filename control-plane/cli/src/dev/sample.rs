//! Sample upstreams: small HTTP/1.1 servers that say who they are and what they were asked.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::io::{self, AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Longest request head, in bytes.
const MAX_HEAD: usize = 64 * 1024;
/// Most header fields of a request.
const MAX_FIELDS: usize = 128;
/// Most connections to one sample at a time; further ones wait.
const MAX_CONNECTIONS: usize = 512;
/// How long a connection may say nothing. Longer than proxies keep idle connections, so that it is
/// they who close them.
const IDLE: Duration = Duration::from_secs(120);

/// A running sample.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    /// What it calls itself.
    pub(super) name: &'static str,
    /// Where it listens.
    pub(super) address: SocketAddr,
}

/// What a sample has to know of a request.
struct Head {
    answer: Vec<u8>,
    body: Body,
    keep_alive: bool,
}

/// What follows a request's head.
enum Body {
    Sized(u64),
    /// Not read: the connection ends with the answer.
    Chunked,
}

/// Binds `port` on loopback, or any free port with 0.
///
/// # Errors
/// When the port is taken.
pub(super) async fn bind(port: u16) -> io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await
}

/// Serves `listener` as `name` until `shutdown`; connections end then, too.
///
/// # Errors
/// When the listener has no address.
pub(super) fn serve(
    name: &'static str,
    listener: TcpListener,
    tasks: &TaskTracker,
    shutdown: &CancellationToken,
) -> io::Result<Sample> {
    let address = listener.local_addr()?;
    let (connections, shutdown) = (tasks.clone(), shutdown.clone());
    tasks.spawn(async move {
        let accepting = accept(name, &listener, &connections, &shutdown);
        shutdown.run_until_cancelled(accepting).await;
    });
    Ok(Sample { name, address })
}

async fn accept(
    name: &'static str,
    listener: &TcpListener,
    tasks: &TaskTracker,
    shutdown: &CancellationToken,
) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        // A connection that is gone before it is accepted, or no descriptor left: the next may do.
        let Ok((connection, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let shutdown = shutdown.clone();
        tasks.spawn(async move {
            // What goes wrong on a connection is over with it.
            let _ = shutdown.run_until_cancelled(answer_all(name, connection)).await;
            drop(place);
        });
    }
}

async fn answer_all(name: &'static str, mut connection: TcpStream) -> io::Result<()> {
    connection.set_nodelay(true)?;
    let (read, mut write) = connection.split();
    let mut read = BufReader::new(read);
    let mut head = Vec::new();
    loop {
        head.clear();
        timeout(IDLE, read_head(&mut read, &mut head)).await??;
        if head.is_empty() {
            return Ok(());
        }
        let request = understand(name, &head).ok_or(io::ErrorKind::InvalidData)?;
        if let Body::Sized(length) = request.body {
            timeout(IDLE, io::copy(&mut (&mut read).take(length), &mut io::sink())).await??;
        }
        write.write_all(&request.answer).await?;
        if !request.keep_alive {
            return write.shutdown().await;
        }
    }
}

/// Reads up to the empty line that ends a head (RFC 9112 section 2.1); nothing at the end of the
/// connection.
async fn read_head(read: &mut (impl io::AsyncBufRead + Unpin), head: &mut Vec<u8>) -> io::Result<()> {
    loop {
        let room = (MAX_HEAD - head.len()) as u64;
        let length = read.take(room).read_until(b'\n', head).await?;
        if length == 0 && !head.is_empty() {
            return Err(io::ErrorKind::InvalidData.into());
        }
        if length == 0 || head.ends_with(b"\r\n\r\n") {
            return Ok(());
        }
    }
}

fn understand(name: &str, head: &[u8]) -> Option<Head> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut request = httparse::Request::new(&mut fields);
    request.parse(head).ok()?;
    let (mut headers, mut body, mut keep_alive) = (Map::new(), Body::Sized(0), request.version == Some(1));
    for field in request.headers.iter() {
        let value = String::from_utf8_lossy(field.value).into_owned();
        let field = field.name.to_ascii_lowercase();
        match field.as_str() {
            "content-length" => body = Body::Sized(value.parse().ok()?),
            "transfer-encoding" => body = Body::Chunked,
            "connection" => keep_alive &= !value.eq_ignore_ascii_case("close"),
            _ => {}
        }
        let before = headers.get(&field).and_then(Value::as_str);
        let joined = before.map_or_else(|| value.clone(), |before| format!("{before}, {value}"));
        headers.insert(field, joined.into());
    }
    keep_alive &= matches!(body, Body::Sized(_));
    let (method, path) = (request.method?, request.path?);
    let said = json!({"name": name, "method": method, "path": path, "headers": headers});
    Some(Head {
        answer: answer(&format!("{said}\n"), method == "HEAD", keep_alive),
        body,
        keep_alive,
    })
}

fn answer(body: &str, head_only: bool, keep_alive: bool) -> Vec<u8> {
    let connection = if keep_alive { "keep-alive" } else { "close" };
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: {connection}\r\n\r\n",
        body.len()
    );
    let body = if head_only { "" } else { body };
    [head.as_bytes(), body.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn exchange(input: &str) -> String {
        let (tasks, shutdown) = (TaskTracker::new(), CancellationToken::new());
        let sample = serve("catalog", bind(0).await.unwrap(), &tasks, &shutdown).unwrap();
        let mut connection = TcpStream::connect(sample.address).await.unwrap();
        connection.write_all(input.as_bytes()).await.unwrap();
        let mut output = String::new();
        connection.read_to_string(&mut output).await.unwrap();
        shutdown.cancel();
        tasks.close();
        tasks.wait().await;
        output
    }

    #[tokio::test]
    async fn requests_on_one_connection_are_answered_in_turn_with_what_was_asked() {
        let output = exchange(
            "POST /a?b=c HTTP/1.1\r\nHost: shop\r\nContent-Length: 4\r\n\r\nbody\
             GET / HTTP/1.1\r\nX-A: 1\r\nx-a: 2\r\nConnection: close\r\n\r\n",
        )
        .await;
        let bodies: Vec<Value> = output
            .lines()
            .filter(|line| line.starts_with('{'))
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(bodies.len(), 2, "{output}");
        assert_eq!(bodies[0]["path"], "/a?b=c");
        assert_eq!(bodies[0]["headers"]["host"], "shop");
        assert_eq!(bodies[1]["name"], "catalog");
        assert_eq!(bodies[1]["headers"]["x-a"], "1, 2");
    }

    #[tokio::test]
    async fn head_has_no_body_and_chunked_requests_end_the_connection() {
        let head = exchange("HEAD / HTTP/1.1\r\nConnection: close\r\n\r\n").await;
        assert!(head.ends_with("\r\n\r\n"), "{head}");
        let chunked = exchange("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n").await;
        assert!(chunked.contains("connection: close"), "{chunked}");
    }

    #[tokio::test]
    async fn what_is_no_request_gets_no_answer() {
        assert_eq!(exchange("\u{1}\r\n\r\n").await, "");
    }
}
