//! Clients that ask proxies all the time.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use http::StatusCode;
use sluice_tests::client::{get, send};
use sluice_tests::eventually::eventually;
use sluice_tests::manifest::HOST;
use sluice_tests::site::SOON;
use tokio::time::{interval, timeout};
use tokio_util::sync::CancellationToken;

/// Time between two requests.
const PACE: Duration = Duration::from_millis(10);
/// Longest time until a request is answered: a proxy that does not serve now does not serve.
const ANSWER: Duration = Duration::from_secs(5);
/// Answers after which it is clear that it goes on.
const MORE: u64 = 20;

/// One client of one proxy.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    end: CancellationToken,
    answers: Arc<AtomicU64>,
}

impl Load {
    /// One that asks until `end`.
    pub(crate) fn until(end: &CancellationToken) -> Self {
        Self {
            end: end.clone(),
            answers: Arc::default(),
        }
    }

    /// Asks the proxy at `address`, which has one worker and `--provenance`, on a connection for each request.
    ///
    /// # Errors
    /// When one answer is late or no success, or of an older revision than the one before.
    pub(crate) async fn ask(self, address: SocketAddr) -> anyhow::Result<()> {
        let (mut pace, mut newest) = (interval(PACE), 0);
        while !self.end.is_cancelled() {
            pace.tick().await;
            let answer = timeout(ANSWER, send(address, get(HOST, "/"))).await;
            let answer = answer.with_context(|| format!("{address} does not answer"))??;
            ensure!(answer.status == StatusCode::OK, "{address}: {answer:?}");
            let revision = answer.header("x-sluice-revision").parse();
            let revision: u64 = revision.with_context(|| format!("{address}: {answer:?}"))?;
            ensure!(
                revision >= newest,
                "{address} went back from {newest}: {answer:?}"
            );
            newest = revision;
            self.answers.fetch_add(1, Ordering::SeqCst);
        }
        Ok(())
    }

    /// Waits until some more requests were answered.
    pub(crate) async fn goes_on(&self) {
        let before = self.answers.load(Ordering::SeqCst);
        eventually("requests are answered", SOON, async || {
            let answers = self.answers.load(Ordering::SeqCst);
            ensure!(answers >= before + MORE, "{answers}, {before} before");
            Ok(())
        })
        .await
        .unwrap();
    }
}
