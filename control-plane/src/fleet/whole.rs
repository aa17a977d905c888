//! The whole fleet, whichever replica holds whom.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use tokio::time::Instant;

use super::member::Member;
use super::parts::Unsaid;
use super::peers::Peer;
use super::registry::{Fleet, Known};
use super::status::{FleetSummary, ProxyStatus};
use super::view::{Forget, ProxyDetail, ProxyView};
use crate::live::Published;
use crate::store::{Extent, PeerRow, Replica};

/// One control plane.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReplicaView {
    /// Its id: random, of one process.
    pub id: String,
    /// Whether it is the one that answers.
    pub answering: bool,
    /// Whether it does what only one of them may do.
    pub leader: bool,
    /// Its version.
    pub version: String,
    /// Where REST listens.
    pub admin: String,
    /// Where proxies connect.
    pub grpc: String,
    /// When it started, in milliseconds since 1970.
    pub started_ms: u64,
    /// For how long nothing was heard of it, in milliseconds; 0 of the one that answers.
    pub silent_ms: u64,
    /// Proxies that count and are its own.
    pub proxies: usize,
}

impl ReplicaView {
    fn new(replica: &Replica, proxies: usize) -> Self {
        Self {
            id: replica.id.clone(),
            answering: false,
            leader: false,
            version: replica.version.clone(),
            admin: replica.admin.clone(),
            grpc: replica.grpc.clone(),
            started_ms: replica.started.0,
            silent_ms: 0,
            proxies,
        }
    }
}

impl Fleet {
    /// Every proxy, by id.
    pub fn proxies(&self, published: &Published, now: Instant) -> Vec<ProxyView> {
        self.listed(&ProxyStatus::ALL, published, now).0
    }

    /// The proxies of these statuses, by id, and how many there are of each, over all proxies.
    pub fn listed(
        &self,
        statuses: &[ProxyStatus],
        published: &Published,
        now: Instant,
    ) -> (Vec<ProxyView>, FleetSummary) {
        let mut known = self.lock();
        known.observe(published, now);
        let head = (published.version.history, published.revision());
        let is_listed = |member: &Member| statuses.contains(&ProxyStatus::of(member, head, now));
        let own = known.members.iter().filter(|(_, member)| is_listed(member));
        let mut views: Vec<_> = own
            .map(|(id, member)| known.own(id, &self.replica().id, member, published, now))
            .collect();
        for peer in known.peers.present(now) {
            let listed = peer.visible().filter(|(_, member)| is_listed(member));
            views.extend(listed.map(|(id, member)| known.away(peer, id, member, published, now)));
        }
        let mut summary = FleetSummary::default();
        for (_, of_replica) in known.summaries(&self.replica().id, published, now) {
            summary.add_up(&of_replica);
        }
        drop(known);
        views.sort_by(|a, b| a.id.cmp(&b.id));
        (views, summary)
    }

    /// One proxy, with what it reports; to whom it reports is the replica that holds it, so of the
    /// others' proxies there is nothing.
    pub fn proxy(&self, id: &str, published: &Published, now: Instant) -> Option<ProxyDetail> {
        let mut known = self.lock();
        known.observe(published, now);
        if let Some(member) = known.members.get(id) {
            return Some(ProxyDetail {
                proxy: known.own(id, &self.replica().id, member, published, now),
                telemetry: member.telemetry.view(),
            });
        }
        let mut present = known.peers.present(now);
        let (peer, member) = present.find_map(|peer| Some((peer, peer.get(id)?)))?;
        let proxy = known.away(peer, id, member, published, now);
        Some(ProxyDetail {
            proxy,
            telemetry: Default::default(),
        })
    }

