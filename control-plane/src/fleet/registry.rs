//! All proxies of this control plane, in memory: they say anew who they are when it restarts. What they
//! do once they are here is in [`progress`](super::progress), where they start in [`newcomers`](super::newcomers).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sluice_model::{CommitId, CommitSeal, HistoryId, Position};
use sluice_proto::v1;
use sluice_tls::ProxyPeer;
use thiserror::Error;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::claims::{Claims, is_of_another};
use super::dates::Dates;
use super::good::Verdicts;
use super::machine::Admitted;
use super::member::{self, LEASE, Member};
use super::metrics::Traffic;
use super::parts::Unsaid;
use super::peers::Peers;
use super::recounts::Recounts;
use super::refusal::{Lexicon, Refused};
use super::samples::{Samples, asked_kinds};
use super::telemetry::{Rooms, Telemetry};
use super::timing::Timings;
use crate::clock;
use crate::compile::ViewKey;
use crate::live::Published;
use crate::store::Replica;
use crate::trust::{Peer, Standing, Stranger};

/// Proxies that are known at a time, the lost ones included.
const MAX_PROXIES: usize = 50_000;
/// Proxies that may come back in a millisecond: what a control plane on two cores takes in with ease.
const RECONNECTS_PER_MS: usize = 4;
/// For how long the others are told again that a lease ran out.
const JUST: Duration = Duration::from_secs(3);

/// One stream of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct StreamId(u64);

impl StreamId {
    /// The stream of this number, of another process.
    pub(super) fn of(number: u64) -> Self {
        Self(number)
    }

    pub(super) fn number(self) -> u64 {
        self.0
    }

    /// A part of `span` that spreads streams evenly over it (Fibonacci hashing).
    pub(super) fn share_of(self, span: Duration) -> Duration {
        let spread = self.0.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
        span.mul_f64(spread as f64 / 2f64.powi(32))
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A stream whose proxy introduced itself.
#[derive(Debug)]
pub(super) struct Joining {
    pub(super) stream: StreamId,
    /// What the proxy runs.
    pub(super) holds: Option<(HistoryId, Position)>,
    /// What its labels give it.
    pub(super) view: ViewKey,
    pub(super) peer: Peer,
    /// Ends the stream.
    pub(super) displace: CancellationToken,
    /// Has the proxy asked for all of its endpoints.
    pub(super) recount: Arc<Notify>,
    /// Who may have told the proxy what it runs; `None` where nothing is signed.
    pub(super) standing: Option<Arc<Standing>>,
}

/// Why a proxy is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum JoinError {
    /// A name that is empty, too long or not printable, or too many labels or listeners.
    #[error("the Hello is out of bounds: names have at most 253 printable characters")]
    OutOfBounds,
    /// All places are taken by live proxies.
    #[error("the fleet is full")]
    Full,
}

/// The fleet as far as it is connected to this control plane.
#[derive(Debug)]
pub struct Fleet {
    replica: Replica,
    streams: AtomicU64,
    /// Proxies that were late when they were last counted.
    pub(super) late: AtomicUsize,
    known: Mutex<Known>,
    changed: watch::Sender<()>,
    /// The views of proxies that count, but the one of no selector.
    views: watch::Sender<BTreeSet<ViewKey>>,
    samples: Samples,
}

#[derive(Debug)]
pub(super) struct Known {
    pub(super) members: BTreeMap<String, Member>,
    /// The proxy at the other end of each stream.
    pub(super) streams: HashMap<StreamId, String>,
    pub(super) timings: Timings,
    pub(super) dates: Dates,
    pub(super) verdicts: Verdicts,
    /// What was refused, in the words of those who refused.
    pub(super) words: Lexicon,
    /// What the other replicas tell of their proxies.
    pub(super) peers: Peers,
    /// What they were not told yet.
    pub(super) unsaid: Unsaid,
    /// What proxies run that is not known here.
    pub(super) claims: Claims,
    /// Of all proxies together, those that left included: counters never go down.
    pub(super) traffic: Traffic,
    /// What their reports may take.
    pub(super) rooms: Rooms,
    /// Those of whose endpoints some found no room.
    pub(super) recounts: Recounts,
}

impl Fleet {
    /// A fleet without proxies, watched by this control plane.
    pub fn new(replica: Replica) -> Self {
        let changed = watch::Sender::new(());
        Self {
            replica,
            streams: AtomicU64::new(0),
            late: AtomicUsize::new(0),
            known: Mutex::new(Known {
                members: BTreeMap::new(),
                streams: HashMap::new(),
                timings: Timings::default(),
                dates: Dates::default(),
                verdicts: Verdicts::default(),
                words: Lexicon::default(),
                peers: Peers::default(),
                unsaid: Unsaid::EVERYTHING,
                claims: Claims::default(),
                traffic: Traffic::default(),
                rooms: Rooms::default(),
                recounts: Recounts::default(),
            }),
            changed,
            views: watch::Sender::default(),
            samples: Samples::default(),
        }
    }

