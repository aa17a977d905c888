//! A backend as requests meet it: how it is configured, where it listens, how its endpoints fare.

use std::{net::SocketAddr, sync::Arc};

use sluice_model::{Backend, Endpoint};

use crate::{choose::Cumulative, health::Health};

/// A backend with its endpoints. Built once per change of either; endpoints are carried over.
#[derive(Debug)]
pub struct BackendState {
    /// As it was sent.
    pub backend: Backend,
    /// In the order sent.
    pub endpoints: Vec<Arc<EndpointState>>,
    /// Their weights, in the same order.
    pub(crate) weights: Cumulative,
}

/// One endpoint of a backend.
#[derive(Debug)]
pub struct EndpointState {
    /// Unique in this process; stays with the address as long as that stays in its backend.
    pub uid: u64,
    /// Where it listens.
    pub address: SocketAddr,
    /// Relative weight; 0 gets nothing.
    pub weight: u32,
    /// How it fares. Shared by all that stand for the endpoint, as its weight may change.
    pub health: Arc<Health>,
}

impl BackendState {
    /// The backend with these endpoints.
    pub fn new(backend: Backend, endpoints: Vec<Arc<EndpointState>>) -> Self {
        let weights = Cumulative::new(endpoints.iter().map(|endpoint| endpoint.weight));
        Self {
            backend,
            endpoints,
            weights,
        }
    }
}

impl EndpointState {
    /// An endpoint seen for the first time; `uid` must not have been used before.
    pub fn new(uid: u64, endpoint: Endpoint) -> Self {
        Self {
            uid,
            address: endpoint.address,
            weight: endpoint.weight,
            health: Arc::default(),
        }
    }

    /// The same endpoint with another weight: identity and health stay.
    pub fn reweighted(&self, weight: u32) -> Self {
        Self {
            uid: self.uid,
            address: self.address,
            weight,
            health: Arc::clone(&self.health),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::net::Ipv4Addr;

    use sluice_model::{DEFAULT_CONNECT_TIMEOUT, Key, Outlier, Protocol};

    use super::*;

    /// A backend with an endpoint of each of `weights`.
    pub(crate) fn backend(weights: &[u32]) -> BackendState {
        let backend = Backend {
            key: Key::parse("backend/default/shop").unwrap(),
            protocol: Protocol::Http,
            connect_timeout: DEFAULT_CONNECT_TIMEOUT,
            outlier: Outlier::default(),
            tls: None,
        };
        let endpoint = |(port, weight): (u16, &u32)| {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            Arc::new(EndpointState::new(
                u64::from(port),
                Endpoint {
                    address,
                    weight: *weight,
                },
            ))
        };
        BackendState::new(backend, (1..).zip(weights).map(endpoint).collect())
    }

    #[test]
    fn an_endpoint_with_another_weight_is_the_same_endpoint() {
        let before = backend(&[1, 1]);
        let after = before.endpoints[0].reweighted(5);
        assert_eq!(
            (after.uid, after.address, after.weight),
            (1, before.endpoints[0].address, 5)
        );
        assert!(Arc::ptr_eq(&after.health, &before.endpoints[0].health));
    }
}
