//! How many connections a port and each of its listeners have, of all workers together.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use sluice_core::Snapshot;
use sluice_model::{Key, Limits};

/// Connections of one port or one listener. Touched when one comes or goes, and by no request after
/// a connection's first.
#[derive(Debug, Default)]
pub(crate) struct Load {
    connections: AtomicU64,
    /// By client; only where they are counted.
    clients: Mutex<HashMap<IpAddr, u32>>,
}

/// How many connections there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Room {
    connections: u64,
    /// Of each client; `u32::MAX` is not counted at all.
    per_client: u32,
}

/// One connection's place; given back when dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    load: Arc<Load>,
    client: Option<IpAddr>,
}

/// There is no place, for anybody or for this client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

/// The loads of all listeners of one snapshot. A listener keeps its own from snapshot to snapshot, by
/// its key, whatever else of it or of others changes.
#[derive(Debug, Default)]
pub(crate) struct Loads(HashMap<Key, Arc<Load>>);

impl Room {
    pub(super) const NONE: Self = Self {
        connections: 0,
        per_client: 0,
    };

    /// Of one listener.
    pub(super) fn of(limits: &Limits) -> Self {
        Self {
            connections: limits.connections,
            per_client: limits.connections_per_client,
        }
    }

    /// Of two listeners together.
    #[must_use]
    pub(super) fn with(self, other: Self) -> Self {
        Self {
            connections: self.connections.saturating_add(other.connections),
            per_client: self.per_client.saturating_add(other.per_client),
        }
    }
}

impl Loads {
    /// Those of `snapshot`'s listeners; who is in `before`, too, keeps what it has.
    pub(crate) fn of(snapshot: &Snapshot, before: &Self) -> Self {
        let keys = snapshot.listeners().map(|listener| &listener.key);
        let load = |key: &Key| before.0.get(key).cloned().unwrap_or_default();
        Self(keys.map(|key| (key.clone(), load(key))).collect())
    }

    /// A place at `listener`, which is one of the snapshot's, for a connection of `client`.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn seat(&self, listener: &Key, limits: &Limits, client: IpAddr) -> Result<Option<Seat>, Full> {
        let load = self.0.get(listener);
        load.map(|load| load.seat(client, Room::of(limits))).transpose()
    }
}

impl Load {
    /// A place for a connection of `client`.
    ///
    /// # Errors
    /// When there is none.
    pub(super) fn seat(self: &Arc<Self>, client: IpAddr, room: Room) -> Result<Seat, Full> {
        let mut seat = Seat {
            load: Arc::clone(self),
            client: None,
        };
        // Counted before it is judged, and given back by the seat: two that come at the same time
        // never both get the last place.
        if self.connections.fetch_add(1, Ordering::Relaxed) >= room.connections {
            return Err(Full);
        }
        if room.per_client != u32::MAX {
            let client = client.to_canonical();
            let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
            let held = clients.entry(client).or_default();
            if *held >= room.per_client {
                return Err(Full);
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
    use sluice_model::HistoryId;

    use super::*;
    use crate::testing::snapshot::{Site, apply};

    #[test]
    fn places_are_bounded_in_all_and_by_client_and_come_back() {
        let load = Arc::new(Load::default());
        let room = Room {
            connections: 3,
            per_client: 2,
        };
        let (one, other) = (IpAddr::from([127, 0, 0, 1]), IpAddr::from([127, 0, 0, 2]));
        let first = load.seat(one, room).unwrap();
        let _second = load.seat(one, room).unwrap();
        assert_eq!(load.seat(one, room).unwrap_err(), Full);
        let _third = load.seat(other, room).unwrap();
        assert_eq!(load.seat(other, room).unwrap_err(), Full);
        drop(first);
        assert!(load.seat(one, room).is_ok());
        assert_eq!(load.clients.lock().unwrap().len(), 2);
    }

    #[test]
    fn listeners_have_room_together_and_unlimited_stays_so() {
        let of = |connections, per_client| Room {
            connections,
            per_client,
        };
        let sum = |all: &[Room]| all.iter().fold(Room::NONE, |sum, one| sum.with(*one));
        assert_eq!(sum(&[of(3, 1), of(5, 2)]), of(8, 3));
        assert_eq!(sum(&[of(u64::MAX, u32::MAX), of(5, 2)]), of(u64::MAX, u32::MAX));
    }

    #[test]
    fn a_listener_keeps_its_connections_when_others_come_and_its_own_limits_change() {
        let empty = Snapshot::empty(HistoryId::default());
        let mut site = Site::to(&[]);
        site.limits.connections = 1;
        let before = apply(&empty, &site);
        let loads = Loads::of(&before, &Loads::default());
        let listener = Arc::clone(before.listeners().next().unwrap());
        let client = IpAddr::from([127, 0, 0, 1]);
        let seat = loads.seat(&listener.key, &listener.limits, client).unwrap();
        assert!(seat.is_some());
        site.limits.connections = 2;
        let after = apply(&before, &site);
        let loads = Loads::of(&after, &loads);
        let listener = after.listeners().next().unwrap();
        let another = loads.seat(&listener.key, &listener.limits, client).unwrap();
        assert!(loads.seat(&listener.key, &listener.limits, client).is_err());
        drop((seat, another));
        assert!(loads.seat(&listener.key, &listener.limits, client).is_ok());
    }
}
