//! Requests that proxies sampled: added up in memory, written down once a minute, made fewer as they age, and read to
//! be replayed.
//!
//! What a proxy tells is bounded by what is its share, so that none takes the room of others; past it what it told
//! is made fewer, and stands for as many. What cannot be stored is missed, counted, and warned of: samples are no
//! record of anything.
//!
//! Each stream adds what its proxy tells by itself. What proxies told lies in shelves ([`Shelf`]), each with a lock of
//! its own, so that thousands of streams do not wait for one another; what they share is one sum of bytes.

mod keep;
mod kinds;

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use prost::Message;
use sluice_core::{is_credential, thin_to};
use sluice_proto::v1::{self, sampled_header::Value};

use crate::compile::ViewKey;
use crate::store::Secret;
pub(crate) use keep::keep_samples;
pub use kinds::{Group, Kinds, Members};

/// Bytes of what all proxies told since the last row.
const MAX_BYTES: usize = 16 * 1024 * 1024;
/// Bytes of the requests of a row.
const ROW_BYTES: usize = 256 * 1024;
/// Kinds of one report; a proxy tells fewer.
const MAX_KINDS: usize = 5_000;
/// Kinds that all proxies together should tell at a time, which is every five seconds.
const FLEET_KINDS: usize = 100_000;
/// Kinds that one is asked for at a time: at least, however many others there are, and at most.
const ASKED_KINDS: [usize; 2] = [8, 2_000];
/// Views, and ways of looking at requests, of one proxy in a minute: it has one, or another after it was labelled
/// or told of a new key.
const MAX_GROUPS: usize = 4;
/// Headers that a proxy may look at.
const MAX_HEADERS: usize = 32;
/// Longest name of a header.
const MAX_NAME: usize = 256;
/// Most bytes of one request: what a proxy keeps, and names of headers.
const MAX_REQUEST: usize = 16 * 1024;
/// Most requests of one proxy in a minute, or of the time for which it had nobody to tell.
const MAX_WEIGHT: u64 = 1 << 32;
/// Parts of what was heard that are locked one by one.
const SHELVES: usize = 64;
/// Bytes of what a key is called.
const KEY_ID: usize = 8;

/// What was heard since the last row.
#[derive(Debug)]
pub struct Samples {
    shelves: [Mutex<Shelf>; SHELVES],
    /// Which shelf a proxy has; nobody can choose a name for its sake.
    hasher: RandomState,
    /// Bytes of all shelves, and of what is about to be put there.
    bytes: AtomicUsize,
    lost: [AtomicU64; 3],
    key: OnceLock<Secret<[u8; 32]>>,
}

/// Why kinds of requests are not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lost {
    /// No proxy would have told them.
    Malformed,
    /// There was no room.
    Room,
    /// The store did not take them.
    Store,
}

/// What some proxies told, by their names: so each has a share. Shared with whoever reads it meanwhile.
type Shelf = BTreeMap<String, Arc<Told>>;

#[derive(Clone, Debug, Default)]
struct Told {
    kinds: Kinds,
    bytes: usize,
    weight: u64,
}

impl Lost {
    /// All, as they stand in metrics.
    pub(super) const ALL: [(Self, &str); 3] = [
        (Self::Malformed, "malformed"),
        (Self::Room, "room"),
        (Self::Store, "store"),
    ];
}

impl Default for Samples {
    fn default() -> Self {
        Self {
            shelves: std::array::from_fn(|_| Mutex::default()),
            hasher: RandomState::new(),
            bytes: AtomicUsize::new(0),
            lost: Default::default(),
            key: OnceLock::new(),
        }
    }
}

impl Samples {
    /// Has proxies hash values with this key, from their next streams on. Once.
    pub fn hash_with(&self, key: Secret<[u8; 32]>) {
        // What was set first stays: proxies have it.
        let _ = self.key.set(key);
    }

    /// What proxies hash values with, once that is known.
    pub(super) fn key(&self) -> Option<&Secret<[u8; 32]>> {
        self.key.get()
    }

    /// Adds what `proxy`, of `view`, reports: one of so many of the fleet. What is more than its share is made fewer
    /// before anything is done with it.
    pub(super) fn fold(&self, proxy: &str, view: &ViewKey, fleet: usize, samples: v1::Samples) {
        let told = samples.requests.len() as u64;
        if !is_presentable(&samples) {
            return self.lose(Lost::Malformed, told.max(1));
        }
        let group = Group {
            selectors: view.selectors().iter().map(ToString::to_string).collect(),
            headers: samples.headers,
            query: samples.query,
            key_id: samples.key_id,
        };
        let readable = readable(samples.requests);
        self.lose(Lost::Malformed, told - readable.len() as u64);
        let kinds = encoded(thin_to(
            readable,
            MAX_BYTES / fleet.max(1),
            Message::encoded_len,
            random,
        ));
        let count = kinds.len() as u64;
        if !self.add(proxy, fleet, &group, kinds, samples.left_out) {
            self.lose(Lost::Room, count);
        }
    }

    /// `false`, and nothing, when there is no room.
    fn add(
        &self,
        proxy: &str,
        fleet: usize,
        group: &Group,
        kinds: BTreeMap<Vec<u8>, u64>,
        left_out: u64,
    ) -> bool {
        let bytes: usize = kinds.keys().map(Vec::len).sum();
        // Taken before anything is kept, so that all shelves together stay within it.
        let is_room = self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes <= 2 * MAX_BYTES;
        let mut shelf = lock(self.shelf(proxy));
        let told = Arc::make_mut(shelf.entry(proxy.to_owned()).or_default());
        let before = told.bytes;
        let is_added = is_room && told.add(fleet, group, kinds, left_out);
        self.bytes.fetch_add(told.bytes, Ordering::Relaxed);
        self.bytes.fetch_sub(before + bytes, Ordering::Relaxed);
        is_added
    }

