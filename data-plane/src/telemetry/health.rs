//! Endpoint health as it is reported: all of it first, then what changed.

use std::{collections::HashMap, net::SocketAddr};

use sluice_core::{Millis, Snapshot};
use sluice_model::Key;
use sluice_proto::v1::{EndpointHealth, endpoint_health::State};

/// What was last said about every endpoint.
#[derive(Debug, Default)]
pub(crate) struct HealthReport {
    said: HashMap<(Key, SocketAddr), (State, u64)>,
}

impl HealthReport {
    /// What is to be said about the endpoints of `snapshot`: what differs from what was said last.
    pub(crate) fn changes(&mut self, snapshot: &Snapshot, now: Millis) -> Vec<EndpointHealth> {
        let mut changes = Vec::new();
        let mut said = HashMap::with_capacity(self.said.len());
        for backend in snapshot.backends() {
            for endpoint in &backend.endpoints {
                let state = match endpoint.health.is_ejected(now) {
                    true => State::Ejected,
                    false => State::Healthy,
                };
                let key = (backend.backend.key.clone(), endpoint.address);
                let failures = endpoint.health.failures();
                if self.said.get(&key) != Some(&(state, failures)) {
                    changes.push(EndpointHealth {
                        backend: key.0.as_str().to_owned(),
                        address: endpoint.address.to_string(),
                        state: state.into(),
                        failures,
                    });
                }
                said.insert(key, (state, failures));
            }
        }
        self.said = said;
        changes
    }
}
