//! `sluice dev` as one process: what it says, what it serves, what it keeps, how it ends.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use nix::sys::signal::Signal;
use serde::Deserialize;
use serde_json::Value;
use sluice_tests::process::Process;
use sluice_tests::rest::Rest;
use sluice_tests::servers;

/// Longest start-up.
const START: Duration = Duration::from_secs(60);
/// From SIGTERM to the end of the process, as promised.
const STOP: Duration = Duration::from_secs(5);

#[derive(Debug, Deserialize)]
struct Line {
    admin: String,
    token: String,
    grpc: SocketAddr,
    proxies: Vec<Proxy>,
}

#[derive(Debug, Deserialize)]
struct Proxy {
    id: String,
    admin: SocketAddr,
    listeners: Vec<Listener>,
}

#[derive(Debug, Deserialize)]
struct Listener {
    gateway: String,
    listener: String,
    address: SocketAddr,
}

struct Dev {
    process: Process,
    line: Line,
    rest: Rest,
}

fn spawn(data: &Path, arguments: &[&str]) -> anyhow::Result<Process> {
    let mut command = servers::command("sluice", None)?;
    command
        .arg("dev")
        .arg("--data-dir")
        .arg(data)
        .args(arguments)
        .env_remove("SLUICE_TOKEN");
    Process::spawn("sluice dev", command)
}

/// Starts it on free ports.
async fn start(data: &Path, arguments: &[&str]) -> anyhow::Result<Dev> {
    let free = [
        "--admin",
        "127.0.0.1:0",
        "--grpc",
        "127.0.0.1:0",
        "--port-map",
        "80=0",
    ];
    let arguments: Vec<_> = free.iter().chain(arguments).copied().collect();
    let mut process = spawn(data, &arguments)?;
    let line: Line = serde_json::from_str(&process.first_line(START).await?)?;
    let rest = Rest::new(&line.admin, &line.token)?;
    Ok(Dev { process, line, rest })
}

impl Dev {
    async fn stop(mut self) -> anyhow::Result<()> {
        self.process.signal(Signal::SIGTERM)?;
        let status = self.process.exit(STOP).await?;
        ensure!(status.success(), "{status}\n{}", self.process.log());
        Ok(())
    }

    async fn get(&self, path: &str) -> anyhow::Result<Value> {
        let answer = self.rest.request(reqwest::Method::GET, path).send().await?;
        Ok(serde_json::from_str(&answer.error_for_status()?.text().await?)?)
    }

    async fn revisions(&self) -> anyhow::Result<usize> {
        let history = self.get("/v1/revisions").await?;
        Ok(history["items"].as_array().context("no history")?.len())
    }
}

/// Status and body of a request for the example's host.
async fn ask(address: SocketAddr, path: &str) -> anyhow::Result<(u16, String)> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    let request = client
        .get(format!("http://{address}{path}"))
        .header("host", "shop.example.com");
    let answer = request.send().await?;
    Ok((answer.status().as_u16(), answer.text().await?))
}

#[tokio::test]
async fn every_proxy_serves_the_example_as_soon_as_the_line_is_there() -> anyhow::Result<()> {
    let data = tempfile::tempdir()?;
    let dev = start(data.path(), &["--proxies", "3"]).await?;
    let ids: Vec<_> = dev.line.proxies.iter().map(|proxy| proxy.id.as_str()).collect();
    assert_eq!(ids, ["dev-1", "dev-2", "dev-3"]);
    for proxy in &dev.line.proxies {
        let [listener] = proxy.listeners.as_slice() else {
            anyhow::bail!("{proxy:?}")
        };
        assert_eq!(
            (listener.gateway.as_str(), listener.listener.as_str()),
            ("default/edge", "http")
        );
        let (status, body) = ask(listener.address, "/shoes?size=42").await?;
        let said: Value = serde_json::from_str(&body)?;
        assert_eq!(
            (status, &said["name"], &said["path"]),
            (200, &"catalog".into(), &"/shoes?size=42".into())
        );
        let ready = reqwest::get(format!("http://{}/ready", proxy.admin)).await?;
        assert_eq!(ready.status(), 200);
    }
    let receipt = dev.rest.receipt(1, Duration::ZERO).await?;
    assert_eq!((receipt.fleet, receipt.applied), (3, 3));
    ensure!(dev.line.grpc.port() != 0);
    dev.stop().await
}

