//! An upstream that records each byte and answers what is canonical.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::canonical::{self, Read, Violation};
use crate::upstream::Upstream;

/// Header of each answer; an answer without it is the proxy's own.
pub(super) const MARK: &str = "x-recorded";

/// Pause after which a request is answered before its body is whole. Some cases promise more
/// than they send, and still have to get their answer.
const EARLY: Duration = Duration::from_millis(50);

/// Most bytes kept of one request; more end the connection.
const REQUEST_BYTES: usize = 8 << 20;

/// What arrived as one request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Arrival {
    /// Its bytes, framing included.
    pub raw: Vec<u8>,
    /// What they say, once the head was whole.
    pub request: Option<canonical::Request>,
    /// Whether all of it arrived.
    pub whole: bool,
    /// What is not canonical about it.
    pub violation: Option<Violation>,
}

/// A recording upstream.
#[derive(Debug)]
pub(super) struct Recorder {
    /// Where it listens.
    pub(super) address: SocketAddr,
    log: Arc<Log>,
    _upstream: Upstream,
}

#[derive(Debug, Default)]
struct Log {
    next: AtomicU64,
    arrivals: Mutex<BTreeMap<u64, Arrival>>,
}

impl Recorder {
    pub(super) async fn start() -> anyhow::Result<Self> {
        let log = Arc::new(Log::default());
        let shared = Arc::clone(&log);
        let upstream = Upstream::accept(move |stream| record(stream, Arc::clone(&shared))).await?;
        Ok(Self {
            address: upstream.address,
            log,
            _upstream: upstream,
        })
    }

    /// What arrived since the last call, in order.
    pub(super) fn take(&self) -> Vec<Arrival> {
        std::mem::take(&mut *self.log.arrivals()).into_values().collect()
    }

    /// How many whole requests have arrived since the last [`Recorder::take`].
    pub(super) fn whole(&self) -> usize {
        self.log
            .arrivals()
            .values()
            .filter(|arrival| arrival.whole)
            .count()
    }
}

impl Log {
    fn arrivals(&self) -> MutexGuard<'_, BTreeMap<u64, Arrival>> {
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One connection. An error ends it; the client sees that.
async fn record(mut stream: TcpStream, log: Arc<Log>) {
    let mut pending = Vec::new();
    while let Ok(true) = record_one(&mut stream, &log, &mut pending).await {}
}

/// Records one request and answers it; whether another may follow.
async fn record_one(stream: &mut TcpStream, log: &Log, pending: &mut Vec<u8>) -> std::io::Result<bool> {
    if pending.is_empty() && stream.read_buf(pending).await? == 0 {
        return Ok(false);
    }
    let number = log.next.fetch_add(1, Ordering::Relaxed);
    let mut answered = false;
    loop {
        let read = canonical::read(pending);
        log.arrivals().insert(number, arrival(pending, &read));
        match read {
            Err(_) => return Ok(false),
            Ok(Read::Whole(request, length)) => {
                if !answered {
                    stream.write_all(&answer(&request)).await?;
                }
                pending.drain(..length);
                return Ok(true);
            }
            Ok(Read::Body(request)) if !answered => match timeout(EARLY, stream.read_buf(pending)).await {
                Ok(Ok(0)) => return Ok(false),
                Ok(read) => _ = read?,
                Err(_) => {
                    stream.write_all(&answer(&request)).await?;
                    answered = true;
                }
            },
            Ok(Read::Head | Read::Body(_)) => {
                if stream.read_buf(pending).await? == 0 || pending.len() > REQUEST_BYTES {
                    return Ok(false);
                }
            }
        }
    }
}

fn arrival(pending: &[u8], read: &Result<Read, Violation>) -> Arrival {
    let (request, whole, length) = match read {
        Ok(Read::Whole(request, length)) => (Some(request.clone()), true, *length),
        Ok(Read::Body(request)) => (Some(request.clone()), false, pending.len()),
        Ok(Read::Head) | Err(_) => (None, false, pending.len()),
    };
    Arrival {
        raw: pending[..length].to_vec(),
        request,
        whole,
        violation: read.as_ref().err().copied(),
    }
}

/// The target comes back as the body, so that whoever gets it knows whose answer it is.
fn answer(request: &canonical::Request) -> Vec<u8> {
    let target = &request.target;
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n{MARK}: yes\r\n\r\n",
        target.len()
    );
    match &*request.method {
        "HEAD" => head.into_bytes(),
        _ => [head.as_bytes(), target.as_bytes()].concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eventually::eventually;

    #[tokio::test]
    async fn requests_of_one_connection_are_recorded_and_answered_apart() {
        let recorder = Recorder::start().await.unwrap();
        let mut stream = TcpStream::connect(recorder.address).await.unwrap();
        stream
            .write_all(b"GET /a HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\nGET /c\n")
            .await
            .unwrap();
        let mut answers = String::new();
        stream.read_to_string(&mut answers).await.unwrap();
        assert_eq!(answers.matches(MARK).count(), 2, "{answers}");
        let arrivals = recorder.take();
        let whole: Vec<_> = arrivals.iter().map(|arrival| arrival.whole).collect();
        assert_eq!(whole, [true, true, false], "{arrivals:?}");
        assert_eq!(arrivals[2].violation, Some(Violation::LineEnd));
        assert_eq!(arrivals[1].raw, b"GET /b HTTP/1.1\r\nHost: a\r\n\r\n");
    }

    #[tokio::test]
    async fn a_body_that_does_not_come_is_answered_early() {
        let recorder = Recorder::start().await.unwrap();
        let mut stream = TcpStream::connect(recorder.address).await.unwrap();
        let head = b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n";
        stream.write_all(head).await.unwrap();
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200");
        assert_eq!(recorder.whole(), 0);
        stream.write_all(b"body").await.unwrap();
        eventually("the rest arrives", Duration::from_secs(5), async || {
            anyhow::ensure!(recorder.whole() == 1);
            Ok(())
        })
        .await
        .unwrap();
    }
}
