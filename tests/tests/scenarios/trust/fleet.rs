//! A control plane that takes no plain text, and proxies with certificates.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use reqwest::Method;
use serde_json::{Value, json};
use sluice_tests::rest::{Answer, Rest};
use sluice_tests::servers::{ControlPlane, DataPlane, command};
use sluice_tests::site::{SOON, TOKEN};
use tempfile::TempDir;

/// A control plane on all addresses of this machine, and where its proxies keep their files.
pub(super) struct Fleet {
    pub(super) control: ControlPlane,
    directory: TempDir,
}

impl Fleet {
    pub(super) async fn start(options: &[&str]) -> anyhow::Result<Self> {
        let directory = tempfile::Builder::new().prefix("sluice-trust-").tempdir()?;
        let database = format!("sqlite://{}", directory.path().join("control.db").display());
        let mut control = command("sluice-control", None)?;
        control.args(options);
        let anywhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        let control = ControlPlane::start_at(control, &database, TOKEN, anywhere).await?;
        Ok(Self { control, directory })
    }

    pub(super) fn rest(&self) -> &Rest {
        &self.control.rest
    }

    pub(super) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Where proxies connect, from here.
    pub(super) fn grpc(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.control.grpc.port()))
    }

    pub(super) async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> anyhow::Result<Answer> {
        self.rest().send(method, path, body.as_ref()).await
    }

    /// A file with a new join token.
    pub(super) async fn token(&self, wanted: Value) -> anyhow::Result<PathBuf> {
        self.rest().join_token(self.path(), &wanted).await
    }

    /// Starts the proxy `id`, with a token or with what it has.
    pub(super) async fn proxy(&self, id: &str, token: Option<&Path>) -> anyhow::Result<DataPlane> {
        let mut proxy = command("sluice-proxy", None)?;
        proxy.args(["--bind", "127.0.0.1", "--workers", "1", "--port-map", "80=0"]);
        proxy.args(["--label", "zone=said", "--label", "said=yes"]);
        if let Some(token) = token {
            proxy.arg("--join-token-file").arg(token);
        }
        DataPlane::start(proxy, id, self.grpc(), self.path()).await
    }

    /// A proxy that has joined.
    pub(super) async fn joined(&self, id: &str) -> anyhow::Result<DataPlane> {
        let token = self.token(json!({"proxy": id})).await?;
        let proxy = self.proxy(id, Some(&token)).await?;
        self.connected(id, true, SOON)
            .await
            .with_context(|| proxy.process.log())?;
        std::fs::remove_file(token)?;
        Ok(proxy)
    }

    /// What the control plane says of the proxy, once it is connected, or not connected any more.
    pub(super) async fn connected(&self, id: &str, wanted: bool, within: Duration) -> anyhow::Result<Value> {
        self.rest().connected(id, wanted, within).await
    }
}
