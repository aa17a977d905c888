//! One listener of the proxy under test, and the upstream behind it: runs one case at a time.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::case::{Case, Expect};
use super::recorder::Recorder;
use super::verdict::{Fault, Outcome};

/// Longest wait for something that must come.
const MUST: Duration = Duration::from_secs(10);

/// How long nothing must come for the client to be done. A case that fails is tried once more with
/// the longer one, so that a busy machine is not taken for a fault of the proxy.
const QUIET: [Duration; 2] = [Duration::from_millis(150), Duration::from_millis(1_500)];

#[derive(Debug)]
pub(super) struct Lane {
    address: SocketAddr,
    recorder: Recorder,
    probes: AtomicU64,
}

impl Lane {
    pub(super) fn new(address: SocketAddr, recorder: Recorder) -> Self {
        Self {
            address,
            recorder,
            probes: AtomicU64::new(0),
        }
    }

    /// Runs a case; what was seen, and what is wrong with it.
    pub(super) async fn judge(&self, case: &Case) -> anyhow::Result<(Outcome, Vec<Fault>)> {
        let mut last = (Outcome::default(), Vec::new());
        for quiet in QUIET {
            let outcome = self.run(case, quiet).await?;
            let faults = outcome.faults(case);
            last = (outcome, faults);
            if last.1.is_empty() {
                break;
            }
        }
        Ok(last)
    }

    async fn run(&self, case: &Case, quiet: Duration) -> anyhow::Result<Outcome> {
        self.recorder.take();
        let mut outcome = self.send(case, quiet).await?;
        let number = self.probes.fetch_add(1, Ordering::Relaxed);
        let target = format!("/probe-{number}");
        let answered = self.probe(&target).await;
        let (probes, arrivals): (Vec<_>, _) = self.recorder.take().into_iter().partition(|arrival| {
            let request = arrival.request.as_ref();
            request.is_some_and(|request| request.target == target)
        });
        outcome.arrivals = arrivals;
        outcome.probe = answered && probes.len() == 1 && probes[0].whole;
        Ok(outcome)
    }

    /// Sends the case on a connection of its own; all that came back.
    async fn send(&self, case: &Case, quiet: Duration) -> anyhow::Result<Outcome> {
        let mut stream = TcpStream::connect(self.address).await.context("the proxy")?;
        stream.set_nodelay(true)?;
        // The proxy may refuse the head before it has seen the rest.
        let _ = timeout(MUST, stream.write_all(&case.raw)).await;
        let mut outcome = Outcome::default();
        loop {
            let waiting = match case.expected() {
                Expect::Reject | Expect::Abort => true,
                Expect::Forward => outcome.answers() == 0,
                Expect::Either => outcome.answers() < self.recorder.whole(),
            };
            let patience = if waiting { MUST.min(quiet * 20) } else { quiet };
            match timeout(patience, stream.read_buf(&mut outcome.answer)).await {
                Ok(Ok(read)) if read > 0 => {}
                ended => {
                    outcome.closed = ended.is_ok();
                    return Ok(outcome);
                }
            }
        }
    }

    /// Whether a plain request on another connection gets its own answer.
    async fn probe(&self, target: &str) -> bool {
        let exchange = async {
            let mut stream = TcpStream::connect(self.address).await?;
            let request = format!("GET {target} HTTP/1.1\r\nHost: probe.test\r\nConnection: close\r\n\r\n");
            stream.write_all(request.as_bytes()).await?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await?;
            std::io::Result::Ok(answer)
        };
        match timeout(MUST, exchange).await {
            Ok(Ok(answer)) => {
                answer.starts_with("HTTP/1.1 200 ") && answer.ends_with(&format!("\r\n\r\n{target}"))
            }
            _ => false,
        }
    }
}
