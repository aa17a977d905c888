//! One slice of load from wrk, and what it cost the proxy.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use nix::unistd::Pid;
use serde::Deserialize;

use super::table::{HOST, RouteIndex};
use crate::machine;
use crate::process::{self, Process};

/// Prints the outcome as one line of JSON; runs once, after the load.
const DONE: &str = r#"
done = function(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    '{"requests":%d,"duration_us":%d,"errors":%d,"p50_us":%d,"p99_us":%d}\n',
    summary.requests, summary.duration,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout,
    latency:percentile(50), latency:percentile(99)))
end
"#;

/// A load generator that keeps `connections` open for `seconds`.
#[derive(Debug)]
pub(super) struct Generator<'a> {
    pub(super) connections: u32,
    pub(super) seconds: u32,
    /// Where its script may be written.
    pub(super) directory: &'a Path,
}

/// What one slice measured.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    pub(super) cpu_us_per_request: f64,
    pub(super) requests_per_second: f64,
    pub(super) p50_us: f64,
    pub(super) p99_us: f64,
}

#[derive(Deserialize)]
struct Outcome {
    requests: u64,
    duration_us: u64,
    errors: u64,
    p50_us: u64,
    p99_us: u64,
}

impl Generator<'_> {
    /// Loads the proxy `pid` at `address` with requests for `route`.
    ///
    /// # Errors
    /// When any request failed or was not answered with a success.
    pub(super) async fn run(
        &self,
        pid: Pid,
        address: SocketAddr,
        route: RouteIndex,
    ) -> anyhow::Result<Sample> {
        let before = machine::cpu_time(pid)?;
        let outcome = self.wrk(address, route).await?;
        let cpu = machine::cpu_time(pid)?.saturating_sub(before);
        anyhow::ensure!(
            outcome.errors == 0,
            "{} of {} requests failed",
            outcome.errors,
            outcome.requests
        );
        anyhow::ensure!(outcome.requests > 0, "no request was answered");
        let requests = outcome.requests as f64;
        Ok(Sample {
            cpu_us_per_request: cpu.as_secs_f64() * 1e6 / requests,
            requests_per_second: requests * 1e6 / outcome.duration_us as f64,
            p50_us: outcome.p50_us as f64,
            p99_us: outcome.p99_us as f64,
        })
    }

    async fn wrk(&self, address: SocketAddr, route: RouteIndex) -> anyhow::Result<Outcome> {
        let script = self.directory.join("done.lua");
        std::fs::write(&script, DONE)?;
        let mut command = process::command("wrk");
        command
            .arg("--threads=1")
            .arg(format!("--connections={}", self.connections));
        command
            .arg(format!("--duration={}s", self.seconds))
            .arg("--script")
            .arg(script);
        command.arg("--header").arg(format!("Host: {HOST}"));
        command.arg(format!("http://{address}{}", route.request_path()));
        let mut wrk = Process::spawn("wrk", command)?;
        let status = wrk
            .exit(Duration::from_secs(u64::from(self.seconds) + 10))
            .await?;
        anyhow::ensure!(status.success(), "wrk: {status}\n{}", wrk.log());
        let log = wrk.log();
        let line = log
            .lines()
            .find(|line| line.starts_with('{'))
            .context(log.clone())?;
        Ok(serde_json::from_str(line)?)
    }
}
