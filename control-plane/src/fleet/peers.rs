//! The proxies of the other replicas, as those tell of them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use prost::Message as _;
use sketches_ddsketch::DDSketch;
use sluice_core::position_from_wire;
use sluice_model::{HistoryId, Position, Revision};
use sluice_proto::v1;
use sluice_tls::{KeyHash, ProxyPeer};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::member::{LEASE, Member};
use super::parts::{ROSTER, STANDING, Unsaid};
use super::refusal::{Refused, refusals};
use super::registry::{Joining, StreamId};
use crate::compile::ViewKey;
use crate::live::Published;
use crate::store::{PeerRow, Replica, UnixMillis};
use crate::trust;

/// How often each replica says that it is there.
pub(super) const BEAT: Duration = Duration::from_secs(2);
/// A replica that has missed more than two beats is not taken to hold streams.
const QUIET: Duration = Duration::from_secs(6);
/// One that was silent for this long is taken off the list. If it was only slow it says everything anew.
const DEAD: Duration = Duration::from_secs(60);
/// A replica that is found for the first time has this long to say something, however old its row is:
/// the store may have been away for all of them.
const BENEFIT: Duration = Duration::from_secs(4);

/// All other replicas.
#[derive(Debug, Default)]
pub(super) struct Peers {
    replicas: BTreeMap<String, Peer>,
    /// When the store was heard last. While it does not answer, nobody's silence says anything.
    answered: Option<Instant>,
    /// What was published when [`Peers::news`] was asked for, unless there is news since.
    asked: Option<(u64, HistoryId, Revision)>,
}

/// One other replica.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) replica: Replica,
    pub(super) beat: u64,
    /// When it was heard last.
    heard: Instant,
    members: BTreeMap<String, Away>,
    timed: Option<Times>,
}

/// How fast revisions of one history reached the proxies of one replica.
struct Times {
    history: HistoryId,
    revisions: Vec<(Revision, DDSketch)>,
}

impl fmt::Debug for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Times").finish_non_exhaustive()
    }
}

/// A proxy of another replica.
#[derive(Debug)]
pub(super) struct Away {
    pub(super) member: Member,
    roster: String,
    /// Another replica, or this one, has it.
    shadowed: bool,
    /// The publication's membership when its view was looked up.
    viewed: Option<u64>,
}

/// What decides which replica has a proxy that several know: whether its stream stands, then who
/// claimed it last, and between two that did so at once anything that all see alike.
type Claim<'a> = (bool, u64, &'a str);

impl Peer {
    /// Its proxies that no other replica has, by id.
    pub(super) fn visible(&self) -> impl Iterator<Item = (&String, &Member)> {
        let visible = self.members.iter().filter(|(_, away)| !away.shadowed);
        visible.map(|(id, away)| (id, &away.member))
    }

    /// The proxy of this id, if it is this replica's.
    pub(super) fn get(&self, id: &str) -> Option<&Member> {
        let away = self.members.get(id).filter(|away| !away.shadowed);
        away.map(|away| &away.member)
    }

    fn tell(&mut self, parts: Vec<(String, Vec<u8>)>, now: Instant) {
        let mut standing = None;
        for (name, body) in parts {
            let read = match name.as_str() {
                STANDING => v1::Standing::decode(&*body).map(|told| standing = Some(told)),
                // A part that is newer than this build is passed over.
                roster if !roster.starts_with(ROSTER) => Ok(()),
                roster => v1::Roster::decode(&*body).map(|told| self.enroll(roster, told, now)),
            };
            if let Err(error) = read {
                tracing::error!(replica = self.replica.id, part = name, %error, "what a replica says does not read");
            }
        }
        if let Some(standing) = standing {
            self.stand(standing, now);
        }
    }

    fn enroll(&mut self, roster: &str, told: v1::Roster, now: Instant) {
        let mut before: BTreeMap<_, _> = self
            .members
            .extract_if(.., |_, away| away.roster == roster)
            .collect();
        for registered in told.proxies {
            let Some(hello) = registered.hello else { continue };
            let since = UnixMillis(registered.since_ms);
            // Its view is looked up when it is asked for, and its stream is not this process's to end.
            let joining = Joining {
                stream: StreamId::of(registered.stream),
                holds: None,
                view: ViewKey::default(),
                peer: peer(&hello.proxy_id, &registered.key),
                displace: CancellationToken::new(),
                recount: Arc::default(),
                standing: None,
            };
            let mut member = Member::new(&hello, joining, since, now);
            member.claim = registered.claim;
            member.displaced = registered.displaced;
            member.warnings = registered.warnings;
            if let Some(before) = before.remove(&hello.proxy_id)
                && before.member.instance == member.instance
            {
                member.joined = before.member.joined;
            }
            let away = Away {
                member,
                roster: roster.to_owned(),
                shadowed: false,
                viewed: None,
            };
            self.members.insert(hello.proxy_id, away);
        }
    }

