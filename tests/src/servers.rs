//! `sluice-control` and `sluice-proxy` as real processes.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use reqwest::{Method, StatusCode};
use serde::Deserialize;

use crate::eventually::eventually;
use crate::process::{self, Process};
use crate::rest::Rest;

/// Longest start-up of a server that is on its way.
const START: Duration = Duration::from_secs(30);

/// The built binary `name` beside the running executable: the same profile, the same target
/// directory.
///
/// # Errors
/// When it has not been built.
pub fn binary(name: &str) -> anyhow::Result<PathBuf> {
    let executable = std::env::current_exe()?;
    let mut directory = executable.parent().context("an executable has a directory")?;
    if directory.ends_with("deps") {
        directory = directory.parent().context("deps is in a target directory")?;
    }
    let path = directory.join(name);
    anyhow::ensure!(
        path.is_file(),
        "{} is missing: cargo build --workspace --bins, in the same profile",
        path.display()
    );
    Ok(path)
}

/// A command for the built binary `name`, on one core if `core` names one.
///
/// # Errors
/// As [`binary`].
pub fn command(name: &str, core: Option<usize>) -> anyhow::Result<Command> {
    let path = binary(name)?;
    Ok(match core {
        Some(core) => process::command_on_core(path, core),
        None => process::command(path),
    })
}

/// Runs `sluice` with these arguments on the control plane of `rest`; what it prints.
///
/// # Errors
/// When it fails.
pub async fn sluice(rest: &Rest, arguments: &[&str]) -> anyhow::Result<String> {
    let ran = run_sluice(rest, arguments).await?;
    anyhow::ensure!(ran.code == Some(0), "sluice {arguments:?}: {}", ran.stderr);
    Ok(ran.stdout)
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    /// Its exit code; `None` after a signal.
    pub code: Option<i32>,
    /// What it printed.
    pub stdout: String,
    /// What it printed beside that.
    pub stderr: String,
}

impl Ran {
    /// Runs a command to its end.
    ///
    /// # Errors
    /// When it does not start, or prints what is not UTF-8.
    pub async fn to_end(mut command: tokio::process::Command) -> anyhow::Result<Self> {
        let output = command.output().await?;
        Ok(Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout)?,
            stderr: String::from_utf8(output.stderr)?,
        })
    }
}

/// As [`sluice`], however it ends.
///
/// # Errors
/// When it does not start.
pub async fn run_sluice(rest: &Rest, arguments: &[&str]) -> anyhow::Result<Ran> {
    let mut sluice = tokio::process::Command::new(binary("sluice")?);
    sluice
        .args(arguments)
        .env("SLUICE_ADMIN", rest.url(""))
        .env("SLUICE_TOKEN", rest.token())
        .env_remove("SLUICE_NAMESPACE");
    Ran::to_end(sluice).await
}

/// A running control plane.
#[derive(Debug)]
pub struct ControlPlane {
    /// Its process.
    pub process: Process,
    /// Where proxies connect.
    pub grpc: SocketAddr,
    /// A client that holds the bootstrap token.
    pub rest: Rest,
}

#[derive(Deserialize)]
struct ControlStarted {
    admin: String,
    grpc: SocketAddr,
    token: Option<String>,
}

impl ControlPlane {
    /// Starts one on `database_url` and free ports. `token` is the bootstrap token.
    ///
    /// # Errors
    /// When it does not say where it listens.
    pub async fn start(command: Command, database_url: &str, token: &str) -> anyhow::Result<Self> {
        let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self::start_at(command, database_url, token, free).await
    }

    /// Starts one whose proxies connect at `grpc`, as one that was there before.
    ///
    /// # Errors
    /// When it does not say where it listens.
    pub async fn start_at(
        command: Command,
        database_url: &str,
        token: &str,
        grpc: SocketAddr,
    ) -> anyhow::Result<Self> {
        let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self::start_on(command, database_url, token, free, grpc).await
    }

    /// Starts one whose REST interface is at `admin`, and whose proxies connect at `grpc`.
    ///
    /// # Errors
    /// When it does not say where it listens.
    pub async fn start_on(
        mut command: Command,
        database_url: &str,
        token: &str,
        admin: SocketAddr,
        grpc: SocketAddr,
    ) -> anyhow::Result<Self> {
        command.args(["--database-url", database_url, "--admin", &admin.to_string()]);
        command.args(["--grpc", &grpc.to_string()]);
        command.env("SLUICE_TOKEN", token);
        let mut process = Process::spawn("sluice-control", command)?;
        let line = process.first_line(START).await?;
        let started: ControlStarted = serde_json::from_str(&line).context(line)?;
        let rest = Rest::new(&started.admin, started.token.as_deref().unwrap_or(token))?;
        Ok(Self {
            process,
            grpc: started.grpc,
            rest,
        })
    }
}

impl ControlPlane {
    /// Sum of the samples of the metric `name` whose labels contain all of `labels`; 0 without any.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn metric(&self, name: &str, labels: &[&str]) -> anyhow::Result<f64> {
        let response = self.rest.request(Method::GET, "/metrics").send().await?;
        let text = response.error_for_status()?.text().await?;
        Ok(samples(&text, name, labels).sum())
    }
}

