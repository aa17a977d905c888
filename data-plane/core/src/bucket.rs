//! Some of the entries of a set, in chunks that sets share.

use std::sync::Arc;

use sluice_model::{Digest, Key};

use crate::resources::{Difference, Entry};

/// Most entries of a chunk. Changing one entry copies its chunk, and a pointer for each other one.
const CHUNK: usize = 32;

/// Entries by key, and their digest.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bucket {
    /// In order, and none empty. Without spare room: they are most of what a resource costs to hold.
    chunks: Vec<Arc<Vec<Entry>>>,
    digest: Digest,
}

/// Where a key is, or belongs: the chunk, and the place in it.
type Place = (usize, usize);

impl Bucket {
    /// The digest of what was there when it was finished last.
    pub(crate) fn digest(&self) -> Digest {
        self.digest
    }

    /// Number of entries.
    pub(crate) fn len(&self) -> usize {
        self.chunks.iter().map(|chunk| chunk.len()).sum()
    }

    /// All entries, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.chunks.iter().flat_map(|chunk| chunk.iter())
    }

    pub(crate) fn get(&self, key: &Key) -> Option<&Entry> {
        let (chunk, at) = self.place(key).ok()?;
        self.chunks.get(chunk)?.get(at)
    }

    fn place(&self, key: &Key) -> Result<Place, Place> {
        let before = |chunk: &Arc<Vec<Entry>>| chunk.last().is_some_and(|last| last.key < *key);
        // What comes in order, as a full update does, goes to the end.
        if self.chunks.last().is_none_or(before) {
            let last = self.chunks.len().saturating_sub(1);
            return Err((last, self.chunks.last().map_or(0, |chunk| chunk.len())));
        }
        let chunk = self.chunks.partition_point(before);
        let found = self.chunks[chunk].binary_search_by(|entry| entry.key.cmp(key));
        found.map(|at| (chunk, at)).map_err(|at| (chunk, at))
    }

    /// Puts or replaces an entry; whether its key is new.
    pub(crate) fn insert(&mut self, entry: Entry) -> bool {
        match self.place(&entry.key) {
            Ok((chunk, at)) => {
                Arc::make_mut(&mut self.chunks[chunk])[at] = entry;
                false
            }
            Err(place) => {
                self.insert_at(place, entry);
                true
            }
        }
    }

    fn insert_at(&mut self, (chunk, at): Place, entry: Entry) {
        match self.chunks.get_mut(chunk) {
            Some(entries) if entries.len() < CHUNK => Arc::make_mut(entries).insert(at, entry),
            // At the end a new one begins, so that what comes in order fills all.
            Some(entries) if at < entries.len() => {
                let entries = Arc::make_mut(entries);
                let mut upper = entries.split_off(CHUNK / 2);
                match at.checked_sub(CHUNK / 2) {
                    Some(at) => upper.insert(at, entry),
                    None => entries.insert(at, entry),
                }
                self.chunks.insert(chunk + 1, Arc::new(upper));
            }
            Some(_) => self.chunks.insert(chunk + 1, Arc::new(vec![entry])),
            None => self.chunks.push(Arc::new(vec![entry])),
        }
    }

    /// Takes an entry out; whether it was there.
    pub(crate) fn remove(&mut self, key: &Key) -> bool {
        let Ok((chunk, at)) = self.place(key) else {
            return false;
        };
        let entries = Arc::make_mut(&mut self.chunks[chunk]);
        entries.remove(at);
        if entries.is_empty() {
            self.chunks.remove(chunk);
        }
        true
    }

    /// To be called after changes.
    pub(crate) fn finish(&mut self) {
        for chunk in self.chunks.iter_mut().filter_map(Arc::get_mut) {
            chunk.shrink_to_fit();
        }
        self.chunks.shrink_to_fit();
        self.digest = self.compute_digest();
    }

    fn compute_digest(&self) -> Digest {
        if self.chunks.is_empty() {
            return Digest::EMPTY;
        }
        Digest::build(|hasher| {
            for entry in self.iter() {
                let key = entry.key.as_str();
                hasher.update(&(key.len() as u32).to_le_bytes());
                hasher.update(key.as_bytes());
                hasher.update(&entry.min_wire.to_le_bytes());
                hasher.update(&entry.hash.0);
            }
        })
    }

    /// Adds what leads to `target`. Chunks that both share at the ends are passed over; of the rest both
    /// are in order, so one walk along the two finds all.
    pub(crate) fn diff(&self, target: &Self, difference: &mut Difference) {
        let same = |(old, new): &(&Arc<Vec<Entry>>, &Arc<Vec<Entry>>)| Arc::ptr_eq(old, new);
        let pairs = self.chunks.iter().zip(&target.chunks);
        let front = pairs.take_while(same).count();
        let (old, new) = (&self.chunks[front..], &target.chunks[front..]);
        let back = old.iter().rev().zip(new.iter().rev()).take_while(same).count();
        let (old, new) = (&old[..old.len() - back], &new[..new.len() - back]);
        let mut old = old.iter().flat_map(|chunk| chunk.iter()).peekable();
        for new in new.iter().flat_map(|chunk| chunk.iter()) {
            while let Some(gone) = old.next_if(|old| old.key < new.key) {
                difference.removals.push(gone.key.clone());
            }
            match old.next_if(|old| old.key == new.key) {
                Some(same) if same == new => {}
                Some(_) | None => difference.upserts.push(new.clone()),
            }
        }
        difference.removals.extend(old.map(|gone| gone.key.clone()));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;

    fn entry(name: u16, body: u8) -> Entry {
        let body = Bytes::from(vec![body]);
        Entry {
            key: Key::parse(&format!("backend/default/b{name:05}")).unwrap(),
            hash: Digest::of(&body),
            body,
            min_wire: 1,
        }
    }

    fn is_in_order(bucket: &Bucket) -> bool {
        let sizes = bucket
            .chunks
            .iter()
            .all(|chunk| (1..=CHUNK).contains(&chunk.len()));
        sizes && bucket.iter().is_sorted_by(|a, b| a.key < b.key)
    }

    proptest! {
        /// Several chunks, changed anywhere, against a map.
        #[test]
        fn a_bucket_is_a_map_however_it_is_cut(
            size in 0..200_u16,
            changes in prop::collection::vec((0..250_u16, prop::option::of(0..3_u8)), 0..100),
        ) {
            let mut bucket = Bucket::default();
            let mut model = BTreeMap::new();
            for name in 0..size {
                prop_assert!(bucket.insert(entry(name, 0)));
                model.insert(name, 0);
            }
            bucket.finish();
            let before = bucket.clone();
            for (name, body) in changes {
                match body {
                    Some(body) => prop_assert_eq!(bucket.insert(entry(name, body)), model.insert(name, body).is_none()),
                    None => prop_assert_eq!(bucket.remove(&entry(name, 0).key), model.remove(&name).is_some()),
                }
            }
            bucket.finish();
            prop_assert!(is_in_order(&bucket));
            prop_assert!(bucket.iter().cloned().eq(model.iter().map(|(name, body)| entry(*name, *body))));
            for name in 0..250 {
                prop_assert_eq!(bucket.get(&entry(name, 0).key).is_some(), model.contains_key(&name));
            }
            // Cut otherwise, the digest is the same.
            let mut rebuilt = Bucket::default();
            model.iter().rev().for_each(|(name, body)| {
                rebuilt.insert(entry(*name, *body));
            });
            rebuilt.finish();
            prop_assert_eq!(rebuilt.digest(), bucket.digest());
            let mut difference = Difference::default();
            before.diff(&bucket, &mut difference);
            let mut reached = before;
            difference.removals.iter().for_each(|key| {
                reached.remove(key);
            });
            difference.upserts.iter().for_each(|upsert| {
                reached.insert(upsert.clone());
            });
            reached.finish();
            prop_assert_eq!(reached.digest(), bucket.digest());
        }
    }

    #[test]
    fn a_change_copies_one_chunk_and_is_found_without_looking_at_the_others() {
        let mut bucket = Bucket::default();
        (0..1_000).for_each(|name| {
            bucket.insert(entry(name, 0));
        });
        bucket.finish();
        let mut changed = bucket.clone();
        changed.insert(entry(500, 1));
        changed.finish();
        let pairs = || bucket.chunks.iter().zip(&changed.chunks);
        assert_eq!(pairs().filter(|(old, new)| !Arc::ptr_eq(old, new)).count(), 1);
        let mut difference = Difference::default();
        bucket.diff(&changed, &mut difference);
        assert_eq!((difference.upserts.len(), difference.removals.len()), (1, 0));
        assert_eq!(
            bucket.chunks.len(),
            1_000_usize.div_ceil(CHUNK),
            "what comes in order fills all"
        );
    }
}
