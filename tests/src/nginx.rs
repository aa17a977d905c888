//! A private nginx as an upstream: HTTP/1.1 on one port, h2c on another, files in a directory.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use tempfile::TempDir;

use crate::authority::Identity;
use crate::eventually::eventually;
use crate::process::{Process, command};

/// nginx cannot be asked which free port it got; another process may take it before.
const PORTS_TRIED: usize = 3;
const START: Duration = Duration::from_secs(10);

/// A running server; gone when it is dropped.
#[derive(Debug)]
pub struct Nginx {
    /// Where it speaks HTTP/1.1.
    pub http1: SocketAddr,
    /// Where it speaks HTTP/2 without TLS.
    pub h2c: SocketAddr,
    /// Where it speaks HTTP/1.1 over TLS, if it has a certificate.
    pub https: SocketAddr,
    directory: TempDir,
    _process: Process,
}

impl Nginx {
    /// Starts one that serves files under `/files/`, takes uploads there by PUT, and answers
    /// `/status/204`, `/status/304` and `/gone` (a redirect).
    ///
    /// # Errors
    /// When it is not installed or does not start.
    pub async fn start() -> anyhow::Result<Self> {
        Self::start_with(None).await
    }

    /// Starts one that also speaks TLS with this certificate, and answers `/tls` with the server
    /// name it was sent, whether the client's certificate is of the authority in that file, and
    /// that certificate's subject.
    ///
    /// # Errors
    /// When it is not installed or does not start.
    pub async fn with_tls(identity: &Identity, clients: &Path) -> anyhow::Result<Self> {
        Self::start_with(Some((identity, clients))).await
    }

    async fn start_with(tls: Option<(&Identity, &Path)>) -> anyhow::Result<Self> {
        for _ in 1..PORTS_TRIED {
            if let Ok(nginx) = Self::try_start(tls).await {
                return Ok(nginx);
            }
        }
        Self::try_start(tls).await
    }

    /// The directory behind `/files/`.
    pub fn files(&self) -> PathBuf {
        self.directory.path().join("root/files")
    }

    async fn try_start(tls: Option<(&Identity, &Path)>) -> anyhow::Result<Self> {
        let directory = tempfile::Builder::new().prefix("sluice-nginx-").tempdir()?;
        std::fs::create_dir_all(directory.path().join("root/files"))?;
        let (http1, h2c, https) = (free_address()?, free_address()?, free_address()?);
        let secured = tls.map(|tls| secured(https, tls)).unwrap_or_default();
        let configuration = configuration(http1, h2c, &secured);
        std::fs::write(directory.path().join("nginx.conf"), configuration)?;
        let mut nginx = command("nginx");
        nginx
            .args(["-e", "stderr", "-c", "nginx.conf", "-p"])
            .arg(directory.path());
        let mut process = Process::spawn("nginx", nginx)?;
        let ready = eventually("nginx listens", START, async || {
            if let Some(status) = process.exited() {
                return Ok(Err(status));
            }
            TcpStream::connect(http1)?;
            TcpStream::connect(h2c)?;
            if tls.is_some() {
                TcpStream::connect(https)?;
            }
            Ok(Ok(()))
        });
        if let Err(status) = ready.await.with_context(|| "starting nginx")? {
            bail!("nginx ended with {status}\n{}", process.log());
        }
        Ok(Self {
            http1,
            h2c,
            https,
            directory,
            _process: process,
        })
    }
}

/// One process, so that ending it ends everything; it needs no rights beyond its directory's.
fn configuration(http1: SocketAddr, h2c: SocketAddr, more: &str) -> String {
    format!(
        "daemon off; master_process off; worker_processes 1; error_log stderr warn; pid nginx.pid;\n\
         events {{ worker_connections 1024; }}\n\
         http {{\n\
         access_log off; client_max_body_size 0; default_type text/plain;\n\
         client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;\n\
         uwsgi_temp_path uwsgi; scgi_temp_path scgi;\n\
         server {{\n\
         listen {http1}; listen {h2c} http2; root root;\n\
         location /files/ {{ dav_methods PUT; dav_access user:rw; }}\n\
         location = /status/204 {{ return 204; }}\n\
         location = /status/304 {{ return 304; }}\n\
         location = /gone {{ return 302 http://elsewhere.example.com/; }}\n\
         location = /seen {{ return 200 \"$server_protocol $host $http_x_forwarded_for $http_x_forwarded_proto $connection\"; }}\n\
         }}\n\
         {more}\
         }}\n"
    )
}

/// A server that ends TLS and asks clients for a certificate.
fn secured(https: SocketAddr, (identity, clients): (&Identity, &Path)) -> String {
    let (chain, key) = (identity.chain_file.display(), identity.key_file.display());
    let clients = clients.display();
    format!(
        "server {{\n\
         listen {https} ssl; ssl_certificate {chain}; ssl_certificate_key {key};\n\
         ssl_verify_client optional; ssl_client_certificate {clients};\n\
         location = /tls {{ return 200 \"$ssl_server_name $ssl_client_verify $ssl_client_s_dn\"; }}\n\
         }}\n"
    )
}

fn free_address() -> std::io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::{Connection, Protocol, get};

    #[tokio::test]
    async fn it_serves_files_in_both_versions_of_http() {
        let nginx = Nginx::start().await.unwrap();
        std::fs::write(nginx.files().join("small"), "twelve bytes").unwrap();
        for (address, protocol) in [(nginx.http1, Protocol::Http1), (nginx.h2c, Protocol::H2c)] {
            let mut connection = Connection::open(address, protocol).await.unwrap();
            let answer = connection
                .send(get("a.example.com", "/files/small"))
                .await
                .unwrap();
            assert_eq!(answer.body, "twelve bytes", "{protocol:?}");
        }
    }
}
