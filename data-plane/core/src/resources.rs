//! The wire resources of a snapshot, their digest, and the difference between two sets.

mod beside;

use std::{fmt, sync::Arc};

use bytes::Bytes;
use prost::Message;
use sluice_model::{Class, Code, Digest, Key, Violation};
use sluice_proto::{WIRE_VERSION, v1};

pub use beside::Step;

use crate::bucket::Bucket;

/// Leaves of the digest tree, per class. A change rehashes one of them and the root.
const BUCKETS: usize = 256;

/// One keyed resource: opaque bytes and their hash. Cheap to clone.
#[derive(Clone)]
pub struct Entry {
    /// Its stable identity.
    pub key: Key,
    /// The encoded message.
    pub body: Bytes,
    /// [`Digest::of`] the body.
    pub hash: Digest,
    /// Least wire version that understands the body.
    pub min_wire: u32,
}

/// Resources by key. Cloning costs nothing; unchanged parts are shared.
#[derive(Clone, Debug)]
pub struct ResourceSet {
    config: Half,
    runtime: Half,
}

/// What leads from one set to another.
#[derive(Clone, Debug, Default)]
pub struct Difference {
    /// New or different.
    pub upserts: Vec<Entry>,
    /// No longer there.
    pub removals: Vec<Key>,
}

impl Difference {
    /// Number of resources that differ.
    pub fn len(&self) -> usize {
        self.upserts.len() + self.removals.len()
    }

    /// Whether none does.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[derive(Clone, Debug)]
struct Half {
    /// As many as [`BUCKETS`]; copied, a pointer each, when the first of them changes.
    buckets: Arc<Vec<Arc<Bucket>>>,
    digest: Digest,
    len: usize,
}

impl Entry {
    /// Encodes `message` under `key`.
    pub fn new(key: Key, message: &impl Message) -> Self {
        let body = Bytes::from(message.encode_to_vec());
        Self {
            hash: Digest::of(&body),
            key,
            body,
            min_wire: 1,
        }
    }

    /// The entry as it travels: without its hash, which the digests of the target imply.
    pub fn to_wire(&self) -> v1::Resource {
        v1::Resource {
            key: self.key.as_str().to_owned(),
            body: self.body.clone(),
            hash: Vec::new(),
            min_wire: if self.min_wire <= 1 { 0 } else { self.min_wire },
        }
    }

    /// Reads an entry and checks its hash, if it has one.
    ///
    /// # Errors
    /// A key that is none, a hash that is not the body's, or a wire version newer than this build's.
    pub fn from_wire(wire: v1::Resource) -> Result<Self, Violation> {
        let violation = |code, message: String| Violation::new(wire.key.as_str(), "", code, message);
        let key = Key::parse(&wire.key).map_err(|error| violation(Code::Malformed, error.to_string()))?;
        let min_wire = wire.min_wire.max(1);
        if min_wire > WIRE_VERSION {
            let message = format!("needs wire version {min_wire}; this build reads {WIRE_VERSION}");
            return Err(violation(Code::Unsupported, message));
        }
        let hash = Digest::of(&wire.body);
        match wire.hash.is_empty() || hash.0[..] == wire.hash[..] {
            true => Ok(Self {
                key,
                body: wire.body,
                hash,
                min_wire,
            }),
            false => Err(violation(
                Code::Corrupt,
                "the body does not have the hash it claims".into(),
            )),
        }
    }
}

/// Without the body: private keys travel in it.
impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} bytes, {})", self.key, self.body.len(), self.hash)
    }
}

/// Equal when key and hash are: the hash stands for the bytes.
impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key && self.hash == other.hash && self.min_wire == other.min_wire
    }
}

impl ResourceSet {
    /// No resources.
    pub fn empty() -> Self {
        Self {
            config: Half::empty(),
            runtime: Half::empty(),
        }
    }

    /// The set after `difference`. Removing what is not there changes nothing.
    pub fn apply(&self, difference: &Difference) -> Self {
        let mut next = self.clone();
        next.config.apply(difference, Class::Config);
        next.runtime.apply(difference, Class::Runtime);
        next
    }

    /// What leads from here to `target`; costs what differs, when one grew out of the other.
    pub fn diff(&self, target: &Self) -> Difference {
        let mut difference = Difference::default();
        self.config.diff(&target.config, &mut difference);
        self.runtime.diff(&target.runtime, &mut difference);
        difference
    }

    /// The entry under `key`.
    pub fn get(&self, key: &Key) -> Option<&Entry> {
        self.half(key.kind().class()).buckets[bucket_of(key)].get(key)
    }

    /// Digest of one class, [`Digest::EMPTY`] when it has no entries.
    pub fn digest(&self, class: Class) -> Digest {
        self.half(class).digest
    }

    /// Number of resources.
    pub fn len(&self) -> usize {
        self.config.len + self.runtime.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All entries: config before runtime, each in the order of its buckets.
    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        let buckets = self.config.buckets.iter().chain(self.runtime.buckets.iter());
        buckets.flat_map(|bucket| bucket.iter())
    }

