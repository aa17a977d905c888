//! The service behind the proxies: cheaper than any of them, and told apart by name.

use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::process::{self, Process};

/// The header that says which upstream answered.
pub(super) const NAME_HEADER: &str = "x-upstream";

/// Length of the response body in bytes.
pub(super) const BODY_BYTES: usize = 122;

/// Connections served at a time: all proxies of a run with all of theirs.
const CONNECTIONS: usize = 4_096;

/// Longest request head; the proxies send a few hundred bytes.
const HEAD_BYTES: usize = 16 * 1024;

#[derive(Serialize, Deserialize)]
struct Started {
    address: SocketAddr,
}

/// The stable upstream, and the one that changed routes are sent to.
#[derive(Debug)]
pub(super) struct Upstreams {
    pub(super) stable: Upstream,
    pub(super) canary: Upstream,
}

/// One upstream process.
#[derive(Debug)]
pub(super) struct Upstream {
    pub(super) name: &'static str,
    pub(super) address: SocketAddr,
    _process: Process,
}

impl Upstreams {
    pub(super) async fn start() -> anyhow::Result<Self> {
        Ok(Self {
            stable: Upstream::start("stable").await?,
            canary: Upstream::start("canary").await?,
        })
    }
}

impl Upstream {
    async fn start(name: &'static str) -> anyhow::Result<Self> {
        let mut command = process::command(std::env::current_exe()?);
        command.args(["upstream", name]);
        let mut process = Process::spawn(name, command)?;
        let line = process.first_line(Duration::from_secs(10)).await?;
        let started: Started = serde_json::from_str(&line)?;
        Ok(Self {
            name,
            address: started.address,
            _process: process,
        })
    }
}

/// Serves on a free port, until dropped.
pub(super) async fn serve(name: &str) -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!(
        "{}",
        serde_json::to_string(&Started {
            address: listener.local_addr()?
        })?
    );
    let response = response(name);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if connections.len() < CONNECTIONS => {
                let (stream, _) = accepted?;
                stream.set_nodelay(true)?;
                connections.spawn(answer_all(stream, response.clone()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

fn response(name: &str) -> Vec<u8> {
    let body = "x".repeat(BODY_BYTES);
    format!(
        "HTTP/1.1 200 OK\r\n\
         content-type: text/plain\r\n\
         content-length: {BODY_BYTES}\r\n\
         {NAME_HEADER}: {name}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// Answers each request head on `stream`; requests here have no body. Ends when the peer does,
/// or when a head is too long.
async fn answer_all(mut stream: TcpStream, response: Vec<u8>) -> std::io::Result<()> {
    let mut buffer = vec![0; HEAD_BYTES];
    let mut filled = 0;
    while filled < buffer.len() {
        let read = stream.read(&mut buffer[filled..]).await?;
        if read == 0 {
            break;
        }
        filled += read;
        if buffer[..filled].ends_with(b"\r\n\r\n") {
            filled = 0;
            stream.write_all(&response).await?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_has_the_length_the_head_says() {
        let response = String::from_utf8(response("stable")).unwrap();
        let (head, body) = response.split_once("\r\n\r\n").unwrap();
        assert!(head.contains("content-length: 122"), "{head}");
        assert_eq!(body.len(), 122);
    }

    #[tokio::test]
    async fn a_head_in_two_parts_gets_one_answer() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (server, _) = listener.accept().await.unwrap();
        let server = tokio::spawn(answer_all(server, response("stable")));
        client.write_all(b"GET / HTTP/1.1\r\nhost: a\r").await.unwrap();
        client.write_all(b"\n\r\n").await.unwrap();
        client.shutdown().await.unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        assert_eq!(answer, response("stable"));
        server.await.unwrap().unwrap();
    }
}
