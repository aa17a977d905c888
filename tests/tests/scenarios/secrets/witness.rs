//! A control plane and a proxy that log everything, and all that they ever said.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use nix::sys::signal::Signal;
use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use serde_json::Value;
use sluice_tests::client::{Answer, Connection, Protocol};
use sluice_tests::manifest::LISTENER;
use sluice_tests::process;
use sluice_tests::servers::{ControlPlane, DataPlane, binary};
use sluice_tests::site::{SOON, TOKEN};
use sluice_tests::upstream::Body;

use super::marker::Marker;

/// The processes, and what was seen of them.
pub(super) struct Witness {
    control: ControlPlane,
    proxy: DataPlane,
    directory: PathBuf,
    revision: u64,
    seen: Vec<(String, Vec<u8>)>,
}

/// A command that writes its log, with everything in it, to `log`.
fn logged(program: &str, log: &Path) -> anyhow::Result<Command> {
    let mut command = process::command("sh");
    command
        .args(["-c", "exec \"$0\" \"$@\" 2>\"$LOG\""])
        .arg(binary(program)?);
    command
        .env("LOG", log)
        .env("RUST_LOG", "trace")
        .env("SLUICE_LOG", "trace")
        .env("RUST_BACKTRACE", "full");
    Ok(command)
}

impl Witness {
    /// Starts both; all their files are under `directory`.
    pub(super) async fn start(directory: &Path, database: &str, options: &[&str]) -> anyhow::Result<Self> {
        let mut control = logged("sluice-control", &directory.join("control.log"))?;
        control.args(options);
        let control = ControlPlane::start(control, database, TOKEN).await?;
        let mut proxy = logged("sluice-proxy", &directory.join("proxy.log"))?;
        proxy.args([
            "--bind",
            "127.0.0.1",
            "--workers",
            "1",
            "--port-map",
            "80=0",
            "--port-map",
            "443=0",
        ]);
        proxy.arg("--access-log").arg(directory.join("access.log"));
        let proxy = DataPlane::start(proxy, "edge-1", control.grpc, directory).await?;
        Ok(Self {
            control,
            proxy,
            directory: directory.to_owned(),
            revision: 0,
            seen: Vec::new(),
        })
    }

    /// Takes note of what was written somewhere.
    pub(super) fn saw(&mut self, wherever: impl Into<String>, bytes: Vec<u8>) {
        self.seen.push((wherever.into(), bytes));
    }

    /// Applies it, dry first, and waits until the proxy runs it.
    pub(super) async fn applied(&mut self, document: &Value) -> anyhow::Result<()> {
        let body = document.to_string();
        let json = "application/json";
        self.send(Method::POST, "/v1/apply?dryRun=true", json, body.clone())
            .await?;
        let path = "/v1/apply?wait=20s&quorum=1";
        let (status, answer) = self.send(Method::POST, path, json, body).await?;
        ensure!(status == 200, "{answer}");
        let answer: Value = serde_json::from_str(&answer)?;
        ensure!(answer["receipt"]["applied"] == 1, "{answer}");
        self.revision = answer["revision"].as_u64().context("a revision")?;
        Ok(())
    }

    /// Sends what has to be refused for what it says.
    pub(super) async fn refused(
        &mut self,
        method: Method,
        path: &str,
        media: &str,
        body: String,
    ) -> anyhow::Result<()> {
        let (status, answer) = self.send(method, path, media, body.clone()).await?;
        ensure!([400, 422].contains(&status), "{body}: {answer}");
        Ok(())
    }

    async fn send(
        &mut self,
        method: Method,
        path: &str,
        media: &str,
        body: String,
    ) -> anyhow::Result<(u16, String)> {
        let request = self.control.rest.request(method.clone(), path);
        let response = request.header(CONTENT_TYPE, media).body(body).send().await?;
        let head = format!("{:?} {:?}", response.status(), response.headers());
        let status = response.status().as_u16();
        let text = response.text().await?;
        self.saw(format!("{method} {path}"), format!("{head}\n{text}").into_bytes());
        Ok((status, text))
    }

