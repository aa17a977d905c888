//! Several control planes on one database, and the proxies that know all of them.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Context as _, ensure};
use reqwest::Method;
use serde_json::Value;
use tempfile::TempDir;

use crate::eventually::eventually;
use crate::namespace::Namespace;
use crate::servers::{ControlPlane, DataPlane, binary, command};
use crate::site::{SOON, TOKEN};

/// Control planes that are equal, as processes of their own.
#[derive(Debug)]
pub struct Cluster {
    /// Those that run.
    pub controls: Vec<ControlPlane>,
    urls: Vec<String>,
    directory: TempDir,
}

impl Cluster {
    /// This many control planes, started at once, on the first database of `urls` that answers.
    ///
    /// # Errors
    /// When one of them does not start.
    pub async fn start(replicas: usize, urls: &[String]) -> anyhow::Result<Self> {
        let mut cluster = Self {
            controls: Vec::new(),
            urls: urls.to_vec(),
            directory: tempfile::Builder::new().prefix("sluice-cluster-").tempdir()?,
        };
        let starting = (0..replicas).map(|_| cluster.one());
        cluster.controls = futures_util::future::try_join_all(starting).await?;
        Ok(cluster)
    }

    /// Starts one more.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn add(&mut self) -> anyhow::Result<()> {
        let control = self.one().await?;
        self.controls.push(control);
        Ok(())
    }

    /// Starts one in the network namespace, on this database, and a proxy of it there.
    ///
    /// # Errors
    /// When one of them does not start.
    pub async fn add_in(&mut self, namespace: &Namespace, url: &str, id: &str) -> anyhow::Result<DataPlane> {
        let command = namespace.command(binary("sluice-control")?);
        let admin = SocketAddr::new(namespace.inside(), 0);
        let grpc = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let control = ControlPlane::start_on(command, url, TOKEN, admin, grpc).await?;
        let mut command = namespace.command(binary("sluice-proxy")?);
        command.args(["--bind", "127.0.0.1", "--workers", "1", "--port-map", "80=0"]);
        let proxy = DataPlane::start(command, id, control.grpc, self.directory.path()).await?;
        self.controls.push(control);
        Ok(proxy)
    }

    async fn one(&self) -> anyhow::Result<ControlPlane> {
        let (last, others) = self.urls.split_last().context("no database")?;
        let mut command = command("sluice-control", None)?;
        for url in others {
            command.args(["--database-url", url]);
        }
        ControlPlane::start(command, last, TOKEN).await
    }

    /// Starts a proxy that knows all control planes, and tries that of index `first` first.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn proxy(&self, id: &str, first: usize) -> anyhow::Result<DataPlane> {
        let mut command = command("sluice-proxy", None)?;
        command.args(["--bind", "127.0.0.1", "--workers", "1", "--port-map", "80=0"]);
        let mut control: Vec<_> = self.controls.iter().map(|control| control.grpc).collect();
        control.rotate_left(first);
        DataPlane::start_with(command, id, &control, self.directory.path()).await
    }

    /// What the control plane of this index says of the fleet, once `live` proxies are live and
    /// connected.
    ///
    /// # Errors
    /// When that does not happen soon.
    pub async fn fleet_of(&self, index: usize, live: usize) -> anyhow::Result<Vec<Value>> {
        eventually("the fleet is connected", SOON, async || {
            let proxies = self.fleet(index).await?;
            let connected = proxies
                .iter()
                .filter(|proxy| proxy["state"] == "live" && proxy["connected"] == true);
            let count = connected.count();
            ensure!(
                count == live && proxies.len() == live,
                "{count} of {live}: {proxies:?}"
            );
            Ok(proxies)
        })
        .await
    }

    /// What the control plane of this index says of the fleet.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn fleet(&self, index: usize) -> anyhow::Result<Vec<Value>> {
        self.list(index, "/v1/fleet", "proxies").await
    }

    /// What the control plane of this index says of all control planes, itself first.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn replicas(&self, index: usize) -> anyhow::Result<Vec<Value>> {
        self.list(index, "/v1/replicas", "replicas").await
    }

    async fn list(&self, index: usize, path: &str, name: &str) -> anyhow::Result<Vec<Value>> {
        let answer = self.controls[index].rest.send(Method::GET, path, None).await?;
        ensure!(answer.status.is_success(), "{answer:?}");
        Ok(answer.body[name].as_array().context("no list")?.clone())
    }
}
