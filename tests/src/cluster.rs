//! Several control planes on one database, and the proxies that know all of them.

use std::fs::Permissions;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context as _, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nix::sys::signal::Signal;
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::eventually::eventually;
use crate::namespace::Namespace;
use crate::servers::{ControlPlane, DataPlane, binary, command};
use crate::site::{SOON, TOKEN};

/// Options of every proxy. Its answers say of which revision they are.
const PROXY: [&str; 7] = [
    "--bind",
    "127.0.0.1",
    "--workers",
    "1",
    "--port-map",
    "80=0",
    "--provenance",
];

/// Control planes that are equal, as processes of their own.
#[derive(Debug)]
pub struct Cluster {
    /// Those that run.
    pub controls: Vec<ControlPlane>,
    urls: Vec<String>,
    /// Further options of the control planes.
    options: Vec<String>,
    directory: TempDir,
}

impl Cluster {
    /// This many control planes, started at once, on the first database of `urls` that answers.
    ///
    /// # Errors
    /// When one of them does not start.
    pub async fn start(replicas: usize, urls: &[String]) -> anyhow::Result<Self> {
        Self::empty(urls)?.filled(replicas).await
    }

    /// As [`Cluster::start`], with one envelope key for all, so that there is an authority, and with
    /// further `options`.
    ///
    /// # Errors
    /// When one of them does not start.
    pub async fn sealed(replicas: usize, urls: &[String], options: &[&str]) -> anyhow::Result<Self> {
        let mut cluster = Self::empty(urls)?;
        let file = cluster.directory.path().join("key");
        std::fs::write(&file, STANDARD.encode([7; 32]))?;
        std::fs::set_permissions(&file, Permissions::from_mode(0o600))?;
        cluster.options = vec!["--key-file".to_owned(), file.display().to_string()];
        cluster.options.extend(options.iter().map(ToString::to_string));
        cluster.filled(replicas).await
    }

    fn empty(urls: &[String]) -> anyhow::Result<Self> {
        Ok(Self {
            controls: Vec::new(),
            urls: urls.to_vec(),
            options: Vec::new(),
            directory: tempfile::Builder::new().prefix("sluice-cluster-").tempdir()?,
        })
    }

    async fn filled(mut self, replicas: usize) -> anyhow::Result<Self> {
        let starting = (0..replicas).map(|_| self.one());
        self.controls = futures_util::future::try_join_all(starting).await?;
        Ok(self)
    }

    /// Where the files of the proxies are, each in a folder of its own.
    pub fn path(&self) -> &Path {
        self.directory.path()
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
        command.args(PROXY);
        let proxy = DataPlane::start(command, id, control.grpc, self.directory.path()).await?;
        self.controls.push(control);
        Ok(proxy)
    }

    /// Kills the one of this index without a warning. Its place stays, for [`Cluster::start_again`].
    ///
    /// # Errors
    /// When it does not end.
    pub async fn kill(&mut self, index: usize) -> anyhow::Result<()> {
        let process = &mut self.controls[index].process;
        process.signal(Signal::SIGKILL)?;
        process.exit(SOON).await?;
        Ok(())
    }

    /// Starts the killed one of this index again, at the same addresses.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start_again(&mut self, index: usize) -> anyhow::Result<()> {
        let killed = &self.controls[index];
        let admin = killed.rest.url("");
        let admin = admin.strip_prefix("http://").context("no address")?.parse()?;
        self.controls[index] = self.one_at(admin, killed.grpc).await?;
        Ok(())
    }

    async fn one(&self) -> anyhow::Result<ControlPlane> {
        let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        self.one_at(free, free).await
    }

    async fn one_at(&self, admin: SocketAddr, grpc: SocketAddr) -> anyhow::Result<ControlPlane> {
        let (last, others) = self.urls.split_last().context("no database")?;
        let mut command = command("sluice-control", None)?;
        for url in others {
            command.args(["--database-url", url]);
        }
        command.args(&self.options);
        ControlPlane::start_on(command, last, TOKEN, admin, grpc).await
    }

    /// Starts a proxy that knows all control planes, and tries that of index `first` first.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn proxy(&self, id: &str, first: usize) -> anyhow::Result<DataPlane> {
        self.proxy_with(id, first, &[]).await
    }

    /// As [`Cluster::proxy`], with further options.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn proxy_with(&self, id: &str, first: usize, options: &[&str]) -> anyhow::Result<DataPlane> {
        let mut command = command("sluice-proxy", None)?;
        command.args(PROXY);
        command.args(options);
        let mut control: Vec<_> = self.controls.iter().map(|control| control.grpc).collect();
        control.rotate_left(first);
        DataPlane::start_with(command, id, &control, self.directory.path()).await
    }

    /// As [`Cluster::proxy`], once it has joined there with a token of its own.
    ///
    /// # Errors
    /// When it does not start or join.
    pub async fn joined(&self, id: &str, first: usize) -> anyhow::Result<DataPlane> {
        let rest = &self.controls[first].rest;
        let token = rest.join_token(self.path(), &json!({"proxy": id})).await?;
        let token = token.to_str().context("a path")?;
        let proxy = self.proxy_with(id, first, &["--join-token-file", token]).await?;
        let connected = rest.connected(id, true, SOON).await;
        connected.with_context(|| proxy.process.log())?;
        Ok(proxy)
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
