//! How many connections a port has, of all workers together.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use sluice_model::Limits;

/// Connections of one port. Touched when one comes or goes, and by no request.
#[derive(Debug, Default)]
pub(crate) struct Load {
    connections: AtomicU64,
    /// By client; only those of ports that count them.
    clients: Mutex<HashMap<IpAddr, u32>>,
}

/// One connection's place; given back when dropped.
#[derive(Debug)]
pub(super) struct Seat {
    load: Arc<Load>,
    client: Option<IpAddr>,
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    Port,
    Client,
}

impl Load {
    /// A place for a connection of `client`.
    pub(super) fn seat(self: &Arc<Self>, client: IpAddr, limits: &Limits) -> Result<Seat, Full> {
        let mut seat = Seat {
            load: Arc::clone(self),
            client: None,
        };
        // Counted before it is judged, and given back by the seat: two that come at the same time
        // never both get the last place.
        if self.connections.fetch_add(1, Ordering::Relaxed) >= limits.connections {
            return Err(Full::Port);
        }
        if limits.connections_per_client != u32::MAX {
            let client = client.to_canonical();
            let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
            let held = clients.entry(client).or_default();
            if *held >= limits.connections_per_client {
                return Err(Full::Client);
            }
            *held += 1;
            seat.client = Some(client);
        }
        Ok(seat)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.load.connections.fetch_sub(1, Ordering::Relaxed);
        if let Some(client) = self.client {
            let mut clients = self.load.clients.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(held) = clients.get_mut(&client) {
                *held -= 1;
                if *held == 0 {
                    clients.remove(&client);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_bounded_by_port_and_by_client_and_come_back() {
        let load = Arc::new(Load::default());
        let limits = Limits {
            connections: 3,
            connections_per_client: 2,
            ..Limits::default()
        };
        let (one, other) = (IpAddr::from([127, 0, 0, 1]), IpAddr::from([127, 0, 0, 2]));
        let first = load.seat(one, &limits).unwrap();
        let _second = load.seat(one, &limits).unwrap();
        assert_eq!(load.seat(one, &limits).unwrap_err(), Full::Client);
        let _third = load.seat(other, &limits).unwrap();
        assert_eq!(load.seat(other, &limits).unwrap_err(), Full::Port);
        drop(first);
        assert!(load.seat(one, &limits).is_ok());
        assert_eq!(load.clients.lock().unwrap().len(), 2);
    }
}
