//! What this replica tells the others of its proxies: as few bytes as what changed, in parts.
//!
//! A [`v1::Roster`] says who the proxies of one bucket are, which changes as they come and go; one
//! [`v1::Standing`] says where all of them are, which changes with every revision. It names proxies by
//! their streams, and places once for all proxies in them, so of 10,000 proxies it is some 10 kB.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};

use prost::Message as _;
use sluice_core::position_to_wire;
use sluice_model::{HistoryId, Position};
use sluice_proto::v1;
use tokio::time::Instant;

use super::member::Member;
use super::refusal::{Groups, Refused};
use super::timing::Timings;
use crate::store::UnixMillis;

/// Rosters: a proxy that comes or goes costs the rewriting of one.
const BUCKETS: usize = 64;
/// Name of the part with the standing.
pub(super) const STANDING: &str = "standing";
/// What the names of rosters begin with.
pub(super) const ROSTER: &str = "roster/";
/// Revisions whose times are told. Those of older ones change only with a proxy that was far behind, and each replica
/// counts its own.
pub(super) const TIMED: usize = 16;
/// Refusals in different words that are told in full.
const MAX_REFUSALS: usize = 100;

/// The parts that are not as they were told last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unsaid {
    rosters: u64,
    standing: bool,
}

impl Unsaid {
    pub(super) const NOTHING: Self = Self {
        rosters: 0,
        standing: false,
    };
    pub(super) const EVERYTHING: Self = Self {
        rosters: u64::MAX,
        standing: true,
    };

    /// The proxy of this id came, went or is another. Its stream is part of where it is.
    pub(super) fn roster(&mut self, id: &str) {
        self.rosters |= 1 << bucket(id);
        self.standing = true;
    }

    /// A proxy moved.
    pub(super) fn standing(&mut self) {
        self.standing = true;
    }

    /// The parts as they are now, for others to read.
    pub(super) fn encode(
        self,
        members: &BTreeMap<String, Member>,
        timings: &Timings,
        now: Instant,
    ) -> Vec<(String, Vec<u8>)> {
        let mut rosters: BTreeMap<usize, v1::Roster> = (0..BUCKETS)
            .filter(|bucket| self.rosters & (1 << bucket) != 0)
            .map(|bucket| (bucket, v1::Roster::default()))
            .collect();
        if !rosters.is_empty() {
            for (id, member) in members {
                if let Some(roster) = rosters.get_mut(&bucket(id)) {
                    roster.proxies.push(registered(id, member));
                }
            }
        }
        let rosters = rosters
            .iter()
            .map(|(bucket, roster)| (format!("{ROSTER}{bucket:02}"), roster.encode_to_vec()));
        let standing = self.standing.then(|| {
            let standing = standing(members, timings, now);
            (STANDING.to_owned(), standing.encode_to_vec())
        });
        rosters.chain(standing).collect()
    }
}

/// Only the replica that writes has to find the same bucket again.
fn bucket(id: &str) -> usize {
    let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(id);
    (hash % BUCKETS as u64) as usize
}

fn registered(id: &str, member: &Member) -> v1::Registered {
    let label = |(name, value): (&String, &String)| v1::Label {
        name: name.clone(),
        value: value.clone(),
    };
    v1::Registered {
        stream: member.stream.number(),
        claim: member.claim,
        since_ms: member.since.0,
        displaced: member.displaced,
        warnings: member.warnings.clone(),
        key: member
            .proxy()
            .map(|proxy| proxy.key.0.to_vec())
            .unwrap_or_default(),
        hello: Some(v1::Hello {
            proxy_id: id.to_owned(),
            labels: member.labels.iter().map(label).collect(),
            version: member.version.clone(),
            admin: member.admin.clone(),
            instance: member.instance.clone(),
            listeners: member.listeners.clone(),
            ..v1::Hello::default()
        }),
    }
}

fn standing(members: &BTreeMap<String, Member>, timings: &Timings, now: Instant) -> v1::Standing {
    let mut places: HashMap<(HistoryId, Position), Vec<(u64, u64)>> = HashMap::new();
    let mut refusals = Groups::default();
    let mut standing = v1::Standing::default();
    for member in members.values() {
        let stream = member.stream.number();
        if let Some(place) = member.holds {
            places.entry(place).or_default().push((stream, member.build_us));
        }
        if let Some(refusal) = &member.refusal {
            refusals.add(refusal.said(), (stream, refusal));
        }
        match (member.broken, member.is_live(now)) {
            (None, _) => {}
            (Some(_), true) => standing.leased.push(stream),
            (Some(_), false) => standing.lost.push(stream),
        }
    }
    standing.holdings = places.into_iter().map(holding).collect();
    standing.refused = refused(refusals.into_groups());
    let (history, timed) = timings.newest(TIMED);
    standing.history = history.map(|history| history.0.to_vec()).unwrap_or_default();
    standing.timed = timed;
    standing
}

fn holding(((history, position), mut streams): ((HistoryId, Position), Vec<(u64, u64)>)) -> v1::Holding {
    streams.sort_unstable();
    let mut last = 0;
    let distance = |(stream, _): &(u64, u64)| stream - std::mem::replace(&mut last, *stream);
    v1::Holding {
        history: history.0.to_vec(),
        position: Some(position_to_wire(position)),
        streams: streams.iter().map(distance).collect(),
        build_us: streams.iter().map(|(_, build_us)| *build_us).collect(),
    }
}

/// The stream of a proxy that refused, and what.
type Refuser<'a> = (u64, &'a Refused);

/// What was refused in the words that most use. The others follow without words, all of a revision
/// together: who refused and when is told of everybody.
fn refused(mut same_words: Vec<Vec<Refuser<'_>>>) -> Vec<v1::Refused> {
    same_words.sort_by_key(|refusers| Reverse(refusers.len()));
    let others = same_words.split_off(same_words.len().min(MAX_REFUSALS));
    let mut places = Groups::default();
    for refuser in others.into_iter().flatten() {
        places.add(refuser.1.place(), refuser);
    }
    let in_full = same_words.iter().filter_map(|refusers| {
        let (_, said) = refusers.first()?;
        Some(refused_by(refusers, said.words.violations()))
    });
    let places = places.into_groups();
    let without_words = places.iter().map(|refusers| refused_by(refusers, &[]));
    in_full.chain(without_words).collect()
}

/// What several proxies refused in the same words, or in any. Each did so at its own time, told as the
/// distance from the first: where a fleet refuses, that is a byte or two.
fn refused_by(refusers: &[Refuser<'_>], violations: &[v1::Violation]) -> v1::Refused {
    let times = refusers.iter().filter_map(|(_, refused)| refused.at);
    let first = times.min();
    let after = |at: UnixMillis| at.0 - first.map_or(0, |first| first.0) + 1;
    let place = refusers.first().map(|(_, refused)| refused.place());
    let (history, revision, retrying) = place.unwrap_or_default();
    v1::Refused {
        history: history.0.to_vec(),
        revision: revision.0,
        retrying,
        violations: violations.to_vec(),
        first_ms: first.map_or(0, |first| first.0),
        after_ms: refusers
            .iter()
            .map(|(_, refused)| refused.at.map_or(0, after))
            .collect(),
        streams: refusers.iter().map(|(stream, _)| *stream).collect(),
    }
}
