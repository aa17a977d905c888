//! A client that asks proxies over and over, and counts.

use std::net::SocketAddr;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::ensure;
use sluice_tests::deployment::Host;
use sluice_tests::manifest::HOST;
use tokio_util::sync::CancellationToken;

/// Time between two rounds.
const PACE: Duration = Duration::from_millis(10);

/// Requests until it is stopped; the first that fails ends it.
pub(super) struct Load {
    stop: CancellationToken,
    thread: JoinHandle<anyhow::Result<u64>>,
}

impl Load {
    /// Asks each of `targets` in turn, from `host`.
    pub(super) fn start(host: &Host, targets: Vec<SocketAddr>) -> Self {
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let thread = host.work(async move || {
            let (mut answers, mut pace) = (0, tokio::time::interval(PACE));
            // Each on a connection of its own: it is the proxy that has to take it.
            let client = reqwest::Client::builder()
                .no_proxy()
                .pool_max_idle_per_host(0)
                .build()?;
            while !stopped.is_cancelled() {
                pace.tick().await;
                for target in &targets {
                    let request = client.get(format!("http://{target}/live")).header("host", HOST);
                    let answer = request.send().await?;
                    ensure!(answer.status().is_success(), "{target}: {answer:?}");
                    answers += 1;
                }
            }
            Ok(answers)
        });
        Self { stop, thread }
    }

    /// Ends it; how many answers there were. Each was a success.
    pub(super) fn stop(self) -> u64 {
        self.stop.cancel();
        self.thread.join().unwrap().unwrap()
    }
}
