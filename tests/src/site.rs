//! A whole Sluice for one scenario: a control plane and its proxies, as processes of their own.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use reqwest::Method;
use serde_json::Value;
use tempfile::TempDir;

use crate::eventually::eventually;
use crate::manifest::{LISTENER, list};
use crate::rest::{Applied, Rest};
use crate::servers::{ControlPlane, DataPlane, command};

/// The bootstrap token of every private control plane.
pub const TOKEN: &str = "scenario-0123456789abcdef0123456789abcdef";

/// Longest time for anything that is on its way.
pub const SOON: Duration = Duration::from_secs(20);

/// A control plane, the proxies that subscribe to it, and where they keep their files.
#[derive(Debug)]
pub struct Site {
    /// The control plane.
    pub control: ControlPlane,
    /// The proxies `edge-1`, `edge-2` and so on.
    pub proxies: Vec<DataPlane>,
    directory: TempDir,
    database: String,
    /// Further options of the control plane.
    options: Vec<String>,
}

impl Site {
    /// A control plane on SQLite with this many live proxies.
    ///
    /// # Errors
    /// When one of them does not start.
    pub async fn start(proxies: usize) -> anyhow::Result<Self> {
        Self::with(proxies, None, &[]).await
    }

    /// A control plane on the database `url`, SQLite without one, and this many live proxies, each
    /// with these further options.
    ///
    /// # Errors
    /// When one of them does not start.
    pub async fn with(proxies: usize, url: Option<&str>, options: &[&str]) -> anyhow::Result<Self> {
        Self::controlled(proxies, url, options, &[]).await
    }

    /// As [`Site::with`], and the control plane with the further options `control`.
    ///
    /// # Errors
    /// When one of them does not start.
    pub async fn controlled(
        proxies: usize,
        url: Option<&str>,
        options: &[&str],
        control: &[&str],
    ) -> anyhow::Result<Self> {
        let directory = tempfile::Builder::new().prefix("sluice-site-").tempdir()?;
        let own: Vec<String> = control.iter().map(ToString::to_string).collect();
        let database = match url {
            Some(url) => url.to_owned(),
            None => format!("sqlite://{}", directory.path().join("control.db").display()),
        };
        let mut program = command("sluice-control", None)?;
        program.args(&own);
        let control = ControlPlane::start(program, &database, TOKEN).await?;
        let mut site = Self {
            control,
            proxies: Vec::new(),
            directory,
            database,
            options: own,
        };
        for number in 1..=proxies {
            let proxy = site.proxy(&format!("edge-{number}"), options).await?;
            site.proxies.push(proxy);
        }
        site.fleet_of(proxies).await?;
        Ok(site)
    }

    /// Starts the proxy `id` of this control plane, on free ports of 127.0.0.1; with the same id
    /// again, it finds its state.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn proxy(&self, id: &str, options: &[&str]) -> anyhow::Result<DataPlane> {
        let mut command = command("sluice-proxy", None)?;
        command.args(["--bind", "127.0.0.1", "--workers", "2"]);
        if !options.contains(&"--port-map") {
            command.args(["--port-map", "80=0"]);
        }
        command.args(options);
        DataPlane::start(command, id, self.control.grpc, self.directory.path()).await
    }

    /// Kills the control plane without a warning and starts another one in its place.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn replace_control(&mut self) -> anyhow::Result<()> {
        self.control.process.signal(nix::sys::signal::Signal::SIGKILL)?;
        self.control.process.exit(SOON).await?;
        let mut program = command("sluice-control", None)?;
        program.args(&self.options);
        self.control = ControlPlane::start_at(program, &self.database, TOKEN, self.control.grpc).await?;
        Ok(())
    }

    /// A client of the control plane.
    pub fn rest(&self) -> &Rest {
        &self.control.rest
    }

    /// Where this site's files may go.
    pub fn directory(&self) -> &std::path::Path {
        self.directory.path()
    }

    /// Applies the manifests and waits until the whole fleet runs them.
    ///
    /// # Errors
    /// When they are refused, or one proxy does not run them.
    pub async fn apply(&self, manifests: &[Value]) -> anyhow::Result<Applied> {
        self.apply_with(manifests, "").await
    }

    /// As [`Site::apply`], with further parameters of the query.
    ///
    /// # Errors
    /// When they are refused, or one proxy does not run them.
    pub async fn apply_with(&self, manifests: &[Value], query: &str) -> anyhow::Result<Applied> {
        let query = format!("wait={}s&quorum=1&{query}", SOON.as_secs());
        let applied = self.rest().apply(&list(manifests), &query).await?;
        let receipt = applied.receipt.as_ref().context("no receipt")?;
        ensure!(receipt.fleet == self.proxies.len() as u64, "{receipt:?}");
        ensure!(receipt.applied == receipt.fleet, "{receipt:?}");
        Ok(applied)
    }

    /// Where the first proxy takes traffic for the Gateway's listener.
    ///
    /// # Errors
    /// When it does not listen.
    pub async fn address(&self) -> anyhow::Result<SocketAddr> {
        self.address_of(0).await
    }

    /// Where the proxy of this index takes traffic for the Gateway's listener.
    ///
    /// # Errors
    /// When it does not listen.
    pub async fn address_of(&self, index: usize) -> anyhow::Result<SocketAddr> {
        self.proxies[index].listening(LISTENER, 1, SOON).await
    }

    /// `GET /v1/fleet`, once exactly `live` proxies are live.
    ///
    /// # Errors
    /// When that does not happen soon.
    pub async fn fleet_of(&self, live: usize) -> anyhow::Result<Vec<Value>> {
        eventually("the fleet is live", SOON, async || {
            let fleet = self.rest().send(Method::GET, "/v1/fleet", None).await?;
            let proxies = fleet.body["proxies"].as_array().context("no list of proxies")?;
            let count = proxies.iter().filter(|proxy| proxy["state"] == "live").count();
            ensure!(count == live, "{count} of {live} are live: {}", fleet.body);
            Ok(proxies.clone())
        })
        .await
    }
}