/// A running proxy.
#[derive(Debug)]
pub struct DataPlane {
    /// Its process.
    pub process: Process,
    /// Base URL of `/ready /live /metrics /config`.
    pub admin: String,
    client: reqwest::Client,
}

#[derive(Deserialize)]
struct ProxyStarted {
    admin: SocketAddr,
}

/// What a proxy's `/config` says, as far as it is used here.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ProxyConfig {
    /// Revision of the live snapshot.
    pub revision: u64,
    /// Whether a control plane is connected.
    #[serde(default)]
    pub connected: bool,
    /// What is bound.
    pub listeners: Vec<Listener>,
}

/// One bound listener.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Listener {
    /// Key of the listener, `listener/NAMESPACE/GATEWAY/NAME`.
    pub listener: String,
    /// Where it is bound.
    pub address: SocketAddr,
}

impl DataPlane {
    /// Starts the proxy `id` of the control plane at `control`, with its state under `directory`.
    /// `command` may already carry options; `--bind` and `--port-map` are the caller's.
    ///
    /// # Errors
    /// When it does not say where its admin endpoint listens.
    pub async fn start(
        command: Command,
        id: &str,
        control: SocketAddr,
        directory: &Path,
    ) -> anyhow::Result<Self> {
        Self::start_with(command, id, &[control], directory).await
    }

    /// As [`DataPlane::start`], with several control planes to choose from.
    ///
    /// # Errors
    /// When it does not say where its admin endpoint listens.
    pub async fn start_with(
        mut command: Command,
        id: &str,
        control: &[SocketAddr],
        directory: &Path,
    ) -> anyhow::Result<Self> {
        let control: Vec<_> = control.iter().map(ToString::to_string).collect();
        let state = directory.join(id);
        std::fs::create_dir_all(&state)?;
        command.args([
            "--control",
            &control.join(","),
            "--id",
            id,
            "--admin",
            "127.0.0.1:0",
            "--state-dir",
        ]);
        command.arg(state);
        let mut process = Process::spawn(id, command)?;
        let line = process.first_line(START).await?;
        let started: ProxyStarted = serde_json::from_str(&line).context(line)?;
        let client = reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(10))
            .build()?;
        Ok(Self {
            process,
            admin: format!("http://{}", started.admin),
            client,
        })
    }

    /// Status and body of `path` on its admin endpoint.
    ///
    /// # Errors
    /// When that does not answer.
    pub async fn admin(&self, path: &str) -> anyhow::Result<(StatusCode, String)> {
        let response = self.client.get(format!("{}{path}", self.admin)).send().await?;
        Ok((response.status(), response.text().await?))
    }

    /// Sum of the samples of the metric `name` whose labels contain all of `labels`; 0 without any.
    ///
    /// # Errors
    /// When its admin endpoint does not answer.
    pub async fn metric(&self, name: &str, labels: &[&str]) -> anyhow::Result<f64> {
        let (_, text) = self.admin("/metrics").await?;
        Ok(samples(&text, name, labels).sum())
    }

    /// What it serves right now.
    ///
    /// # Errors
    /// When its admin endpoint does not answer.
    pub async fn config(&self) -> anyhow::Result<ProxyConfig> {
        let response = self.client.get(format!("{}/config", self.admin)).send().await?;
        Ok(serde_json::from_str(&response.error_for_status()?.text().await?)?)
    }

    /// The address of `listener`, once `revision` or a later one is live.
    ///
    /// # Errors
    /// When that does not happen within `within`; with the log of the process.
    pub async fn listening(
        &self,
        listener: &str,
        revision: u64,
        within: Duration,
    ) -> anyhow::Result<SocketAddr> {
        let what = format!(
            "{} listens for {listener} at revision {revision}",
            self.process.name()
        );
        eventually(&what, within, async || {
            let config = self.config().await?;
            anyhow::ensure!(
                config.revision >= revision,
                "revision {} is live",
                config.revision
            );
            let bound = config
                .listeners
                .into_iter()
                .find(|bound| bound.listener == listener);
            Ok(bound.context("not bound")?.address)
        })
        .await
        .with_context(|| self.process.log())
    }
}

/// Values of the metric `name` in Prometheus text whose labels contain all of `labels`.
fn samples(text: &str, name: &str, labels: &[&str]) -> impl Iterator<Item = f64> {
    text.lines().filter_map(move |line| {
        let rest = line.strip_prefix(name)?;
        let (set, value) = rest.rsplit_once(' ')?;
        let whole = set.is_empty() || set.starts_with('{');
        (whole && labels.iter().all(|label| set.contains(label))).then(|| value.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_found_by_its_whole_name_and_labels() {
        let text = "a_total 1\na_total{b=\"c\",d=\"e\"} 2\na_total_x 4\n# TYPE a_total counter\n";
        let sum = |labels: &[&str]| samples(text, "a_total", labels).sum::<f64>();
        assert!((sum(&[]) - 3.0).abs() < f64::EPSILON);
        assert!((sum(&["d=\"e\"", "b=\"c\""]) - 2.0).abs() < f64::EPSILON);
        assert!(sum(&["b=\"x\""]).abs() < f64::EPSILON);
    }
}