    /// What was heard since it was taken last. Takes a core for a while.
    pub fn heard(&self) -> Kinds {
        let proxies = self.shelves.iter();
        let proxies = proxies.flat_map(|shelf| lock(shelf).values().cloned().collect::<Vec<_>>());
        row(proxies.collect()).0
    }

    /// The same, which is forgotten here.
    fn take(&self) -> Kinds {
        let mut proxies: Vec<Arc<Told>> = Vec::new();
        for shelf in &self.shelves {
            proxies.extend(std::mem::take(&mut *lock(shelf)).into_values());
        }
        let bytes = proxies.iter().map(|told| told.bytes).sum();
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        let (row, lost) = row(proxies);
        self.lose(Lost::Room, lost);
        row
    }

    /// How many kinds were not kept so far.
    pub(super) fn lost(&self, why: Lost) -> u64 {
        self.lost[why as usize].load(Ordering::Relaxed)
    }

    fn lose(&self, why: Lost, kinds: u64) {
        self.lost[why as usize].fetch_add(kinds, Ordering::Relaxed);
    }

    fn shelf(&self, proxy: &str) -> &Mutex<Shelf> {
        let place = self.hasher.hash_one(proxy) % SHELVES as u64;
        &self.shelves[place as usize]
    }
}

/// Held for as long as one report takes, or to hand out what lies there; never over an await.
fn lock(shelf: &Mutex<Shelf>) -> MutexGuard<'_, Shelf> {
    shelf.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Told {
    /// `false`, and nothing, when it is more than one proxy may tell.
    fn add(&mut self, fleet: usize, group: &Group, kinds: BTreeMap<Vec<u8>, u64>, left_out: u64) -> bool {
        let weight = kinds.values().copied().fold(left_out, u64::saturating_add);
        let is_known = self.kinds.has(group);
        let sum = self.weight.saturating_add(weight);
        if sum > MAX_WEIGHT
            || (!is_known && self.kinds.group_count() >= MAX_GROUPS)
            || !self.kinds.add(group, kinds, left_out)
        {
            return false;
        }
        self.weight = sum;
        self.kinds.thin(MAX_BYTES / fleet.max(1), random);
        self.bytes = self.kinds.bytes();
        true
    }
}

/// What all of them told, of each its share; and how many kinds found no room.
fn row(proxies: Vec<Arc<Told>>) -> (Kinds, u64) {
    let share = ROW_BYTES / proxies.len().max(1);
    let (mut row, mut lost) = (Kinds::default(), 0);
    for told in proxies {
        let mut kinds = Arc::unwrap_or_clone(told).kinds;
        kinds.thin(share, random);
        lost += row.merge(kinds);
    }
    // Where the share of each is less than one request takes, there is still too much.
    row.thin(ROW_BYTES, random);
    (row, lost)
}

/// How many kinds a proxy should tell at a time, as one of so many.
pub(super) fn asked_kinds(fleet: usize) -> u32 {
    let [least, most] = ASKED_KINDS;
    let kinds = (FLEET_KINDS / fleet.max(1)).clamp(least, most);
    u32::try_from(kinds).unwrap_or(u32::MAX)
}

/// Whether a proxy may have looked at requests in this way.
fn is_presentable(samples: &v1::Samples) -> bool {
    samples.headers.len() <= MAX_HEADERS
        && samples.headers.iter().all(|name| name.len() <= MAX_NAME)
        && samples.key_id.len() == KEY_ID
}

/// Those that a proxy may have sampled, each without its weight, and that.
fn readable(requests: Vec<v1::SampledRequest>) -> Vec<(v1::SampledRequest, u64)> {
    let weighed = requests.into_iter().take(MAX_KINDS).map(|mut request| {
        let weight = std::mem::take(&mut request.weight);
        (request, weight)
    });
    weighed
        .filter(|(request, weight)| (1..=MAX_WEIGHT).contains(weight) && is_in_bounds(request))
        .collect()
}

/// As they are kept; of equal ones the sum.
fn encoded(requests: Vec<(v1::SampledRequest, u64)>) -> BTreeMap<Vec<u8>, u64> {
    let mut kinds = BTreeMap::new();
    for (mut request, weight) in requests {
        conceal(&mut request);
        let sum: &mut u64 = kinds.entry(request.encode_to_vec()).or_default();
        *sum = sum.saturating_add(weight);
    }
    kinds
}

fn is_in_bounds(request: &v1::SampledRequest) -> bool {
    request.encoded_len() <= MAX_REQUEST
        && u16::try_from(request.port).is_ok()
        && request.headers.len() <= MAX_HEADERS
}

/// A proxy that tells what it should not is not believed to have meant it.
fn conceal(request: &mut v1::SampledRequest) {
    for header in &mut request.headers {
        if is_credential(&header.name) && matches!(header.value, Some(Value::Text(_))) {
            header.value = Some(Value::Hash(Vec::new()));
        }
    }
}

/// 64 random bits; without randomness the same, which is no worse than a guess.
fn random() -> u64 {
    let mut bytes = [0; 8];
    let _ = getrandom::fill(&mut bytes);
    u64::from_ne_bytes(bytes)
}

#[cfg(test)]
mod tests;
