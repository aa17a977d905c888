//! `/ready /live /metrics /config`: what operators and their tools look at.

use std::{convert::Infallible, rc::Rc, time::Duration};

use bytes::Bytes;
use http::{
    HeaderValue, Method, Request, Response, StatusCode,
    header::{ALLOW, CONTENT_TYPE},
};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Serialize;
use serde_json::json;
use sluice_model::Violation;
use tokio::{
    net::TcpListener,
    sync::{Semaphore, watch},
    task::spawn_local,
    time::sleep,
};

use super::collect::{Collector, Sums};
use crate::{
    clock::Clock,
    identity::Credentials,
    live::Live,
    status::Status,
    telemetry::{Facts, render},
};

/// Connections at a time.
const CONNECTIONS: usize = 64;
/// Time for a request's head, and without a request.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(50);

pub(super) struct Admin {
    pub(super) id: String,
    pub(super) workers: usize,
    pub(super) clock: Clock,
    /// Bytes of memory past which requests are refused.
    pub(super) ceiling: u64,
    pub(super) live: Live,
    pub(super) sums: Sums,
    pub(super) collector: Collector,
    pub(super) credentials: Credentials,
    pub(super) status: watch::Receiver<Status>,
}

/// Serves until the proxy stops.
pub(super) async fn serve(listener: TcpListener, admin: Rc<Admin>) {
    let room = Rc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(permit) = Rc::new(&room).acquire().await else {
            return;
        };
        permit.forget();
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "cannot accept on the admin endpoint");
                room.add_permits(1);
                sleep(PAUSE).await;
                continue;
            }
        };
        let (admin, room) = (Rc::clone(&admin), Rc::clone(&room));
        spawn_local(async move {
            let service = service_fn(|request| {
                let admin = Rc::clone(&admin);
                async move { Ok::<_, Infallible>(admin.answer(request).await) }
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(PATIENCE)
                .serve_connection(TokioIo::new(stream), service);
            // What goes wrong is the client's to notice.
            let _ = connection.await;
            room.add_permits(1);
        });
    }
}

impl Admin {
    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n");
            response
                .headers_mut()
                .insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return response;
        }
        match request.uri().path() {
            "/live" => text(StatusCode::OK, "live\n"),
            "/ready" => self.ready(),
            "/config" => self.config(),
            "/metrics" => self.metrics().await,
            _ => text(StatusCode::NOT_FOUND, "/ready /live /metrics /config\n"),
        }
    }

    fn ready(&self) -> Response<Full<Bytes>> {
        let status = self.status.borrow();
        match (status.is_ready(), status.draining) {
            (true, _) => text(StatusCode::OK, "ready\n"),
            (false, true) => text(StatusCode::SERVICE_UNAVAILABLE, "draining\n"),
            (false, false) => text(
                StatusCode::SERVICE_UNAVAILABLE,
                "no complete snapshot is live and bound\n",
            ),
        }
    }

    fn config(&self) -> Response<Full<Bytes>> {
        let status = self.status.borrow();
        let listeners: Vec<_> = status.listeners.iter().map(Listener::new).collect();
        let body = json!({
            "id": self.id,
            "version": env!("CARGO_PKG_VERSION"),
            "workers": self.workers,
            "ready": status.is_ready(),
            "draining": status.draining,
            "history": status.history.to_string(),
            "revision": status.position.revision,
            "configDigest": status.position.config.to_string(),
            "runtimeDigest": status.position.runtime.to_string(),
            "resources": self.live.current().resources().len(),
            "buildUs": status.build_us,
            "listeners": listeners,
            "waiting": &*status.waiting as &[Violation],
            "connected": status.control.is_some(),
            "control": status.control.as_ref().map(|link| &link.address),
            "certificateExpiresAtMs": self.credentials.not_after().map(|end| end.as_millis()),
        });
        typed(StatusCode::OK, "application/json", format!("{body}\n"))
    }

    async fn metrics(&self) -> Response<Full<Bytes>> {
        self.collector.refresh().await;
        let snapshot = self.live.current();
        let body = {
            let status = self.status.borrow();
            let facts = Facts {
                snapshot: &snapshot,
                now: self.clock.now(),
                build_us: status.build_us,
                connected: status.control.is_some(),
                ready: status.is_ready(),
                ceiling: self.ceiling,
                certificate: self.credentials.not_after(),
            };
            render(&self.sums.borrow(), &facts)
        };
        typed(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", body)
    }
}

#[derive(Serialize)]
struct Listener<'a> {
    listener: &'a str,
    gateway: &'a str,
    name: &'a str,
    address: String,
}

impl<'a> Listener<'a> {
    fn new(bound: &'a crate::status::BoundListener) -> Self {
        Self {
            listener: bound.listener.as_str(),
            gateway: bound.listener.owner(),
            name: bound.listener.segment(2),
            address: bound.address.to_string(),
        }
    }
}

fn text(status: StatusCode, body: &'static str) -> Response<Full<Bytes>> {
    typed(status, "text/plain; charset=utf-8", body)
}

fn typed(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let value = HeaderValue::from_static(content_type);
    response.headers_mut().insert(CONTENT_TYPE, value);
    response
}
