//! Sampled requests, added up: what is equal is one, with a weight.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use prost::Message as _;
use sluice_core::thin_to;
use sluice_proto::v1;

/// Views, and ways of looking at requests, that are told apart.
const MAX_GROUPS: usize = 256;
/// Bytes of what tells them apart.
const GROUP_BYTES: usize = 64 * 1024;
/// What a kind takes besides its bytes, at most: its weight, and what says where it begins and ends.
const BESIDE: usize = 16;

/// Requests of one view that were looked at in one way.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Group {
    /// The proxy selectors that make the view.
    pub selectors: Vec<String>,
    /// Names of the headers that were looked at.
    pub headers: Vec<String>,
    /// Whether queries were.
    pub query: bool,
    /// Which key values are hashed with.
    pub key_id: Vec<u8>,
}

/// What there is of a group.
#[derive(Clone, Debug, Default)]
pub struct Members {
    /// Each a `SampledRequest` without its weight, encoded.
    kinds: BTreeMap<Vec<u8>, u64>,
    left_out: u64,
}

/// Kinds of requests by group, within bounds of the groups.
#[derive(Clone, Debug, Default)]
pub struct Kinds {
    groups: BTreeMap<Group, Members>,
    group_bytes: usize,
}

impl Group {
    /// A group, its requests, and how many are left out of it.
    fn of(stored: v1::SampleGroup) -> (Self, Vec<v1::SampledRequest>, u64) {
        let samples = stored.samples.unwrap_or_default();
        let group = Self {
            selectors: stored.selectors,
            headers: samples.headers,
            query: samples.query,
            key_id: samples.key_id,
        };
        (group, samples.requests, samples.left_out)
    }

    fn bytes(&self) -> usize {
        let texts = self.selectors.iter().chain(&self.headers);
        BESIDE + self.key_id.len() + texts.map(|text| text.len() + BESIDE).sum::<usize>()
    }
}

impl Members {
    /// Each kind, and how many requests it stands for.
    pub fn requests(&self) -> impl Iterator<Item = v1::SampledRequest> {
        let request = |(kind, weight): (&Vec<u8>, &u64)| {
            let request = v1::SampledRequest::decode(kind.as_slice()).ok()?;
            Some(v1::SampledRequest {
                weight: *weight,
                ..request
            })
        };
        self.kinds.iter().filter_map(request)
    }

    /// How many requests all kinds stand for.
    pub fn weight(&self) -> u128 {
        self.kinds.values().copied().map(u128::from).sum()
    }

    /// Requests of which nothing was kept, as they were too long.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }
}

impl Kinds {
    /// Adds requests, each encoded without its weight. `false`, and nothing, when there is no room for another
    /// group.
    #[must_use]
    pub fn add(
        &mut self,
        group: &Group,
        kinds: impl IntoIterator<Item = (Vec<u8>, u64)>,
        left_out: u64,
    ) -> bool {
        if !self.groups.contains_key(group) {
            let bytes = self.group_bytes + group.bytes();
            if self.groups.len() >= MAX_GROUPS || bytes > GROUP_BYTES {
                return false;
            }
            self.group_bytes = bytes;
        }
        let members = self.groups.entry(group.clone()).or_default();
        members.left_out = members.left_out.saturating_add(left_out);
        for (kind, weight) in kinds {
            let sum = members.kinds.entry(kind).or_default();
            *sum = sum.saturating_add(weight);
        }
        true
    }

    /// Adds all of `other`; how many kinds found no room.
    pub fn merge(&mut self, other: Self) -> u64 {
        let mut lost = 0;
        for (group, members) in other.groups {
            let kinds = members.kinds.len() as u64;
            if !self.add(&group, members.kinds, members.left_out) {
                lost += kinds;
            }
        }
        lost
    }

