//! TLS as its users see it: curl and openssl in front, nginx behind, certificates made by openssl.

mod clients;
mod resumption;
mod serving;
mod upstream;

use std::net::SocketAddr;
use std::process::Output;

use serde_json::{Value, json};
use sluice_tests::authority::Authority;
use sluice_tests::manifest::{HOST, backend, certificate, https_gateway, route_to};
use sluice_tests::process::command;
use sluice_tests::site::{SOON, Site};
use sluice_tests::upstream::Upstream;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;

/// The listener of [`Secured`].
const LISTENER: &str = "listener/default/edge/https";

/// A site with one HTTPS listener for [`HOST`], whose certificate is in the Secret `shop`, and an
/// echoing upstream.
struct Secured {
    site: Site,
    root: Authority,
    address: SocketAddr,
    _upstream: Upstream,
    _directory: TempDir,
}

impl Secured {
    async fn start(proxies: usize) -> Self {
        Self::with(proxies, &json!({}), |_| Vec::new()).await
    }

    /// With further fields of the listener's `tls`, and further manifests made with the root.
    async fn with(proxies: usize, tls: &Value, more: impl FnOnce(&Authority) -> Vec<Value>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = Authority::root(directory.path(), "root").unwrap();
        let upstream = Upstream::echo("web").await.unwrap();
        let site = Site::with(proxies, None, &["--port-map", "443=0"]).await.unwrap();
        let shop = root.issue("shop", &[&format!("DNS:{HOST}")]).unwrap();
        let mut tls = tls.clone();
        tls["certificateRefs"] = json!([{"name": "shop"}]);
        let mut manifests = more(&root);
        manifests.extend([
            certificate("shop", &shop),
            https_gateway(&[("https", HOST, tls)]),
            backend("web", &[upstream.address]),
            route_to("shop", HOST, "web"),
        ]);
        site.apply(&manifests).await.unwrap();
        let address = site.proxies[0].listening(LISTENER, 1, SOON).await.unwrap();
        Self {
            site,
            root,
            address,
            _upstream: upstream,
            _directory: directory,
        }
    }

    /// Runs curl for [`HOST`] with the root trusted.
    async fn curl(&self, options: &[&str], path: &str) -> Output {
        let root = self.root.file();
        let trusted = [&["--cacert", root.to_str().unwrap()], options].concat();
        curl(self.address, &trusted, HOST, path).await
    }
}

/// Runs curl for `https://host/path` at `address`; neither progress nor retries.
async fn curl(address: SocketAddr, options: &[&str], host: &str, path: &str) -> Output {
    let mut curl = tokio::process::Command::from(command("curl"));
    curl.args(["--silent", "--show-error", "--max-time", "30", "--noproxy", "*"]);
    curl.args([
        "--resolve",
        &format!("{host}:{}:{}", address.port(), address.ip()),
    ]);
    curl.args(options);
    curl.arg(format!("https://{host}:{}{path}", address.port()));
    curl.kill_on_drop(true).output().await.unwrap()
}

/// Runs `openssl s_client` with `input`, to the end of the connection.
async fn s_client(address: SocketAddr, options: &[&str], input: &str) -> Output {
    let mut client = tokio::process::Command::from(command("openssl"));
    client.args(["s_client", "-connect", &address.to_string(), "-ign_eof"]);
    client.args(options).kill_on_drop(true);
    client.stdin(std::process::Stdio::piped());
    client.stdout(std::process::Stdio::piped());
    client.stderr(std::process::Stdio::piped());
    let mut client = client.spawn().unwrap();
    let mut stdin = client.stdin.take().unwrap();
    // It may have been turned away already.
    let _ = stdin.write_all(input.as_bytes()).await;
    let output = tokio::time::timeout(SOON, client.wait_with_output()).await;
    drop(stdin);
    output.expect("openssl ends").unwrap()
}

/// A request after which the connection ends.
fn last_request() -> String {
    format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n")
}

/// What a program printed.
fn text(output: &Output) -> String {
    let (out, error) = (&output.stdout, &output.stderr);
    format!(
        "{}\n{}",
        String::from_utf8_lossy(out),
        String::from_utf8_lossy(error)
    )
}