    fn stand(&mut self, told: v1::Standing, now: Instant) {
        let mut holds: HashMap<u64, (HistoryId, Position, u64)> = HashMap::new();
        for holding in told.holdings {
            let place = HistoryId::try_from(&*holding.history).ok();
            let position = holding.position.as_ref().and_then(position_from_wire);
            let (Some(history), Some(position)) = (place, position) else {
                continue;
            };
            let mut stream = 0u64;
            for (distance, build_us) in holding.streams.iter().zip(holding.build_us) {
                stream = stream.saturating_add(*distance);
                holds.insert(stream, (history, position, build_us));
            }
        }
        let refused: HashMap<u64, Refused> = told.refused.iter().flat_map(refusals).collect();
        let (mut leased, mut lost) = (told.leased, told.lost);
        leased.sort_unstable();
        lost.sort_unstable();
        for away in self.members.values_mut() {
            let member = &mut away.member;
            let stream = member.stream.number();
            let held = holds.get(&stream);
            member.holds = held.map(|(history, position, _)| (*history, *position));
            member.build_us = held.map_or(0, |(.., build_us)| *build_us);
            member.refusal = refused.get(&stream).cloned();
            member.broken = match (lost.binary_search(&stream), leased.binary_search(&stream)) {
                (Ok(_), _) => Some(now.checked_sub(LEASE).unwrap_or(now)),
                (_, Ok(_)) => member.broken.or(Some(now)),
                _ => None,
            };
        }
        let sketch = |timed: v1::Timed| {
            let sketch = DDSketch::from_java_bytes(&timed.sketch).ok()?;
            Some((Revision(timed.revision), sketch))
        };
        let history = HistoryId::try_from(&*told.history).ok();
        self.timed = history.map(|history| Times {
            history,
            revisions: told.timed.into_iter().filter_map(sketch).collect(),
        });
    }
}

/// Who the replica found the proxy to be.
fn peer(id: &str, key: &[u8]) -> trust::Peer {
    match key.try_into() {
        Ok(key) => trust::Peer::Proxy(ProxyPeer {
            id: id.to_owned(),
            key: KeyHash(key),
        }),
        Err(_) => trust::Peer::Local,
    }
}

impl Peers {
    /// What is known of each, so that only the rest is asked for.
    pub(super) fn beats(&self) -> BTreeMap<String, u64> {
        let replicas = self.replicas.iter();
        replicas.map(|(id, peer)| (id.clone(), peer.beat)).collect()
    }

    /// Takes in what the store says of all of them.
    pub(super) fn hear(&mut self, rows: Vec<PeerRow>, now: Instant) {
        let away = self.answered.replace(now).map_or(Duration::ZERO, |last| {
            now.saturating_duration_since(last).saturating_sub(2 * BEAT)
        });
        let known = std::mem::take(&mut self.replicas);
        let mut known: BTreeMap<_, _> = known.into_iter().collect();
        for row in rows {
            let id = row.replica.id.clone();
            let mut peer = known.remove(&id).unwrap_or_else(|| {
                let silent = Duration::from_millis(row.silent_ms).min(LEASE - BENEFIT);
                Peer {
                    heard: now.checked_sub(silent).unwrap_or(now),
                    beat: row.beat,
                    replica: row.replica.clone(),
                    members: BTreeMap::new(),
                    timed: None,
                }
            });
            peer.heard = match peer.beat == row.beat {
                true => peer.heard + away,
                false => now,
            };
            (peer.replica, peer.beat) = (row.replica, row.beat);
            if !row.parts.is_empty() {
                self.asked = None;
            }
            peer.tell(row.parts, now);
            self.replicas.insert(id, peer);
        }
    }