    /// What is in these rows, and how much of it is lost: kinds of groups that found no room, and rows that cannot
    /// be read. Groups that are in most rows come first, so that whoever tells of many does not displace others.
    pub fn of<'a>(rows: impl Iterator<Item = &'a [u8]> + Clone) -> (Self, u64) {
        let mut seen: BTreeMap<Group, usize> = BTreeMap::new();
        let read = || rows.clone().map(v1::StoredSamples::decode);
        for group in read().flatten().flat_map(|stored| stored.groups) {
            *seen.entry(Group::of(group).0).or_default() += 1;
        }
        let mut seen: Vec<_> = seen.into_iter().collect();
        seen.sort_by_key(|(_, rows)| Reverse(*rows));
        let (mut kinds, mut lost) = (Self::default(), 0);
        for (group, _) in seen {
            // What finds no room is counted with its kinds.
            let _ = kinds.add(&group, [], 0);
        }
        for row in read() {
            lost += row.map_or(1, |stored| kinds.merge_stored(stored));
        }
        (kinds, lost)
    }

    /// Adds what was stored; how many kinds found no room.
    pub fn merge_stored(&mut self, stored: v1::StoredSamples) -> u64 {
        let mut lost = 0;
        for group in stored.groups {
            let (group, requests, left_out) = Group::of(group);
            let count = requests.len() as u64;
            let kinds = requests.into_iter().map(|mut request| {
                let weight = std::mem::take(&mut request.weight);
                (request.encode_to_vec(), weight)
            });
            if !self.add(&group, kinds, left_out) {
                lost += count;
            }
        }
        lost
    }

    /// Fewer kinds that stand for as many requests, until they take `bytes` at most; groups are not counted. One
    /// is left, whatever it takes.
    pub fn thin(&mut self, bytes: usize, offset: impl FnMut() -> u64) {
        if self.bytes() <= bytes {
            return;
        }
        let mut all = Vec::new();
        for (at, members) in self.groups.values_mut().enumerate() {
            let kinds = std::mem::take(&mut members.kinds).into_iter();
            all.extend(kinds.map(|(kind, weight)| ((at, kind), weight)));
        }
        let mut kept = thin_to(all, bytes, |(_, kind)| kind.len() + BESIDE, offset)
            .into_iter()
            .peekable();
        for (at, members) in self.groups.values_mut().enumerate() {
            while let Some(((_, kind), weight)) = kept.next_if(|((of, _), _)| *of == at) {
                members.kinds.insert(kind, weight);
            }
        }
        self.forget_empty();
    }

    /// What the kinds take when they are stored, at most; groups are not counted.
    pub fn bytes(&self) -> usize {
        let kinds = self.groups.values().flat_map(|members| members.kinds.keys());
        kinds.map(|kind| kind.len() + BESIDE).sum()
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// How many kinds there are.
    pub fn len(&self) -> usize {
        self.groups.values().map(|members| members.kinds.len()).sum()
    }

    /// The groups in their order.
    pub fn groups(&self) -> impl Iterator<Item = (&Group, &Members)> {
        self.groups.iter()
    }

    /// How many groups there are.
    pub fn group_count(&self) -> usize {
        self.groups.len()
    }

    /// Whether there is this group.
    pub fn has(&self, group: &Group) -> bool {
        self.groups.contains_key(group)
    }

    /// As it is stored.
    pub fn to_stored(&self) -> v1::StoredSamples {
        let group = |(group, members): (&Group, &Members)| v1::SampleGroup {
            selectors: group.selectors.clone(),
            samples: Some(v1::Samples {
                headers: group.headers.clone(),
                query: group.query,
                requests: members.requests().collect(),
                key_id: group.key_id.clone(),
                left_out: members.left_out,
            }),
        };
        v1::StoredSamples {
            groups: self.groups.iter().map(group).collect(),
        }
    }

    /// Groups of which nothing is left would only take room.
    fn forget_empty(&mut self) {
        self.groups
            .retain(|_, members| !members.kinds.is_empty() || members.left_out > 0);
        self.group_bytes = self.groups.keys().map(Group::bytes).sum();
    }
}
