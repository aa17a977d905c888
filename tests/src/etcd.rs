//! A private etcd: its own data directory, its own ports on 127.0.0.1, gone when its owner is.

use std::net::{Ipv4Addr, TcpListener};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nix::sys::signal::Signal;
use serde_json::json;
use tempfile::TempDir;

use crate::authority::Identity;
use crate::eventually::eventually;
use crate::process::{Process, command};

/// Another process may take the free ports before the server does.
const PORTS_TRIED: usize = 3;
const WAIT: Duration = Duration::from_secs(30);

/// What a server shows its clients, and asks of them.
#[derive(Debug, Clone)]
pub struct EtcdTls {
    /// The server's certificate, for 127.0.0.1.
    pub server: Identity,
    /// The certificate of `etcdctl`.
    pub client: Identity,
    /// File with the authority of both.
    pub authority: std::path::PathBuf,
}

/// A member of a cluster of one.
#[derive(Debug)]
pub struct Etcd {
    directory: TempDir,
    port: u16,
    peers: u16,
    tls: Option<EtcdTls>,
    login: Option<String>,
    server: Option<Process>,
}

impl Etcd {
    /// Starts one that anybody may use.
    ///
    /// # Errors
    /// When it is not installed, or does not start.
    pub async fn start() -> anyhow::Result<Self> {
        Self::with(None).await
    }

    /// Starts one that asks clients for certificates, if there is `tls`.
    ///
    /// # Errors
    /// When it is not installed, or does not start.
    pub async fn with(tls: Option<EtcdTls>) -> anyhow::Result<Self> {
        let mut etcd = Self {
            directory: tempfile::Builder::new().prefix("sluice-etcd-").tempdir()?,
            port: 0,
            peers: 0,
            tls,
            login: None,
            server: None,
        };
        for _ in 1..PORTS_TRIED {
            (etcd.port, etcd.peers) = free_ports()?;
            if etcd.start_again().await.is_ok() {
                return Ok(etcd);
            }
            etcd.forget()?;
        }
        (etcd.port, etcd.peers) = free_ports()?;
        etcd.start_again().await?;
        Ok(etcd)
    }

    /// The TCP port on 127.0.0.1; the same after every restart.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where clients connect.
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}:{}", Ipv4Addr::LOCALHOST, self.port)
    }

    /// Ends at once without writing anything, as in a crash.
    ///
    /// # Errors
    /// When it is not running or does not end.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        let mut server = self.server.take().context("etcd is not running")?;
        server.signal(Signal::SIGKILL)?;
        server.exit(WAIT).await?;
        Ok(())
    }

    /// Loses everything that was stored. It must not be running.
    ///
    /// # Errors
    /// When files cannot be removed.
    pub fn forget(&self) -> anyhow::Result<()> {
        let data = self.directory.path().join("data");
        match data.exists() {
            true => Ok(std::fs::remove_dir_all(data)?),
            false => Ok(()),
        }
    }

    /// Starts the stopped server on the same data and ports, and waits until it takes writes.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start_again(&mut self) -> anyhow::Result<()> {
        let peers = format!("http://{}:{}", Ipv4Addr::LOCALHOST, self.peers);
        let mut server = command("etcd");
        server.arg("--data-dir").arg(self.directory.path().join("data"));
        for (option, value) in [
            ("--listen-client-urls", self.url()),
            ("--advertise-client-urls", self.url()),
            ("--listen-peer-urls", peers.clone()),
            ("--initial-advertise-peer-urls", peers.clone()),
            ("--initial-cluster", format!("default={peers}")),
            // A cluster of one elects itself at once.
            ("--heartbeat-interval", "20".to_owned()),
            ("--election-timeout", "200".to_owned()),
            ("--logger", "zap".to_owned()),
        ] {
            server.args([option, &value]);
        }
        if let Some(tls) = &self.tls {
            server.arg("--cert-file").arg(&tls.server.chain_file);
            server.arg("--key-file").arg(&tls.server.key_file);
            server
                .arg("--client-cert-auth")
                .arg("--trusted-ca-file")
                .arg(&tls.authority);
        }
        let mut server = Process::spawn("etcd", server)?;
        let ready = eventually("etcd takes clients", WAIT, async || {
            if let Some(status) = server.exited() {
                return Ok(Err(status));
            }
            self.ctl(&["endpoint", "health"])?;
            Ok(Ok(()))
        });
        if let Err(status) = ready.await? {
            bail!("etcd ended with {status}\n{}", server.log());
        }
        self.server = Some(server);
        Ok(())
    }

    /// Has everybody log in from now on, and makes the user `name`, who may read all keys.
    ///
    /// # Errors
    /// When it refuses.
    pub fn enable_auth(&mut self, name: &str, password: &str) -> anyhow::Result<()> {
        self.ctl(&["user", "add", "root:root"])?;
        self.ctl(&["user", "grant-role", "root", "root"]).or_else(|_| {
            self.ctl(&["role", "add", "root"])
                .and_then(|_| self.ctl(&["user", "grant-role", "root", "root"]))
        })?;
        self.ctl(&["user", "add", &format!("{name}:{password}")])?;
        self.ctl(&["role", "add", "reader"])?;
        self.ctl(&[
            "role",
            "grant-permission",
            "--prefix=true",
            "reader",
            "read",
            "services/",
        ])?;
        self.ctl(&["user", "grant-role", name, "reader"])?;
        self.ctl(&["auth", "enable"])?;
        self.login = Some("root:root".to_owned());
        Ok(())
    }

    /// Runs `etcdctl`; what it prints.
    ///
    /// # Errors
    /// When it fails.
    pub fn ctl(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let output = self.client(arguments).output()?;
        let error = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "etcdctl {arguments:?}: {error}");
        Ok(String::from_utf8(output.stdout)?.trim_end().to_owned())
    }

    /// Runs `etcdctl` until it is dropped.
    ///
    /// # Errors
    /// When it does not start.
    pub fn background(&self, arguments: &[&str]) -> anyhow::Result<Process> {
        Process::spawn("etcdctl", self.client(arguments))
    }

    fn client(&self, arguments: &[&str]) -> Command {
        let mut client = command("etcdctl");
        client.env("ETCDCTL_API", "3").args(["--endpoints", &self.url()]);
        if let Some(tls) = &self.tls {
            client.arg("--cacert").arg(&tls.authority);
            client.arg("--cert").arg(&tls.client.chain_file);
            client.arg("--key").arg(&tls.client.key_file);
        }
        if let Some(login) = &self.login {
            client.args(["--user", login]);
        }
        client.args(arguments);
        client
    }
}

/// Puts `key` through the JSON gateway of the etcd at `url`: faster than a process for each.
///
/// # Errors
/// When it does not take it.
pub async fn put(client: &reqwest::Client, url: &str, key: &str, value: &str) -> anyhow::Result<()> {
    let body = json!({"key": STANDARD.encode(key), "value": STANDARD.encode(value)});
    let answer = client.post(format!("{url}/v3/kv/put")).json(&body).send().await?;
    answer.error_for_status().map(drop).context("etcd")
}

fn free_ports() -> anyhow::Result<(u16, u16)> {
    // Both at once, so that they differ.
    let listeners = [0, 1].map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)));
    let [one, other] = listeners;
    Ok((one?.local_addr()?.port(), other?.local_addr()?.port()))
}
