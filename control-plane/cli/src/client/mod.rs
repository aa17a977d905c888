//! The REST interface of a control plane, as its commands use it.

mod problem;
mod server;

use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::Value;

pub(crate) use problem::{Aligned, Problem, Violation};
pub(crate) use server::{Server, ServerError};

use crate::failure::Failure;

/// Longest time to connect.
const CONNECT: Duration = Duration::from_secs(5);
/// Longest time to an answer, over and above what the server was asked to wait.
const ANSWER: Duration = Duration::from_secs(30);
/// Tries of a request that may be sent again, after the first one was lost on its way.
const RETRIES: u32 = 5;
/// Pause before the first retry; it doubles with each one.
const BACKOFF: Duration = Duration::from_millis(200);

/// Connections to one control plane, and the token that goes with them.
#[derive(Debug)]
pub(crate) struct Client {
    http: reqwest::Client,
    server: Server,
    token: Option<String>,
}

/// One request, before it is sent.
#[derive(Debug, Default)]
pub(crate) struct Request<'a> {
    method: Method,
    /// Path segments after `/`; encoded where needed.
    segments: &'a [&'a str],
    query: Vec<(&'static str, String)>,
    body: Body,
    /// How long the server may hold the answer back.
    patience: Duration,
    /// Set: the request may be sent again, for the server knows it by this key.
    idempotency_key: Option<String>,
}

#[derive(Clone, Debug, Default)]
enum Body {
    #[default]
    None,
    Json(Value),
    /// JSON that is written already.
    JsonText(Vec<u8>),
    Yaml(Vec<u8>),
}

impl<'a> Request<'a> {
    /// A request for the resource at `segments`.
    pub(crate) fn new(method: Method, segments: &'a [&'a str]) -> Self {
        Self {
            method,
            segments,
            ..Self::default()
        }
    }

    /// A read of the resource at `segments`.
    pub(crate) fn get(segments: &'a [&'a str]) -> Self {
        Self::new(Method::GET, segments)
    }

    /// Adds a query parameter.
    pub(crate) fn query(mut self, name: &'static str, value: impl ToString) -> Self {
        self.query.push((name, value.to_string()));
        self
    }

    /// Adds a query parameter if there is a value for it.
    pub(crate) fn query_if(self, name: &'static str, value: Option<impl ToString>) -> Self {
        match value {
            Some(value) => self.query(name, value),
            None => self,
        }
    }

    /// Sends a JSON body.
    pub(crate) fn json(mut self, body: Value) -> Self {
        self.body = Body::Json(body);
        self
    }

    /// Sends a JSON body that is written already.
    pub(crate) fn json_text(mut self, body: Vec<u8>) -> Self {
        self.body = Body::JsonText(body);
        self
    }

    /// Sends YAML documents.
    pub(crate) fn yaml(mut self, body: Vec<u8>) -> Self {
        self.body = Body::Yaml(body);
        self
    }

    /// Lets the server hold the answer back for `patience`.
    pub(crate) fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Marks a write with a key of its own, so that it can be sent again when its answer is lost.
    pub(crate) fn idempotent(mut self) -> Self {
        self.idempotency_key = Some(uuid::Uuid::new_v4().to_string());
        self
    }
}

impl Client {
    /// A client of the control plane at `server` that presents `token`.
    ///
    /// # Errors
    /// When the HTTP client cannot be set up.
    pub(crate) fn new(server: Server, token: Option<&str>) -> Result<Self, Failure> {
        let mut http = reqwest::Client::builder()
            .connect_timeout(CONNECT)
            .user_agent(concat!("sluice/", env!("CARGO_PKG_VERSION")));
        if server.is_loopback() {
            // HTTP_PROXY is meant for what lies beyond this machine.
            http = http.no_proxy();
        }
        match http.build() {
            Ok(http) => Ok(Self {
                http,
                server,
                token: token.map(ToOwned::to_owned),
            }),
            Err(source) => Err(Failure::Unreachable { server, source }),
        }
    }

    /// Which control plane it is.
    pub(crate) fn server(&self) -> &Server {
        &self.server
    }