    /// Every replica, this one first; `leader` is the one that leads.
    pub fn replicas(&self, leader: &str, now: Instant) -> Vec<ReplicaView> {
        let known = self.lock();
        let live = known.members.values().filter(|member| member.is_live(now));
        let mut views = vec![ReplicaView {
            answering: true,
            ..ReplicaView::new(self.replica(), live.count())
        }];
        for peer in known.peers.present(now) {
            let live = peer.visible().filter(|(_, member)| member.is_live(now)).count();
            let silence = known.peers.silence(peer, now).as_millis();
            views.push(ReplicaView {
                silent_ms: u64::try_from(silence).unwrap_or(u64::MAX),
                ..ReplicaView::new(&peer.replica, live)
            });
        }
        for view in &mut views {
            view.leader = view.id == leader;
        }
        views
    }

    /// Whether proxies have another replica to go to.
    pub(crate) fn has_company(&self, now: Instant) -> bool {
        let known = self.lock();
        known
            .peers
            .present(now)
            .any(|peer| !known.peers.is_quiet(peer, now))
    }

    /// Once no stream is left here.
    pub(crate) async fn emptied(&self) {
        let mut changed = self.follow();
        while self.has_streams() {
            // The sender is this fleet's own.
            let _ = changed.changed().await;
        }
    }

    /// Takes a proxy off the list. One that is connected is cut off, and may come back.
    pub fn forget(&self, id: &str) -> Forget {
        let mut known = self.lock();
        let forgotten = match known.members.remove(id) {
            Some(member) => {
                member.displace.cancel();
                known.unsaid.roster(id);
                Forget::Done
            }
            None if known.peers.forget(id) => Forget::Elsewhere,
            None => Forget::Unknown,
        };
        drop(known);
        self.announce();
        forgotten
    }

    /// Replicas that will not come back, and the beats that they ended with.
    pub(super) fn dead(&self, now: Instant) -> Vec<(String, u64)> {
        self.lock().peers.dead(now)
    }

    /// How much of each replica was heard.
    pub(super) fn beats(&self) -> BTreeMap<String, u64> {
        self.lock().peers.beats()
    }

    /// Takes in what the store says of the other replicas. Proxies that moved to one of them are its
    /// own now.
    pub(super) fn hear(&self, rows: Vec<PeerRow>, now: Instant) {
        let mut guard = self.lock();
        let known = &mut *guard;
        known.peers.hear(rows, now);
        let Known {
            members,
            peers,
            unsaid,
            timings,
            ..
        } = known;
        for id in peers.settle(&self.replica().id, members, unsaid, now) {
            if let Some(member) = members.remove(&id) {
                member.displace.cancel();
                unsaid.roster(&id);
                tracing::info!(proxy = id, "the proxy is another replica's");
            }
        }
        timings.absorb(peers);
        drop(guard);
        self.announce();
    }

    /// What the others were not told yet, or all of it.
    pub(super) fn unsaid(&self, extent: Extent, now: Instant) -> Vec<(String, Vec<u8>)> {
        let mut known = self.lock();
        let unsaid = std::mem::replace(&mut known.unsaid, Unsaid::NOTHING);
        let unsaid = match extent {
            Extent::Changes => unsaid,
            Extent::Whole => Unsaid::EVERYTHING,
        };
        unsaid.encode(&known.members, &known.timings, now)
    }

    /// Whether there is something that the others were not told.
    pub(super) fn has_news(&self) -> bool {
        self.lock().unsaid != Unsaid::NOTHING
    }
}

impl Known {
    fn own(
        &self,
        id: &str,
        replica: &str,
        member: &Member,
        published: &Published,
        now: Instant,
    ) -> ProxyView {
        ProxyView::of((id, replica), member, published, &self.dates, now)
    }

    /// The view of a proxy that `peer` tells of. The streams of a quiet replica are not taken to stand.
    fn away(&self, peer: &Peer, id: &str, member: &Member, published: &Published, now: Instant) -> ProxyView {
        let view = self.own(id, &peer.replica.id, member, published, now);
        let selectors = published.view_of(id, &member.readable_labels());
        ProxyView {
            connected: view.connected && !self.peers.is_quiet(peer, now),
            view: selectors.selectors().iter().map(ToString::to_string).collect(),
            ..view
        }
    }
}

#[cfg(test)]
mod tests;
