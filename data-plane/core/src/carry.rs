//! What outlives a swap: the numbers and the health of endpoints that stay.

use std::{collections::HashMap, net::SocketAddr, sync::Arc};

use sluice_model::{Backend, Endpoint, Endpoints};

use crate::backend::{BackendState, EndpointState};

/// Numbers that are given out once.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Uids(u64);

impl Uids {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 += 1;
        self.0
    }
}

/// `backend` with `endpoints`. An address that `old` had keeps its number and what is known of it.
pub(crate) fn succeed(
    backend: Backend,
    endpoints: Option<&Endpoints>,
    old: Option<&BackendState>,
    uids: &mut Uids,
) -> BackendState {
    let known: HashMap<SocketAddr, &Arc<EndpointState>> = old
        .into_iter()
        .flat_map(|old| &old.endpoints)
        .map(|known| (known.address, known))
        .collect();
    let mut carry = |wanted: &Endpoint| match known.get(&wanted.address) {
        Some(known) if known.weight == wanted.weight => Arc::clone(known),
        Some(known) => Arc::new(known.reweighted(wanted.weight)),
        None => Arc::new(EndpointState::new(uids.next(), *wanted)),
    };
    let wanted = endpoints.into_iter().flat_map(|endpoints| &endpoints.endpoints);
    let endpoints = wanted.map(&mut carry).collect();
    BackendState::new(backend, endpoints)
}
