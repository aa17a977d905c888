//! What is known of a request when its answer has ended: compact, and free of the worker's state.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use http::{Method, Version};
use sluice_model::Key;

use crate::{request::Reason, telemetry::RouteLabel};

/// One request.
#[derive(Debug)]
pub(crate) struct Record {
    /// When its head was there.
    pub(crate) started: Instant,
    /// Revision of the snapshot that answered it.
    pub(crate) revision: u64,
    pub(crate) route: Arc<RouteLabel>,
    /// Where it was sent, if it was.
    pub(crate) endpoint: Option<Arc<EndpointLabel>>,
    pub(crate) target: Target,
    /// What the client got; 499 when it left before.
    pub(crate) status: u16,
    pub(crate) times: Times,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    pub(crate) reason: Option<Reason>,
    /// Sent on a kept upstream connection.
    pub(crate) reused: bool,
    /// Sent twice.
    pub(crate) retried: bool,
    /// Became another protocol.
    pub(crate) upgraded: bool,
    pub(crate) client: SocketAddr,
    /// The port that the Gateway names, whichever one is bound for it.
    pub(crate) port: u16,
    /// Came over TLS.
    pub(crate) secured: bool,
}

/// What was asked for, as the client wrote it.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) method: Method,
    pub(crate) host: Box<str>,
    pub(crate) path: Box<str>,
    pub(crate) version: Version,
}

/// How long things took.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Times {
    /// To the end of the answer.
    pub(crate) total: Duration,
    /// To connect upstream; absent on a kept connection.
    pub(crate) connect: Option<Duration>,
    /// To the head of the upstream's answer.
    pub(crate) first_byte: Option<Duration>,
}

/// Name of an endpoint, shared by all records of one worker.
#[derive(Debug)]
pub(crate) struct EndpointLabel {
    pub(crate) backend: Key,
    pub(crate) address: SocketAddr,
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A request that went well on a kept connection.
    pub(in crate::access_log) fn record() -> Record {
        Record {
            started: Instant::now(),
            revision: 42,
            route: Arc::new(RouteLabel {
                rule: Some(Key::parse("rule/default/shop/0").unwrap()),
                variant: Some("blue".into()),
            }),
            endpoint: Some(Arc::new(EndpointLabel {
                backend: Key::parse("backend/default/catalog").unwrap(),
                address: "10.0.0.1:8080".parse().unwrap(),
            })),
            target: Target {
                method: Method::GET,
                host: "shop.example.com".into(),
                path: "/items?id=1".into(),
                version: Version::HTTP_11,
            },
            status: 200,
            times: Times {
                total: Duration::from_micros(1500),
                connect: None,
                first_byte: Some(Duration::from_micros(1000)),
            },
            bytes_in: 0,
            bytes_out: 122,
            reason: None,
            reused: true,
            retried: false,
            upgraded: false,
            client: "192.0.2.7:50000".parse().unwrap(),
            port: 443,
            secured: true,
        }
    }
}