    /// Sends `request` and reads the answer as JSON (null for an answer without content).
    ///
    /// # Errors
    /// When there is no answer, or it is a refusal, or it is not JSON.
    pub(crate) async fn send(&self, request: Request<'_>) -> Result<Value, Failure> {
        let mut retries = 0;
        loop {
            match self.attempt(&request).await {
                // Nothing was sent yet on the first try: then it is the address that is wrong.
                Err(Failure::Unreachable { .. }) if retries > 0 && retries < RETRIES => {}
                Err(Failure::Lost { .. }) if request.idempotency_key.is_some() && retries < RETRIES => {}
                answer => return answer,
            }
            tokio::time::sleep(BACKOFF * 2_u32.pow(retries)).await;
            retries += 1;
        }
    }

    /// Reads an answer into a type.
    ///
    /// # Errors
    /// When it does not fit.
    pub(crate) fn read<T: DeserializeOwned>(&self, answer: Value) -> Result<T, Failure> {
        serde_json::from_value(answer).map_err(|source| self.not_understood(source))
    }

    /// Sends `request` and hands over the answer line by line, each read as JSON, as they come; the headers in
    /// the end. An answer that breaks off is an error, whatever was handed over before.
    ///
    /// # Errors
    /// When there is no answer, or it is a refusal, or breaks off, or is not JSON; or what `take` says.
    pub(crate) async fn lines(
        &self,
        request: Request<'_>,
        mut take: impl FnMut(Value) -> Result<(), Failure>,
    ) -> Result<HeaderMap, Failure> {
        let mut response = self.accepted(&request).await?;
        let mut take = |line: &[u8]| {
            let value = serde_json::from_slice(line).map_err(|source| self.not_understood(source))?;
            take(value)
        };
        let mut rest = Vec::new();
        while let Some(bytes) = response.chunk().await.map_err(|source| self.no_answer(source))? {
            rest.extend_from_slice(&bytes);
            let Some(end) = rest.iter().rposition(|byte| *byte == b'\n') else {
                continue;
            };
            rest[..end].split(|byte| *byte == b'\n').try_for_each(&mut take)?;
            rest.drain(..=end);
        }
        if !rest.is_empty() {
            take(&rest)?;
        }
        Ok(response.headers().clone())
    }