#[tokio::test]
async fn a_later_start_keeps_what_was_applied_and_adds_no_revision() -> anyhow::Result<()> {
    let data = tempfile::tempdir()?;
    let first = start(data.path(), &[]).await?;
    let token = first.line.token.clone();
    let path = "/v1/namespaces/default/httproutes/shop";
    let deleted = first.rest.request(
        reqwest::Method::DELETE,
        "/v1/namespaces/default/experiments/pay-button",
    );
    deleted.send().await?.error_for_status()?;
    let deleted = first.rest.request(reqwest::Method::DELETE, path).send().await?;
    deleted.error_for_status()?;
    first.stop().await?;

    let second = start(data.path(), &[]).await?;
    assert_eq!(second.line.token, token);
    assert_eq!(second.revisions().await?, 3);
    let address = second.line.proxies[0].listeners[0].address;
    assert_eq!(ask(address, "/").await?.0, 404);
    second.stop().await
}

#[tokio::test]
async fn files_are_applied_at_each_start_and_make_a_revision_only_when_they_changed() -> anyhow::Result<()> {
    let data = tempfile::tempdir()?;
    let file = data.path().join("edge.yaml");
    let manifest = "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: mine}\n\
        spec: {gatewayClassName: sluice, listeners: [{name: web, port: 80, protocol: HTTP}]}\n";
    std::fs::write(&file, manifest)?;
    let arguments = [
        "--no-sample",
        "--proxies",
        "1",
        "-f",
        file.to_str().context("a path in UTF-8")?,
    ];
    for _ in 0..2 {
        let dev = start(&data.path().join("dev"), &arguments).await?;
        assert_eq!(dev.line.proxies[0].listeners[0].gateway, "default/mine");
        assert_eq!(dev.revisions().await?, 1);
        dev.stop().await?;
    }
    Ok(())
}

#[tokio::test]
async fn without_the_sample_it_starts_empty_and_says_so_once_proxies_acknowledged() -> anyhow::Result<()> {
    let data = tempfile::tempdir()?;
    let dev = start(data.path(), &["--no-sample"]).await?;
    assert!(dev.line.proxies.iter().all(|proxy| proxy.listeners.is_empty()));
    let fleet = dev.get("/v1/fleet").await?;
    let proxies = fleet["proxies"].as_array().context("no proxies")?;
    assert_eq!(proxies.len(), 2);
    assert!(proxies.iter().all(|proxy| proxy["revision"] == 0), "{fleet}");
    assert_eq!(dev.revisions().await?, 0);
    dev.stop().await
}

#[tokio::test]
async fn a_port_or_a_directory_in_use_is_said_and_ends_with_1() -> anyhow::Result<()> {
    let data = tempfile::tempdir()?;
    let dev = start(&data.path().join("a"), &[]).await?;
    let admin = dev.line.admin.trim_start_matches("http://").to_owned();
    let listener = dev.line.proxies[0].listeners[0].address;
    let map = format!("80={}", listener.port());
    let listener = listener.to_string();
    for (directory, arguments, said) in [
        (
            "a",
            &["--admin", "127.0.0.1:0"][..],
            "another sluice dev is using",
        ),
        ("b", &["--admin", &admin], admin.as_str()),
        (
            "c",
            &[
                "--admin",
                "127.0.0.1:0",
                "--grpc",
                "127.0.0.1:0",
                "--port-map",
                &map,
            ],
            &listener,
        ),
    ] {
        let mut second = spawn(&data.path().join(directory), arguments)?;
        let status = second.exit(START).await?;
        assert_eq!(status.code(), Some(1), "{}", second.log());
        assert!(second.log().contains(said), "{said}: {}", second.log());
    }
    dev.stop().await
}