    /// Requests that its proxies sampled.
    pub fn samples(&self) -> &Samples {
        &self.samples
    }

    /// The control plane whose proxies these are.
    pub(super) fn replica(&self) -> &Replica {
        &self.replica
    }

    /// Over how long the proxies should spread their first attempts when they lose their streams all
    /// at once, in milliseconds.
    pub(super) fn reconnect_spread_ms(&self) -> u32 {
        u32::try_from(self.size() / RECONNECTS_PER_MS).unwrap_or(u32::MAX)
    }

    /// How many kinds of sampled requests a proxy that comes now should tell at a time. One that came when there
    /// were few is not told again: what it says past its share is made fewer here.
    pub(super) fn sample_kinds(&self) -> u32 {
        asked_kinds(self.size())
    }

    /// How many proxies are known here.
    pub(super) fn size(&self) -> usize {
        self.lock().members.len()
    }

    pub(super) fn next_stream(&self) -> StreamId {
        StreamId(self.streams.fetch_add(1, Ordering::Relaxed))
    }

    /// The views that proxies have; those who follow it see to it that there are all of them.
    pub fn views(&self) -> watch::Receiver<BTreeSet<ViewKey>> {
        self.views.subscribe()
    }

    pub(super) fn want(&self, view: ViewKey) {
        let is_some = !view.selectors().is_empty();
        self.views.send_if_modified(|views| is_some && views.insert(view));
    }

    /// Lets go of views that no proxy has any more.
    pub(super) fn forget_views(&self, now: Instant) {
        let mut known = self.lock();
        let live = known.members.values().filter(|member| member.is_live(now));
        let views = live
            .map(|member| &member.view)
            .filter(|view| !view.selectors().is_empty());
        let views: BTreeSet<ViewKey> = views.cloned().collect();
        known
            .verdicts
            .retain(|view| view.selectors().is_empty() || views.contains(view));
        self.views.send_if_modified(|known| {
            let differs = *known != views;
            *known = views;
            differs
        });
    }

    /// A proxy introduced itself, and may be who it says. A process that has the same id as another one takes
    /// its place: the newest wins, and the proxy carries a warning from then on. What the same process
    /// refused on another stream stays parked.
    pub(super) fn join(
        &self,
        hello: &v1::Hello,
        joining: Joining,
        published: &Published,
        now: Instant,
    ) -> Result<Admitted, JoinError> {
        if !member::is_presentable(hello) {
            return Err(JoinError::OutOfBounds);
        }
        let mut known = self.lock();
        known.observe(published, now);
        let before = known.members.remove(&hello.proxy_id);
        if before.is_none() {
            known.make_room(now)?;
        }
        let (stream, view, holds) = (joining.stream, joining.view.clone(), joining.holds);
        let (commit, shown) = (CommitId(hello.commit), CommitSeal(hello.commit_seal));
        let standing = joining.standing.clone();
        let first = match holds {
            None => known.start(&view, published, now),
            Some(_) => None,
        };
        let mut member = Member::new(hello, joining, clock::wall(), now);
        member.telemetry = Telemetry::within(&known.rooms);
        let is_of_another = |(history, position): &mut (HistoryId, Position)| {
            *history == published.version.history && is_of_another((position.revision, commit), published)
        };
        member.holds.take_if(is_of_another);
        if let Some(before) = before {
            before.displace.cancel();
            let held = before.holds;
            member.claim = before.claim;
            if before.instance == member.instance {
                member.resume(before);
                known.timings.moved_within(&member, held, published, now);
            } else {
                member.displaced = before.displaced + u64::from(before.broken.is_none());
            }
        }
        if let Some(elsewhere) = known.peers.take(&hello.proxy_id) {
            member.take_over(elsewhere);
        }
        known.unsaid.roster(&hello.proxy_id);
        if let Some(holds) = holds {
            let is_told = || {
                let (history, what) = (holds.0, (holds.1.revision, commit));
                standing.is_none_or(|standing| standing.has_told(history, what, shown))
            };
            known
                .claims
                .note(&hello.proxy_id, holds, commit, published, is_told);
        }
        let parked = member.refusal.as_ref().and_then(Refused::parked);
        tracing::info!(proxy = hello.proxy_id, %stream, version = hello.version, "proxy connected");
        known.streams.insert(stream, hello.proxy_id.clone());
        known.members.insert(hello.proxy_id.clone(), member);
        self.want(view);
        drop(known);
        self.announce();
        Ok(Admitted { parked, first })
    }

