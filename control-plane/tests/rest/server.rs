//! A control plane in memory, and requests to its router.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, Method, Request};
use http_body_util::BodyExt as _;
use serde_json::Value;
use sluice_control::fleet::{Ends, Fleet, FleetService};
use sluice_control::live::Live;
use sluice_control::store::{KeyRing, Replica, Scope, Store, Token, TokenHash, UnixMillis};
use sluice_control::trust::{self, Trust};
use sluice_control::{CERTIFICATE_LIFETIME, MAX_STREAMS, TICKET_ROTATION, discovery, rest};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

/// The secret of the one token that there is.
pub(crate) const SECRET: &str = "the-secret";

pub(crate) struct Server {
    router: Router,
    pub(crate) store: Store,
    streams: FleetService,
    trust: Trust,
    tasks: TaskTracker,
    _shutdown: DropGuard,
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    /// Null when it is not JSON.
    pub(crate) json: Value,
    pub(crate) text: String,
}

impl Server {
    /// An empty store with one token, named `tester`.
    pub(crate) async fn start() -> Self {
        Self::with_keys(KeyRing::random().unwrap()).await
    }

    /// The same with these envelope keys.
    pub(crate) async fn with_keys(keys: KeyRing) -> Self {
        let store = Store::open(&["sqlite::memory:".to_owned()], keys).await.unwrap();
        let token = Token {
            id: "t0".into(),
            name: "tester".into(),
            hash: TokenHash::of(SECRET),
            created_at: UnixMillis(1),
            expires_at: None,
            revoked_at: None,
            scope: Scope::Everything,
        };
        store.create_token(&token, "test").await.unwrap();
        let (tasks, shutdown) = (TaskTracker::new(), CancellationToken::new());
        let live = Live::start(
            store.clone(),
            TICKET_ROTATION,
            discovery::Config::default(),
            &tasks,
            &shutdown,
        )
        .await
        .unwrap();
        let fleet = Arc::new(Fleet::new(Replica::default()));
        tasks.spawn(
            shutdown
                .clone()
                .run_until_cancelled_owned(live.clone().keep_views(fleet.views())),
        );
        let ends = Ends {
            drain: CancellationToken::new(),
            shutdown: shutdown.clone(),
        };
        let trust = Trust::start(store.clone(), CERTIFICATE_LIFETIME, &tasks, &shutdown)
            .await
            .unwrap();
        let streams = FleetService::new(
            Arc::clone(&fleet),
            &live,
            trust.clone(),
            MAX_STREAMS,
            tasks.clone(),
            ends,
        );
        let router = rest::router(store.clone(), live, fleet, trust.clone(), shutdown.clone());
        Self {
            router,
            store,
            streams,
            trust,
            tasks,
            _shutdown: shutdown.drop_guard(),
        }
    }

    /// Serves streams of proxies; where.
    pub(crate) async fn grpc(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tonic::transport::Server::builder().add_service(self.streams.clone());
        let (trust, until) = (self.trust.clone(), CancellationToken::new());
        let incoming = trust::incoming(listener, address, trust, &self.tasks, until);
        tokio::spawn(server.serve_with_incoming(incoming));
        format!("http://{address}")
    }

    /// Sends a request as it is.
    pub(crate) async fn raw(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            json: serde_json::from_slice(&bytes).unwrap_or_default(),
            text: String::from_utf8(bytes.into()).unwrap(),
        }
    }

    /// Sends a request with the token, and these headers besides.
    pub(crate) async fn with(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(AUTHORIZATION, format!("Bearer {SECRET}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.raw(request.body(body.into()).unwrap()).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.with(Method::GET, path, &[], Body::empty()).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.with(Method::DELETE, path, &[], Body::empty()).await
    }

    /// Sends a JSON body.
    pub(crate) async fn json(&self, method: Method, path: &str, body: &Value) -> Answer {
        self.with(
            method,
            path,
            &[(CONTENT_TYPE.as_str(), "application/json")],
            body.to_string(),
        )
        .await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.json(Method::POST, path, body).await
    }

    /// Applies manifests, which must be accepted.
    pub(crate) async fn apply(&self, manifests: &[Value]) -> u64 {
        let answer = self.post("/v1/apply", &super::manifests::list(manifests)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json["revision"].as_u64().unwrap()
    }
}

impl Answer {
    /// The violations as `resource field code`.
    pub(crate) fn violations(&self) -> Vec<String> {
        assert_eq!(self.headers[CONTENT_TYPE], "application/problem+json", "{self:?}");
        assert_eq!(self.json["status"], self.status, "{self:?}");
        let text = |violation: &Value, name: &str| violation[name].as_str().unwrap().to_owned();
        let line = |violation: &Value| {
            [
                text(violation, "resource"),
                text(violation, "field"),
                text(violation, "code"),
            ]
            .join(" ")
        };
        self.json["violations"]
            .as_array()
            .into_iter()
            .flatten()
            .map(line)
            .collect()
    }

    /// The detail of a problem with this status.
    pub(crate) fn problem(&self, status: u16) -> &str {
        assert_eq!(self.status, status, "{self:?}");
        self.violations();
        self.json["detail"].as_str().unwrap()
    }

    /// What happened to each resource: `name action`.
    pub(crate) fn changes(&self) -> Vec<String> {
        assert!(self.status < 300, "{self:?}");
        let changes = self.json["changes"].as_array().unwrap().iter();
        changes
            .map(|change| {
                format!(
                    "{} {}",
                    change["name"].as_str().unwrap(),
                    change["action"].as_str().unwrap()
                )
            })
            .collect()
    }
}
