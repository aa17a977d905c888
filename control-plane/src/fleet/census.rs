//! The fleet in numbers.

use std::collections::BTreeMap;

use tokio::time::Instant;

use super::member::Member;
use super::metrics::Traffic;
use super::registry::{Fleet, Known};
use super::status::{FleetSummary, ProxyStatus};
use super::telemetry::Rooms;
use crate::live::Published;

/// The fleet in numbers.
#[derive(Debug, Default)]
pub(super) struct Census {
    /// Where the proxies of each replica are, by the replica's id.
    pub(super) replicas: BTreeMap<String, FleetSummary>,
    /// Endpoints with which something is wrong, once for each proxy of this replica that says so.
    pub(super) ailing: usize,
    /// Those that are ejected.
    pub(super) ejected: usize,
    /// What the reports of this replica's proxies take.
    pub(super) rooms: Rooms,
    /// Since this process started.
    pub(super) traffic: Traffic,
}

impl Fleet {
    /// The fleet in numbers.
    pub(super) fn census(&self, published: &Published, now: Instant) -> Census {
        let mut known = self.lock();
        known.observe(published, now);
        let mut census = Census {
            replicas: known.summaries(&self.replica().id, published, now),
            traffic: known.traffic.clone(),
            rooms: known.rooms.clone(),
            ..Census::default()
        };
        for member in known.members.values() {
            let (ejected, ailing) = member.telemetry.endpoints.counts();
            census.ejected += ejected;
            census.ailing += ailing;
        }
        census
    }
}

impl Known {
    /// Where the proxies of each replica that counts are; `own` is the id of this one.
    pub(super) fn summaries(
        &self,
        own: &str,
        published: &Published,
        now: Instant,
    ) -> BTreeMap<String, FleetSummary> {
        let mut replicas = BTreeMap::new();
        let members = self.members.values();
        replicas.insert(own.to_owned(), self.summary(members, false, published, now));
        for peer in self.peers.present(now) {
            let members = peer.visible().map(|(_, member)| member);
            let quiet = self.peers.is_quiet(peer, now);
            replicas.insert(
                peer.replica.id.clone(),
                self.summary(members, quiet, published, now),
            );
        }
        replicas
    }

    /// The streams of a `quiet` replica are not taken to stand.
    fn summary<'a>(
        &self,
        members: impl Iterator<Item = &'a Member>,
        quiet: bool,
        published: &Published,
        now: Instant,
    ) -> FleetSummary {
        let head = (published.version.history, published.revision());
        let mut summary = FleetSummary::default();
        for member in members {
            let status = ProxyStatus::of(member, head, now);
            let connected = member.broken.is_none() && !quiet;
            summary.count(status, connected, self.dates.behind_since(head, member));
        }
        summary
    }
}
