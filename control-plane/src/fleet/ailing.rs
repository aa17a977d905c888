//! The endpoints with which something is wrong, as one proxy sees them: those that are ejected, or failed
//! requests lately. Of all others nothing is kept.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use sluice_proto::v1::{self, endpoint_health::State};

use super::room::{Room, Share};
use super::telemetry::{EndpointView, MAX_NAME};

/// Endpoints that are kept for one proxy.
const MAX_ENDPOINTS: usize = 10_000;
/// Bytes that one of them takes, about, beside the name of its backend.
const ENTRY: usize = 160;

/// What a proxy said of its endpoints on the stream that it has now. The bytes are those of `share`: an
/// endpoint that finds no room is refused until the proxy has other news of it, or is asked again.
#[derive(Debug)]
pub(super) struct Ailing {
    entries: BTreeMap<(Box<str>, SocketAddr), Fares>,
    share: Share,
    refused: u64,
    lacking: Option<Lacking>,
}

/// What found no room since the proxy was asked last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lacking {
    /// Bytes that the smallest endpoint of these takes.
    pub(super) least: usize,
    /// Bytes that all take at most: of some there was news several times.
    pub(super) all: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Fares {
    state: State,
    failures: u64,
}

impl Ailing {
    /// Nothing yet, of `room`.
    pub(super) fn within(room: &Room) -> Self {
        Self {
            entries: BTreeMap::new(),
            share: room.share(),
            refused: 0,
            lacking: None,
        }
    }

    /// Takes in what is said of endpoints in one report.
    pub(super) fn fold(&mut self, report: &v1::Report) {
        if report.whole {
            self.clear();
        }
        for plain in &report.plain {
            if let Ok(address) = plain.address.parse() {
                self.remove(&plain.backend, address);
            }
        }
        for health in &report.endpoints {
            self.put(health);
        }
    }

    /// The stream is another one now, on which the proxy says all anew.
    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.share.give_back(usize::MAX);
        self.refused = 0;
        self.lacking = None;
    }

    /// What there was no room for.
    pub(super) fn lacking(&self) -> Option<Lacking> {
        self.lacking
    }

    /// The proxy is asked to tell all of it again.
    pub(super) fn ask(&mut self) {
        self.lacking = None;
    }

    /// Bytes that are kept.
    pub(super) fn taken(&self) -> usize {
        self.share.bytes()
    }

    fn put(&mut self, health: &v1::EndpointHealth) {
        let fares = Fares {
            state: health.state(),
            failures: health.failures,
        };
        let Ok(address) = health.address.parse::<SocketAddr>() else {
            return self.refuse();
        };
        // Proxies of 0.1.0 tell of every endpoint that they have.
        if fares.state == State::Healthy && fares.failures == 0 {
            return self.remove(&health.backend, address);
        }
        if let Some(known) = self.entries.get_mut(&(health.backend.as_str().into(), address)) {
            *known = fares;
            return;
        }
        let fits = self.entries.len() < MAX_ENDPOINTS && health.backend.len() <= MAX_NAME;
        if !fits {
            return self.refuse();
        }
        let bytes = bytes(&health.backend);
        if !self.share.take(bytes) {
            let Lacking { least, all } = self.lacking.unwrap_or(Lacking { least: bytes, all: 0 });
            self.lacking = Some(Lacking {
                least: least.min(bytes),
                all: all.saturating_add(bytes),
            });
            return self.refuse();
        }
        self.entries
            .insert((health.backend.as_str().into(), address), fares);
    }

    fn remove(&mut self, backend: &str, address: SocketAddr) {
        if self.entries.remove(&(backend.into(), address)).is_some() {
            self.share.give_back(bytes(backend));
        }
    }

    fn refuse(&mut self) {
        self.refused += 1;
        self.share.refuse();
    }

    /// News of endpoints that were not kept on this stream.
    pub(super) fn refused(&self) -> u64 {
        self.refused
    }

    /// How many are ejected, and how many there are at all.
    pub(super) fn counts(&self) -> (usize, usize) {
        let ejected = self.entries.values();
        let ejected = ejected.filter(|fares| fares.state == State::Ejected);
        (ejected.count(), self.entries.len())
    }

    pub(super) fn view(&self) -> Vec<EndpointView> {
        let view = |((backend, address), fares): (&(Box<str>, SocketAddr), &Fares)| EndpointView {
            backend: backend.to_string(),
            address: address.to_string(),
            state: match fares.state {
                State::Healthy => "healthy",
                State::Ejected => "ejected",
                State::Unspecified => "unknown",
            },
            failures: fares.failures,
        };
        self.entries.iter().map(view).collect()
    }
}

/// What an endpoint of this backend takes.
fn bytes(backend: &str) -> usize {
    ENTRY + backend.len()
}

#[cfg(test)]
mod tests;