    /// Everything else that REST and the proxy's own endpoint answer.
    pub(super) async fn rest_of_the_interface(&mut self, all: &Value) -> anyhow::Result<()> {
        let json = "application/json";
        for path in [
            "/v1/namespaces/default/secrets/shop",
            "/v1/namespaces/default/secrets/api",
            "/v1/namespaces/default/secrets",
            "/v1/namespaces/default/gateways/edge",
            "/v1/namespaces/-/secrets?limit=1",
            "/v1/revisions",
            "/v1/revisions/1",
            "/v1/revisions/2/receipt",
            "/v1/fleet",
            "/v1/fleet/edge-1",
            "/v1/tokens",
            "/openapi.json",
            "/healthz",
            "/readyz",
            "/metrics",
        ] {
            let (status, answer) = self.send(Method::GET, path, json, String::new()).await?;
            ensure!(status < 300, "{path}: {answer}");
        }
        let question = r#"{"method": "GET", "url": "https://shop.example.com/a"}"#;
        self.send(Method::POST, "/v1/explain", json, question.to_owned())
            .await?;
        self.send(Method::POST, "/v1/plan", json, all.to_string()).await?;
        let api = "/v1/namespaces/default/secrets/api";
        let patch = r#"{"metadata": {"labels": {"a": "b"}}}"#.to_owned();
        let (status, answer) = self.send(Method::PATCH, api, json, patch).await?;
        ensure!(status == 200, "{answer}");
        let (status, answer) = self
            .send(Method::POST, "/v1/revisions/1/rollback", json, String::new())
            .await?;
        ensure!(status == 200, "{answer}");
        let (status, answer) = self.send(Method::DELETE, api, json, String::new()).await?;
        ensure!(status == 200, "{answer}");
        for path in ["/config", "/metrics", "/ready", "/live"] {
            let (_, answer) = self.proxy.admin(path).await?;
            self.saw(format!("the proxy's {path}"), answer.into_bytes());
        }
        Ok(())
    }

    /// What the command line prints; `all` is applied through it too.
    pub(super) async fn commands(&mut self, all: &[Value]) -> anyhow::Result<()> {
        let file = tempfile::NamedTempFile::with_suffix(".yaml")?;
        let documents: Vec<_> = all.iter().map(Value::to_string).collect();
        std::fs::write(file.path(), documents.join("\n---\n"))?;
        let file = file.path().to_str().context("a path of letters")?.to_owned();
        for line in [
            "get secrets",
            "get secrets -o yaml",
            "get secret shop -o json",
            "get all -o yaml",
            "describe secret",
            "describe gateway edge",
            "history",
            "history -o json",
            "fleet",
            "receipt 2",
            "explain GET https://shop.example.com/",
            "apply -f FILE --wait 20s",
            "plan -f FILE",
            "diff -f FILE",
            "lint -f FILE",
            "delete secret nobody",
            "rollback 2",
            "apply -f FILE -o json",
        ] {
            let mut command = tokio::process::Command::new(binary("sluice")?);
            command.args(
                line.split(' ')
                    .map(|word| if word == "FILE" { file.as_str() } else { word }),
            );
            command
                .env("SLUICE_ADMIN", self.control.rest.url(""))
                .env("SLUICE_TOKEN", TOKEN);
            let output = command.env("RUST_LOG", "trace").output().await?;
            self.saw(format!("sluice {line}"), [output.stdout, output.stderr].concat());
        }
        Ok(())
    }

    /// One request through the proxy's plain listener.
    pub(super) async fn request(&self, request: http::Request<Body>) -> anyhow::Result<Answer> {
        let address = self.proxy.listening(LISTENER, self.revision, SOON).await?;
        Connection::open(address, Protocol::Http1)
            .await?
            .send(request)
            .await
    }

    /// Ends both in good order, so that all is written.
    pub(super) async fn stop(&mut self) -> anyhow::Result<()> {
        for process in [&mut self.proxy.process, &mut self.control.process] {
            process.signal(Signal::SIGTERM)?;
            process.exit(SOON).await?;
            let log = process.log();
            self.seen
                .push((format!("output of {}", process.name()), log.into_bytes()));
        }
        Ok(())
    }

    /// Takes note of every file under `directory`: databases, logs, state of the proxy.
    pub(super) fn saw_files(&mut self, directory: &Path) -> anyhow::Result<()> {
        for entry in std::fs::read_dir(directory)? {
            let path = entry?.path();
            match path.is_dir() {
                true => self.saw_files(&path)?,
                false => {
                    let bytes = std::fs::read(&path)?;
                    let name = path.strip_prefix(&self.directory)?.display().to_string();
                    self.saw(name, bytes);
                }
            }
        }
        Ok(())
    }

    /// Fails for whatever shows a marker in any form, all places at once.
    pub(super) fn holds_none_of(&self, markers: &[&Marker]) {
        let mut shown = Vec::new();
        for marker in markers {
            for (form, bytes) in marker.forms() {
                let places = self.seen.iter().filter(|(_, seen)| contains(seen, &bytes));
                shown.extend(places.map(|(place, _)| format!("{form} in {place}")));
            }
        }
        assert!(shown.is_empty(), "{shown:#?}");
    }

    /// Whether `text` stands in what was seen at `place`.
    pub(super) fn saw_in(&self, place: &str, text: &str) -> bool {
        let found = |seen: &[u8]| contains(seen, text.as_bytes());
        self.seen.iter().any(|(name, seen)| name == place && found(seen))
    }
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    memchr::memmem::find(haystack, needle).is_some()
}
