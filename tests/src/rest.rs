//! A client of the control plane's REST interface, for scenarios and the benchmark.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use reqwest::header::HeaderMap;
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde::Deserialize;
use serde_json::Value;

use crate::eventually::eventually;

/// Longest wait for any answer; above every `wait=` that is used here.
const ANSWER: Duration = Duration::from_secs(60);

/// A base URL and the bearer token that goes with it.
#[derive(Debug, Clone)]
pub struct Rest {
    client: Client,
    base: String,
    token: String,
}

/// What `apply` answers, as far as it is used here.
#[derive(Debug, Clone, Deserialize)]
pub struct Applied {
    /// The revision that holds the change.
    pub revision: u64,
    /// What happened to each resource.
    #[serde(default)]
    pub changes: Vec<Change>,
    /// What is allowed but probably not meant.
    #[serde(default)]
    pub warnings: Vec<Value>,
    /// With `wait`: who runs it.
    pub receipt: Option<Receipt>,
}

/// What happened to one resource.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Change {
    /// Its kind.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// `created`, `updated`, `deleted` or `unchanged`.
    pub action: String,
}

/// Why something was refused.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Violation {
    /// `KIND/NAMESPACE/NAME`, or the key of a snapshot's resource.
    pub resource: String,
    /// Path of the field.
    pub field: String,
    /// Kind of the violation, one of a closed set.
    pub code: String,
}

/// A proxy that refused a revision.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Refusal {
    /// Which one.
    pub proxy: String,
    /// Why.
    pub violations: Vec<Violation>,
}

/// An answer, whatever it says.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, null when that is not JSON.
    pub body: Value,
}

/// Who runs a revision, and how fast that was.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Receipt {
    /// The revision asked for.
    pub revision: u64,
    /// Live proxies.
    pub fleet: u64,
    /// Those that run this revision or a later one.
    pub applied: u64,
    /// Those that refused it.
    #[serde(default)]
    pub refused: Vec<Refusal>,
    /// Those that have not said anything yet.
    #[serde(default)]
    pub pending: Vec<String>,
    /// Time to apply; absent while nobody has.
    pub applied_ms: Option<AppliedMs>,
}

/// Percentiles over the proxies of the time from commit to acknowledgement, in milliseconds.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct AppliedMs {
    /// Median.
    pub p50: f64,
    /// 95th percentile.
    pub p95: f64,
    /// 99th percentile.
    pub p99: f64,
    /// Slowest proxy.
    pub max: f64,
    /// How many were timed.
    pub proxies: u64,
}

impl Rest {
    /// A client of `base` (`http://host:port`) that presents `token`.
    ///
    /// # Errors
    /// When the client cannot be built.
    pub fn new(base: &str, token: &str) -> anyhow::Result<Self> {
        let client = Client::builder().no_proxy().timeout(ANSWER).build()?;
        Ok(Self {
            client,
            base: base.to_owned(),
            token: token.to_owned(),
        })
    }

    /// The bearer token.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Where `path` is.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// A request for `path`, which starts with `/` and may carry a query.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client
            .request(method, self.url(path))
            .bearer_auth(&self.token)
    }

    /// Sends a request with an optional JSON body, and takes whatever is answered.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> anyhow::Result<Answer> {
        let mut request = self.request(method, path);
        if let Some(body) = body {
            request = request.json(body);
        }
        Answer::to(request).await
    }

    /// Applies one JSON document (a `List` for many). `query` is without the question mark.
    ///
    /// # Errors
    /// When the answer is not a success; the message holds the whole answer.
    pub async fn apply(&self, document: &Value, query: &str) -> anyhow::Result<Applied> {
        let request = self
            .request(Method::POST, &format!("/v1/apply?{query}"))
            .json(document);
        answer(request).await
    }

    /// The receipt of `revision`, waiting up to `wait` until the whole live fleet has applied it.
    ///
    /// # Errors
    /// When the answer is not a success; the message holds the whole answer.
    pub async fn receipt(&self, revision: u64, wait: Duration) -> anyhow::Result<Receipt> {
        self.quorum(revision, 1.0, wait).await
    }

    /// The receipt of `revision`, waiting up to `wait` until that share of the live fleet has applied
    /// it.
    ///
    /// # Errors
    /// When the answer is not a success; the message holds the whole answer.
    pub async fn quorum(&self, revision: u64, share: f64, wait: Duration) -> anyhow::Result<Receipt> {
        let path = format!(
            "/v1/revisions/{revision}/receipt?wait={}s&quorum={share}",
            wait.as_secs()
        );
        answer(self.request(Method::GET, &path)).await
    }

    /// A file `token-ID` below `directory` with a new join token; what is `wanted` of it is the body of
    /// the request.
    ///
    /// # Errors
    /// When none is made.
    pub async fn join_token(&self, directory: &Path, wanted: &Value) -> anyhow::Result<PathBuf> {
        let made = self.send(Method::POST, "/v1/join-tokens", Some(wanted)).await?;
        let text = made.body["token"].as_str().with_context(|| format!("{made:?}"))?;
        let id = made.body["id"].as_str().context("no id")?;
        let file = directory.join(format!("token-{id}"));
        std::fs::write(&file, format!("{text}\n"))?;
        Ok(file)
    }

    /// What the control plane says of the proxy, once it is connected, or not connected any more.
    ///
    /// # Errors
    /// When that does not happen within `within`.
    pub async fn connected(&self, id: &str, wanted: bool, within: Duration) -> anyhow::Result<Value> {
        let what = format!("{id}: connected is {wanted}");
        eventually(&what, within, async || {
            let answer = self.send(Method::GET, &format!("/v1/fleet/{id}"), None).await?;
            let connected = answer.body["connected"] == true;
            ensure!(connected == wanted, "{answer:?}");
            Ok(answer.body)
        })
        .await
    }
}

impl Answer {
    /// Sends the request and takes whatever is answered.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn to(request: RequestBuilder) -> anyhow::Result<Self> {
        let response = request.send().await?;
        Ok(Self {
            status: response.status(),
            headers: response.headers().clone(),
            body: serde_json::from_str(&response.text().await?).unwrap_or_default(),
        })
    }

    /// Every violation of a problem.
    ///
    /// # Errors
    /// When the answer is not a problem (RFC 9457) of its own status.
    pub fn violations(&self) -> anyhow::Result<Vec<Violation>> {
        let media = self
            .headers
            .get("content-type")
            .and_then(|value| value.to_str().ok());
        anyhow::ensure!(media == Some("application/problem+json"), "{self:?}");
        anyhow::ensure!(self.body["status"] == self.status.as_u16(), "{self:?}");
        match &self.body["violations"] {
            Value::Null => Ok(Vec::new()),
            violations => Ok(Vec::deserialize(violations)?),
        }
    }
}

async fn answer<T: for<'de> Deserialize<'de>>(request: RequestBuilder) -> anyhow::Result<T> {
    let response = request.send().await?;
    let (status, url) = (response.status(), response.url().clone());
    let body = response.text().await?;
    if !status.is_success() {
        bail!("{url}: {status}: {body}");
    }
    serde_json::from_str(&body).with_context(|| format!("{url}: {body}"))
}