    fn half(&self, class: Class) -> &Half {
        match class {
            Class::Config => &self.config,
            Class::Runtime => &self.runtime,
        }
    }
}

impl Default for ResourceSet {
    fn default() -> Self {
        Self::empty()
    }
}

impl Half {
    fn empty() -> Self {
        let bucket = Arc::new(Bucket::default());
        Self {
            buckets: Arc::new(vec![bucket; BUCKETS]),
            digest: Digest::EMPTY,
            len: 0,
        }
    }

    fn apply(&mut self, difference: &Difference, class: Class) {
        let mut touched = [false; BUCKETS];
        for key in difference
            .removals
            .iter()
            .filter(|key| key.kind().class() == class)
        {
            let at = bucket_of(key);
            touched[at] = true;
            if self.bucket(at).remove(key) {
                self.len -= 1;
            }
        }
        for entry in difference
            .upserts
            .iter()
            .filter(|entry| entry.key.kind().class() == class)
        {
            let at = bucket_of(&entry.key);
            touched[at] = true;
            if self.bucket(at).insert(entry.clone()) {
                self.len += 1;
            }
        }
        if touched.contains(&true) {
            self.rehash(&touched);
        }
    }

    fn rehash(&mut self, touched: &[bool; BUCKETS]) {
        let touched = touched.iter().enumerate().filter(|(_, touched)| **touched);
        for (at, _) in touched {
            self.bucket(at).finish();
        }
        self.sum_up();
    }

    /// The digest of all buckets as they are now.
    fn sum_up(&mut self) {
        self.digest = match self.len {
            0 => Digest::EMPTY,
            _ => Digest::build(|hasher| {
                for bucket in self.buckets.iter() {
                    hasher.update(&bucket.digest().0);
                }
            }),
        };
    }

    /// A bucket that is about to change.
    fn bucket(&mut self, at: usize) -> &mut Bucket {
        Arc::make_mut(&mut Arc::make_mut(&mut self.buckets)[at])
    }

    fn diff(&self, target: &Self, difference: &mut Difference) {
        if Arc::ptr_eq(&self.buckets, &target.buckets) {
            return;
        }
        let pairs = self.buckets.iter().zip(target.buckets.iter());
        for (old, new) in pairs.filter(|(old, new)| !Arc::ptr_eq(old, new) && old.digest() != new.digest()) {
            old.diff(new, difference);
        }
    }
}

/// The bucket of a key: part of the format, since both ends compute the digest.
fn bucket_of(key: &Key) -> usize {
    xxhash_rust::xxh3::xxh3_64(key.as_str().as_bytes()) as usize % BUCKETS
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(super) fn entry(name: u8, body: u8) -> Entry {
        let key = Key::parse(&format!("backend/default/b{name}")).unwrap();
        let body = Bytes::from(vec![body]);
        Entry {
            hash: Digest::of(&body),
            key,
            body,
            min_wire: 1,
        }
    }

    pub(super) fn set(pairs: &[(u8, u8)]) -> ResourceSet {
        let upserts = pairs.iter().map(|(name, body)| entry(*name, *body)).collect();
        ResourceSet::empty().apply(&Difference {
            upserts,
            removals: vec![],
        })
    }

    proptest! {
        #[test]
        fn a_difference_applied_to_its_base_is_the_target(
            base: Vec<(u8, u8)>,
            target: Vec<(u8, u8)>,
        ) {
            let (base, target) = (set(&base), set(&target));
            let reached = base.apply(&base.diff(&target));
            prop_assert_eq!(reached.digest(Class::Config), target.digest(Class::Config));
            prop_assert!(reached.iter().eq(target.iter()));
            prop_assert_eq!(reached.len(), target.iter().count());
        }

        #[test]
        fn the_digest_depends_on_content_and_not_on_the_way(pairs: Vec<(u8, u8)>) {
            let one_by_one = pairs.iter().fold(ResourceSet::empty(), |set, (name, body)| {
                set.apply(&Difference { upserts: vec![entry(*name, *body)], removals: vec![] })
            });
            prop_assert_eq!(one_by_one.digest(Class::Config), set(&pairs).digest(Class::Config));
        }
    }

    #[test]
    fn an_entry_whose_bytes_were_changed_is_refused() {
        let mut wire = entry(1, 1).to_wire();
        wire.hash = entry(1, 1).hash.0.to_vec();
        assert!(Entry::from_wire(wire.clone()).is_ok());
        wire.body = Bytes::from_static(b"other");
        assert_eq!(Entry::from_wire(wire).unwrap_err().code, Code::Corrupt);
    }

    #[test]
    fn an_entry_that_needs_a_newer_reader_is_refused() {
        let mut wire = entry(1, 1).to_wire();
        wire.min_wire = WIRE_VERSION + 1;
        assert_eq!(Entry::from_wire(wire).unwrap_err().code, Code::Unsupported);
    }
}
