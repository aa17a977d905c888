//! Backends and the endpoints behind them.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use sluice_proto::v1;

use crate::{BackendTls, Code, Key, Violation, problems::Problems, target::MAX_WEIGHT};

/// Most endpoints of one backend.
pub const MAX_ENDPOINTS: usize = 10_000;
/// How long a connection may take to be made, unless a backend says otherwise.
pub const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A named upstream service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backend {
    /// `backend/NAMESPACE/NAME`
    pub key: Key,
    /// What it speaks.
    pub protocol: Protocol,
    /// Time for a new connection; [`DEFAULT_CONNECT_TIMEOUT`] unless set.
    pub connect_timeout: Duration,
    /// When an endpoint is taken out for failing; [`Outlier::default`] unless set.
    pub outlier: Outlier,
    /// How connections are protected; `None`: they are plain. Boxed, as few have it.
    pub tls: Option<Box<BackendTls>>,
}

/// What a backend speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// HTTP/1.1
    Http,
    /// HTTP/2: with prior knowledge, or with TLS by ALPN
    H2c,
}

/// Passive health: when an endpoint is ejected, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outlier {
    /// Failures in a row; 0 turns ejection off.
    pub failures: u32,
    /// Times the number of ejections so far.
    pub base_ejection: Duration,
    /// The longest.
    pub max_ejection: Duration,
    /// Of a backend's endpoints, at once; 0 to 100.
    pub max_ejected_percent: u8,
}

impl Default for Outlier {
    fn default() -> Self {
        Self {
            failures: 5,
            base_ejection: Duration::from_secs(30),
            max_ejection: Duration::from_secs(300),
            max_ejected_percent: 50,
        }
    }
}

/// Addresses of a backend: changes without a revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoints {
    /// `endpoints/NAMESPACE/BACKEND`
    pub key: Key,
    /// Addresses, each once.
    pub endpoints: Vec<Endpoint>,
}

/// One address of a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Where it listens.
    pub address: SocketAddr,
    /// Relative weight, 1 to [`MAX_WEIGHT`].
    pub weight: u32,
}

impl Backend {
    pub(crate) fn read(key: &Key, wire: &v1::Backend) -> Result<Self, Vec<Violation>> {
        let mut problems = Problems::of(key);
        let protocol = match wire.protocol() {
            v1::backend::Protocol::Http => Some(Protocol::Http),
            v1::backend::Protocol::H2c => Some(Protocol::H2c),
            v1::backend::Protocol::Unspecified => {
                problems.add(
                    "protocol",
                    Code::Unsupported,
                    "a protocol this proxy does not speak",
                );
                None
            }
        };
        let outlier = wire
            .outlier
            .as_ref()
            .map_or_else(Outlier::default, |wire| Outlier {
                failures: wire.failures,
                base_ejection: Duration::from_millis(wire.base_ejection_ms),
                max_ejection: Duration::from_millis(wire.max_ejection_ms),
                max_ejected_percent: wire.max_ejected_percent.min(100) as u8,
            });
        let connect_timeout = match wire.connect_timeout_ms {
            0 => DEFAULT_CONNECT_TIMEOUT,
            ms => Duration::from_millis(ms),
        };
        let tls = wire
            .tls
            .as_ref()
            .map(|tls| Box::new(BackendTls::read(&mut problems, tls)));
        problems.finish(protocol.map(|protocol| Self {
            key: key.clone(),
            protocol,
            connect_timeout,
            outlier,
            tls,
        }))
    }
}

impl Endpoints {
    pub(crate) fn read(key: &Key, wire: &v1::Endpoints) -> Result<Self, Vec<Violation>> {
        let mut problems = Problems::of(key);
        if wire.endpoints.len() > MAX_ENDPOINTS {
            problems.add(
                "endpoints",
                Code::OutOfRange,
                format!("at most {MAX_ENDPOINTS} endpoints"),
            );
        }
        let mut endpoints = Vec::with_capacity(wire.endpoints.len().min(MAX_ENDPOINTS));
        for (at, one) in wire.endpoints.iter().take(MAX_ENDPOINTS).enumerate() {
            let field = |rest: &str| format!("endpoints[{at}].{rest}");
            let address = problems.keep(|| field("address"), one.address.parse::<IpAddr>());
            let port = u16::try_from(one.port).ok().filter(|port| *port != 0);
            if port.is_none() {
                problems.add(
                    field("port"),
                    Code::OutOfRange,
                    format!("{} is no port", one.port),
                );
            }
            if !(1..=MAX_WEIGHT).contains(&one.weight) {
                problems.add(
                    field("weight"),
                    Code::OutOfRange,
                    format!("a weight is 1 to {MAX_WEIGHT}"),
                );
            }
            if let Some((address, port)) = address.zip(port) {
                endpoints.push(Endpoint {
                    address: SocketAddr::new(address, port),
                    weight: one.weight,
                });
            }
        }
        let mut seen = std::collections::HashSet::new();
        if let Some(twice) = endpoints.iter().find(|one| !seen.insert(one.address)) {
            problems.add(
                "endpoints",
                Code::Duplicate,
                format!("{} is there twice", twice.address),
            );
        }
        problems.finish(Some(Self {
            key: key.clone(),
            endpoints,
        }))
    }
}