    /// The proxy on `stream` said goodbye: it leaves at once.
    pub(super) fn left(&self, stream: StreamId) {
        let mut known = self.lock();
        let id = known.find(stream).map(|(id, _)| id.to_owned());
        if let Some(id) = id {
            known.members.remove(&id);
            known.unsaid.roster(&id);
            tracing::info!(proxy = id, "proxy said goodbye");
        }
        drop(known);
        self.announce();
    }

    /// The stream is gone. Its proxy counts for the rest of its lease; what it said of its endpoints holds no
    /// longer, and it says all of that anew on its next stream.
    pub(super) fn disconnected(&self, stream: StreamId, now: Instant) {
        let mut known = self.lock();
        if let Some((id, member)) = known.find(stream) {
            member.broken = Some(now);
            member.telemetry.endpoints.clear();
            tracing::info!(proxy = id, "stream of the proxy broke");
            known.unsaid.standing();
        }
        known.streams.remove(&stream);
        known.recounts.remove(stream);
        drop(known);
        self.announce();
    }

    /// Cuts the streams of proxies whose certificates do not `stand` any more; they count no longer.
    pub(super) fn expel(&self, stand: impl Fn(&ProxyPeer) -> Result<(), Stranger>) {
        let mut guard = self.lock();
        let known = &mut *guard;
        let mut is_changed = false;
        known.members.retain(|id, member| {
            let Some(Err(reason)) = member.proxy().map(&stand) else {
                return true;
            };
            tracing::warn!(proxy = id, %reason, "proxy cut off");
            member.displace.cancel();
            known.unsaid.roster(id);
            is_changed = true;
            false
        });
        drop(guard);
        if is_changed {
            self.announce();
        }
    }

    /// Whether there are proxies without a stream, or replicas that say nothing: their leases run out
    /// by themselves, which those who wait have to be told of. What a proxy reported goes with its lease.
    pub(super) fn has_broken(&self, now: Instant) -> bool {
        let mut known = self.lock();
        let (mut broken, mut lost) = (false, false);
        for member in known.members.values_mut() {
            let Some(since) = member.broken else { continue };
            broken = true;
            lost |= (LEASE..LEASE + JUST).contains(&now.saturating_duration_since(since));
            if !member.is_live(now) {
                member.telemetry.clear();
            }
        }
        if lost {
            known.unsaid.standing();
        }
        broken || known.peers.has_silent(now)
    }

    /// Whether a proxy is connected here.
    pub(super) fn has_streams(&self) -> bool {
        !self.lock().streams.is_empty()
    }

    /// Wakes whoever follows what is known.
    pub(super) fn follow(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Wakes those who wait for a receipt.
    pub(super) fn announce(&self) {
        self.changed.send_replace(());
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    pub(super) fn find(&mut self, stream: StreamId) -> Option<(&str, &mut Member)> {
        find(&mut self.members, &self.streams, stream)
    }

    /// Room for one more: whoever is lost for longest goes.
    fn make_room(&mut self, now: Instant) -> Result<(), JoinError> {
        if self.members.len() < MAX_PROXIES {
            return Ok(());
        }
        let lost = self.members.iter().filter(|(_, member)| !member.is_live(now));
        let oldest = lost
            .min_by_key(|(_, member)| member.broken)
            .map(|(id, _)| id.clone());
        let oldest = oldest.ok_or(JoinError::Full)?;
        self.members.remove(&oldest);
        self.unsaid.roster(&oldest);
        Ok(())
    }
}

/// The member on `stream`, unless another stream is its own by now.
pub(super) fn find<'a>(
    members: &'a mut BTreeMap<String, Member>,
    streams: &'a HashMap<StreamId, String>,
    stream: StreamId,
) -> Option<(&'a str, &'a mut Member)> {
    let id = streams.get(&stream)?;
    let member = members.get_mut(id).filter(|member| member.stream == stream)?;
    Some((id, member))
}

#[cfg(test)]
mod tests;
