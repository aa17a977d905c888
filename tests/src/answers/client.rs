//! The client: asks for a case, then asks for something else, and judges both.

use std::net::SocketAddr;
use std::time::Duration;

use http::Method;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::case::{Case, Expect};
use super::read::{Answer, Seen, read};
use crate::client::{Connection, Protocol, request};
use crate::manifest::HOST;

/// Longest wait for an answer or for the end of the connection.
const ANSWER: Duration = Duration::from_secs(5);

/// Connections on which something else is asked for after each case; the proxy has two workers,
/// and each has kept connections of its own.
const OTHERS: usize = 4;

/// What the client got for a case over HTTP/1.1.
#[derive(Debug, Clone)]
pub struct Got {
    /// Every byte.
    pub bytes: Vec<u8>,
    /// What they say.
    pub seen: Seen,
    /// Whether the connection ended.
    pub closed: bool,
    /// Status over HTTP/2; none when the stream ended with an error.
    pub http2: Option<u16>,
}

/// What is wrong with that.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It was not passed, refused or broken as it should.
    #[error("another outcome than {0:?}")]
    Outcome(Expect),
    /// The same over HTTP/2.
    #[error("another outcome than {0:?} over HTTP/2")]
    Http2(Expect),
    /// The client can neither read on nor know that nothing will come.
    #[error("neither an answer nor an end")]
    Hangs,
    /// Not HTTP.
    #[error("malformed for the client, too")]
    Malformed,
    /// More bytes than the answer.
    #[error("bytes behind the answer")]
    Leftover,
    /// The next request on the same connection got something else.
    #[error("the next request on the connection did not get its answer")]
    Next,
    /// A request on another connection got something else.
    #[error("a request on another connection did not get its answer")]
    Other,
}

/// Asks for the case of this number, then for other things.
pub(super) async fn judge(
    address: SocketAddr,
    case: &Case,
    number: usize,
) -> anyhow::Result<(Got, Vec<Fault>)> {
    let mut faults = Vec::new();
    let mut stream = TcpStream::connect(address).await?;
    let mut got = ask(&mut stream, &case.method, &format!("/case/{number}")).await?;
    faults.extend(fault_of(case, &got));
    if let (Seen::Whole(answer), false) = (&got.seen, got.closed) {
        let target = format!("/next/{number}");
        let next = ask(&mut stream, &Method::GET, &target).await;
        let right = next.is_ok_and(|next| is_own(&next, &target));
        if !right && !answer.closes() {
            faults.push(Fault::Next);
        }
    }
    for other in 0..OTHERS {
        let target = format!("/other/{number}/{other}");
        let mut stream = TcpStream::connect(address).await?;
        if !is_own(&ask(&mut stream, &Method::GET, &target).await?, &target) {
            faults.push(Fault::Other);
        }
    }
    got.http2 = over_http2(address, case, number).await?;
    if !is_right_over_http2(case, got.http2) {
        faults.push(Fault::Http2(case.expect));
    }
    Ok((got, faults))
}

fn fault_of(case: &Case, got: &Got) -> Option<Fault> {
    let outcome = Some(Fault::Outcome(case.expect));
    match (&got.seen, case.expect) {
        (Seen::Malformed, _) => Some(Fault::Malformed),
        (Seen::Part, _) if !got.closed => Some(Fault::Hangs),
        (Seen::Part, Expect::Break) => None,
        (Seen::Part, _) => outcome,
        (Seen::Whole(answer), _) if answer.length < got.bytes.len() => Some(Fault::Leftover),
        (Seen::Whole(_), Expect::Either) => None,
        (Seen::Whole(answer), Expect::Pass) => match is_passed(case, answer) {
            true => None,
            false => outcome,
        },
        (Seen::Whole(answer), Expect::Refuse | Expect::Break) => match answer.status {
            502 | 504 => None,
            _ => outcome,
        },
    }
}

fn is_passed(case: &Case, answer: &Answer) -> bool {
    answer.status == case.status && answer.body == case.body.as_bytes()
}

/// An error of the stream is right wherever the end of the connection is.
fn is_right_over_http2(case: &Case, status: Option<u16>) -> bool {
    match case.expect {
        Expect::Refuse => matches!(status, Some(502 | 504)),
        Expect::Break => matches!(status, None | Some(502 | 504)),
        Expect::Pass => status == Some(case.status),
        Expect::Either => true,
    }
}

async fn over_http2(address: SocketAddr, case: &Case, number: usize) -> anyhow::Result<Option<u16>> {
    let mut connection = Connection::open(address, Protocol::H2c).await?;
    let asked = request(case.method.clone(), HOST, &format!("/case/{number}"), &[]);
    let answer = connection.send(asked).await;
    Ok(answer.ok().map(|answer| answer.status.as_u16()))
}

fn is_own(got: &Got, target: &str) -> bool {
    matches!(&got.seen, Seen::Whole(answer) if answer.status == 200 && answer.body == target.as_bytes())
}

/// Sends one request and reads until its answer is whole, the connection ends or time is up.
async fn ask(stream: &mut TcpStream, method: &Method, target: &str) -> anyhow::Result<Got> {
    let head = format!("{method} {target} HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    let mut got = Got {
        bytes: Vec::new(),
        seen: Seen::Part,
        closed: false,
        http2: None,
    };
    while got.seen == Seen::Part && !got.closed {
        match timeout(ANSWER, stream.read_buf(&mut got.bytes)).await {
            Ok(Ok(length)) => got.closed = length == 0,
            Ok(Err(_reset)) => got.closed = true,
            Err(_) => break,
        }
        got.seen = read(&got.bytes, method, got.closed);
    }
    Ok(got)
}