    /// Decides anew which replica has which proxy. Returns those of `own` that another one has, and
    /// raises the claims of those that are this one's although somebody claimed them later.
    pub(super) fn settle(
        &mut self,
        own_id: &str,
        own: &mut BTreeMap<String, Member>,
        unsaid: &mut Unsaid,
        now: Instant,
    ) -> BTreeSet<String> {
        let mut strongest: HashMap<&str, (Claim<'_>, &[u8])> = HashMap::new();
        for peer in self.replicas.values() {
            let quiet = self.is_quiet(peer, now);
            for (id, away) in &peer.members {
                let connected = away.member.broken.is_none() && !quiet;
                let claim = (connected, away.member.claim, peer.replica.id.as_str());
                let candidate = (claim, away.member.instance.as_slice());
                let best = strongest.entry(id).or_insert(candidate);
                *best = candidate.max(*best);
            }
        }
        let mut elsewhere = BTreeSet::new();
        for (id, (theirs, instance)) in &strongest {
            let Some(member) = own.get_mut(*id) else { continue };
            let mine = (member.broken.is_none(), member.claim);
            // One process is not in two places: the other replica is about to see its stream end.
            let same = member.instance == *instance && mine == (theirs.0, theirs.1);
            if !same && (mine.0, mine.1, own_id) < *theirs {
                elsewhere.insert((*id).to_owned());
            } else if member.claim <= theirs.1 {
                member.claim = theirs.1 + 1;
                unsaid.roster(id);
            }
        }
        let won: HashMap<String, String> = strongest
            .into_iter()
            .filter(|(id, _)| !own.contains_key(*id) || elsewhere.contains(*id))
            .map(|(id, ((.., replica), _))| (id.to_owned(), replica.to_owned()))
            .collect();
        for peer in self.replicas.values_mut() {
            for (id, away) in &mut peer.members {
                away.shadowed = won.get(id) != Some(&peer.replica.id);
            }
        }
        elsewhere
    }

    /// All proxies that other replicas have, with their views, if anything was told since the last time,
    /// or published.
    pub(super) fn news(&mut self, published: &Published) -> impl Iterator<Item = &Member> {
        let membership = published.membership();
        let now = (membership, published.version.history, published.revision());
        let is_news = self.asked.replace(now) != Some(now);
        let peers = self.replicas.values_mut().filter(move |_| is_news);
        peers.flat_map(move |peer| {
            let visible = peer.members.iter_mut().filter(|(_, away)| !away.shadowed);
            visible.map(move |(id, away)| {
                if away.viewed.replace(membership) != Some(membership) {
                    away.member.view = published.view_of(id, &away.member.readable_labels());
                }
                &away.member
            })
        })
    }

    /// The replicas whose proxies count.
    pub(super) fn present(&self, now: Instant) -> impl Iterator<Item = &Peer> {
        let counts = move |peer: &&Peer| self.silence(peer, now) < LEASE;
        self.replicas.values().filter(counts)
    }

    /// For how long nothing was heard of the replica, although the store answered.
    pub(super) fn silence(&self, peer: &Peer, now: Instant) -> Duration {
        let until = self.answered.map_or(now, |last| now.min(last + 2 * BEAT));
        until.saturating_duration_since(peer.heard)
    }

    /// The proxy that is now claimed here, if another replica has it: what is known of it goes on here.
    pub(super) fn take(&mut self, id: &str) -> Option<&Member> {
        let mut found: Option<(&str, &mut Away)> = None;
        for peer in self.replicas.values_mut() {
            if let Some(away) = peer.members.get_mut(id) {
                away.shadowed = true;
                let stronger = found
                    .as_ref()
                    .is_none_or(|(_, known)| known.member.claim < away.member.claim);
                if stronger {
                    found = Some((&peer.replica.id, away));
                }
            }
        }
        found.map(|(_, away)| &away.member)
    }

    /// Whether another replica has the proxy; if so it is not shown any more until that tells of it anew.
    pub(super) fn forget(&mut self, id: &str) -> bool {
        let removed = self.replicas.values_mut().map(|peer| peer.members.remove(id));
        removed.filter(Option::is_some).count() > 0
    }

    /// The times of `revision` as each replica tells of them.
    pub(super) fn times(&self, history: HistoryId) -> impl Iterator<Item = (&str, Revision, &DDSketch)> {
        let of_history = self.replicas.values().filter_map(move |peer| {
            let timed = peer.timed.as_ref().filter(|timed| timed.history == history)?;
            Some((peer.replica.id.as_str(), &timed.revisions))
        });
        of_history.flat_map(|(id, revisions)| {
            let times = revisions.iter();
            times.map(move |(revision, sketch)| (id, *revision, sketch))
        })
    }

    /// Replicas that will not come back, and the beats that they ended with.
    pub(super) fn dead(&self, now: Instant) -> Vec<(String, u64)> {
        let replicas = self.replicas.iter();
        let dead = replicas.filter(|(_, peer)| self.silence(peer, now) >= DEAD);
        dead.map(|(id, peer)| (id.clone(), peer.beat)).collect()
    }

    /// Whether this replica can be taken to hold the streams that it told of.
    pub(super) fn is_quiet(&self, peer: &Peer, now: Instant) -> bool {
        self.silence(peer, now) >= QUIET
    }

    /// Whether there is a replica whose proxies may stop to count by the passing of time alone.
    pub(super) fn has_silent(&self, now: Instant) -> bool {
        self.replicas.values().any(|peer| self.is_quiet(peer, now))
    }
}