    async fn attempt(&self, request: &Request<'_>) -> Result<Value, Failure> {
        let response = self.accepted(request).await?;
        let body = response.text().await.map_err(|source| self.no_answer(source))?;
        if body.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&body).map_err(|source| self.not_understood(source))
    }

    /// The answer, if it is none that refuses.
    async fn accepted(&self, request: &Request<'_>) -> Result<Response, Failure> {
        let sent = self.build(request).send().await;
        let response = sent.map_err(|source| self.no_answer(source))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let body = response.text().await.map_err(|source| self.no_answer(source))?;
        if status == StatusCode::UNAUTHORIZED {
            let (server, given) = (self.server.clone(), self.token.is_some());
            return Err(Failure::Unauthorized { server, given });
        }
        Err(Failure::Refused(Problem::read(status.as_u16(), &body)))
    }

    fn build(&self, request: &Request<'_>) -> RequestBuilder {
        let mut builder = self
            .http
            .request(request.method.clone(), self.server.url(request.segments))
            .timeout(ANSWER + request.patience)
            .query(&request.query);
        if let Some(token) = &self.token {
            builder = builder.bearer_auth(token);
        }
        if let Some(key) = &request.idempotency_key {
            builder = builder.header("idempotency-key", key);
        }
        match &request.body {
            Body::None => builder,
            Body::Json(body) => builder.json(body),
            Body::JsonText(body) => builder
                .header("content-type", "application/json")
                .body(body.clone()),
            Body::Yaml(body) => builder
                .header("content-type", "application/yaml")
                .body(body.clone()),
        }
    }

    fn no_answer(&self, source: reqwest::Error) -> Failure {
        let server = self.server.clone();
        if source.is_connect() {
            Failure::Unreachable { server, source }
        } else {
            Failure::Lost { server, source }
        }
    }

    fn not_understood(&self, source: serde_json::Error) -> Failure {
        Failure::Answer {
            server: self.server.clone(),
            source,
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    /// A server that answers one connection after the other: with these bytes, or not at all.
    /// Returns the requests it read.
    async fn serve(listener: TcpListener, answers: &[Option<&str>]) -> Vec<String> {
        let mut requests = Vec::new();
        for answer in answers {
            let (mut connection, _) = listener.accept().await.unwrap();
            let mut head = vec![0; 64 * 1024];
            let length = connection.read(&mut head).await.unwrap();
            requests.push(String::from_utf8_lossy(&head[..length]).to_lowercase());
            if let Some(body) = answer {
                let answer = format!("HTTP/1.1 {body}");
                connection.write_all(answer.as_bytes()).await.unwrap();
            }
        }
        requests
    }

    async fn server() -> (TcpListener, Client) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = listener.local_addr().unwrap().to_string().parse().unwrap();
        let client = Client::new(server, Some("secret")).unwrap();
        (listener, client)
    }

    const OK: Option<&str> =
        Some("200 OK\r\ncontent-length: 15\r\nconnection: close\r\n\r\n{\"revision\": 7}");

    fn idempotency_key(request: &str) -> &str {
        let field = request
            .lines()
            .find_map(|line| line.strip_prefix("idempotency-key: "));
        field.unwrap_or_default()
    }

    #[tokio::test]
    async fn a_write_whose_answer_is_lost_is_sent_again_under_the_same_key() {
        let (listener, client) = server().await;
        let write = Request::new(Method::POST, &["v1", "apply"])
            .yaml(b"a: 1".to_vec())
            .idempotent();
        let (requests, answer) = tokio::join!(serve(listener, &[None, OK]), client.send(write));
        assert_eq!(answer.unwrap()["revision"], 7);
        assert_eq!(idempotency_key(&requests[0]).len(), 36);
        assert_eq!(idempotency_key(&requests[0]), idempotency_key(&requests[1]));
        assert!(requests[1].contains("authorization: bearer secret"));
    }

    #[tokio::test]
    async fn a_write_without_a_key_is_never_sent_twice() {
        let (listener, client) = server().await;
        let write = Request::new(Method::DELETE, &["v1", "x"]);
        let (_, answer) = tokio::join!(serve(listener, &[None]), client.send(write));
        assert!(matches!(answer, Err(Failure::Lost { .. })), "{answer:?}");
    }

    #[tokio::test]
    async fn an_address_where_nobody_listens_is_said_at_once() {
        let (listener, client) = server().await;
        drop(listener);
        let write = Request::new(Method::POST, &["v1", "apply"]).idempotent();
        let message = client.send(write).await.unwrap_err().to_string();
        assert!(message.contains(&client.server().to_string()), "{message}");
        assert!(message.contains("Connection refused"), "{message}");
        assert!(message.contains("sluice dev"), "{message}");
    }

    #[tokio::test]
    async fn a_refused_token_is_said_to_be_the_reason() {
        let (listener, client) = server().await;
        let unauthorized = [Some("401 Unauthorized\r\ncontent-length: 0\r\n\r\n")];
        let read = client.send(Request::get(&["v1", "fleet"]));
        let (_, answer) = tokio::join!(serve(listener, &unauthorized), read);
        let message = answer.unwrap_err().to_string();
        assert!(message.contains("SLUICE_TOKEN"), "{message}");
        assert!(!message.contains("secret"), "{message}");
    }

    #[tokio::test]
    async fn lines_are_handed_over_one_by_one_and_an_answer_that_breaks_off_is_an_error() {
        let (listener, client) = server().await;
        let whole = [Some(
            "200 OK\r\nx-a: 1\r\ncontent-length: 15\r\nconnection: close\r\n\r\n{\"a\":1}\n{\"a\":2}",
        )];
        let mut taken = Vec::new();
        let take = |line: Value| {
            taken.push(line["a"].clone());
            Ok(())
        };
        let (_, headers) = tokio::join!(serve(listener, &whole), client.lines(Request::get(&["x"]), take));
        assert_eq!(headers.unwrap()["x-a"], "1");
        assert_eq!(taken, [1, 2]);

        let (listener, client) = server().await;
        let broken = [Some(
            "200 OK\r\ncontent-length: 99\r\nconnection: close\r\n\r\n{\"a\":1}\n",
        )];
        let read = client.lines(Request::get(&["x"]), |_| Ok(()));
        let (_, answer) = tokio::join!(serve(listener, &broken), read);
        assert!(matches!(answer, Err(Failure::Lost { .. })), "{answer:?}");
    }
}
