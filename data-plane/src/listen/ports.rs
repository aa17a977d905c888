//! The ports that a snapshot's listeners name, and where they are bound.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr, TcpListener},
};

use sluice_core::Snapshot;
use sluice_model::{Code, Key, Violation};

use super::bind::bind;
use crate::config::PortMap;

/// Ports that are bound. Belongs to the control thread.
#[derive(Debug)]
pub(crate) struct Ports {
    ip: IpAddr,
    map: PortMap,
    workers: usize,
    bound: BTreeMap<u16, SocketAddr>,
}

/// A port that was bound just now.
#[derive(Debug)]
pub(crate) struct Bound {
    /// As the Gateway names it.
    pub(crate) port: u16,
    address: SocketAddr,
    /// One for each worker.
    pub(crate) sockets: Vec<TcpListener>,
}

impl Ports {
    pub(crate) fn new(ip: IpAddr, map: PortMap, workers: usize) -> Self {
        Self {
            ip,
            map,
            workers,
            bound: BTreeMap::new(),
        }
    }

    /// Binds what `snapshot` needs beyond what is bound. Nothing changes until [`Ports::keep`].
    ///
    /// # Errors
    /// A violation for every listener whose port cannot be had; then nothing is bound.
    pub(crate) fn bind_new(&self, snapshot: &Snapshot) -> Result<Vec<Bound>, Vec<Violation>> {
        let (mut new, mut violations) = (Vec::new(), Vec::new());
        for port in snapshot.ports().filter(|port| !self.bound.contains_key(port)) {
            let wanted = SocketAddr::new(self.ip, self.map.bound(port));
            match bind(wanted, self.workers) {
                Ok((address, sockets)) => new.push(Bound {
                    port,
                    address,
                    sockets,
                }),
                Err(error) => violations.extend(refusals(snapshot, port, wanted, &error)),
            }
        }
        if violations.is_empty() {
            Ok(new)
        } else {
            Err(violations)
        }
    }

    /// Notes what was bound for `snapshot`; returns the ports that it does not name any more.
    pub(crate) fn keep(&mut self, snapshot: &Snapshot, new: &[Bound]) -> Vec<u16> {
        let named: BTreeSet<u16> = snapshot.ports().collect();
        self.bound
            .extend(new.iter().map(|bound| (bound.port, bound.address)));
        let gone = self.bound.extract_if(.., |port, _| !named.contains(port));
        gone.map(|(port, _)| port).collect()
    }

    /// Where every listener of `snapshot` is bound.
    pub(crate) fn listeners(&self, snapshot: &Snapshot) -> Vec<(Key, SocketAddr)> {
        let bound = snapshot.listeners().filter_map(|listener| {
            let address = self.bound.get(&listener.port)?;
            Some((listener.key.clone(), *address))
        });
        bound.collect()
    }
}

fn refusals(snapshot: &Snapshot, port: u16, wanted: SocketAddr, error: &std::io::Error) -> Vec<Violation> {
    let of_port = snapshot.listeners().filter(|listener| listener.port == port);
    let message = format!("{wanted} cannot be bound on this proxy: {error}");
    of_port
        .map(|listener| Violation::new(listener.key.as_str(), "port", Code::Local, message.clone()))
        .collect()
}
