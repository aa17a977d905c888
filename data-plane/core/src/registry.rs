//! Keyed things reached by a number that stays the same from snapshot to snapshot, so that
//! replacing one of them costs one slot and nothing that refers to it.

use std::{
    fmt,
    hash::{Hash, Hasher},
    marker::PhantomData,
    sync::Arc,
};

use sluice_model::Key;

use crate::map::Map;

/// A persistent table of `T` by key and by [`Idx`]; cloning it costs nothing.
pub struct Registry<T> {
    index: Map<Key, u32>,
    slots: imbl::Vector<Slot<T>>,
    free: imbl::Vector<u32>,
    /// Slots to look at again before the snapshot is done: referred to but empty, or the reverse.
    suspects: Vec<u32>,
}

struct Slot<T> {
    key: Key,
    value: Option<Arc<T>>,
    references: u32,
}

/// Number of a slot in the [`Registry`] of `T`. Only meaningful together with the snapshot it came
/// from, or one in which what holds it is unchanged.
pub struct Idx<T>(u32, PhantomData<fn() -> T>);

impl<T> Registry<T> {
    /// A table of nothing.
    pub fn new() -> Self {
        Self {
            index: Map::default(),
            slots: imbl::Vector::new(),
            free: imbl::Vector::new(),
            suspects: Vec::new(),
        }
    }

    /// What stands at `idx`.
    #[inline]
    pub fn get(&self, idx: Idx<T>) -> Option<&Arc<T>> {
        self.slots.get(idx.0 as usize)?.value.as_ref()
    }

    /// What stands under `key`.
    pub fn find(&self, key: &Key) -> Option<&Arc<T>> {
        self.get(self.idx(key)?)
    }

    /// The slot of `key`.
    pub fn idx(&self, key: &Key) -> Option<Idx<T>> {
        self.index.get(key).map(|idx| Idx(*idx, PhantomData))
    }

    /// The key of a slot: one text, for all that refer to it to share.
    pub(crate) fn key(&self, idx: Idx<T>) -> Option<&Key> {
        self.slots.get(idx.0 as usize).map(|slot| &slot.key)
    }

    /// Everything, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<T>> {
        self.slots.iter().filter_map(|slot| slot.value.as_ref())
    }

    /// Puts `value` under `key`, in the slot that key already has.
    pub fn set(&mut self, key: &Key, value: Arc<T>) -> Idx<T> {
        let idx = self.slot(key);
        if let Some(slot) = self.slots.get_mut(idx as usize) {
            slot.value = Some(value);
        }
        Idx(idx, PhantomData)
    }

    /// Takes away what stands under `key`.
    pub fn unset(&mut self, key: &Key) -> Option<Arc<T>> {
        let idx = *self.index.get(key)?;
        self.suspects.push(idx);
        self.slots.get_mut(idx as usize)?.value.take()
    }

    /// Notes one more reference to `key`, which may come later in the same update.
    pub fn acquire(&mut self, key: &Key) -> Idx<T> {
        let idx = self.slot(key);
        if let Some(slot) = self.slots.get_mut(idx as usize) {
            slot.references += 1;
            if slot.value.is_none() {
                self.suspects.push(idx);
            }
        }
        Idx(idx, PhantomData)
    }

    /// Takes back one reference.
    pub fn release(&mut self, idx: Idx<T>) {
        if let Some(slot) = self.slots.get_mut(idx.0 as usize) {
            slot.references = slot.references.saturating_sub(1);
            if slot.value.is_none() {
                self.suspects.push(idx.0);
            }
        }
    }

    /// Frees what is neither there nor referred to, and returns the keys that are referred to but
    /// not there.
    pub fn settle(&mut self) -> Vec<Key> {
        let mut dangling = Vec::new();
        let mut suspects = std::mem::take(&mut self.suspects);
        suspects.sort_unstable();
        suspects.dedup();
        for idx in suspects {
            match self.slots.get(idx as usize) {
                Some(slot) if slot.value.is_none() && slot.references > 0 => dangling.push(slot.key.clone()),
                Some(slot) if slot.value.is_none() && self.index.get(&slot.key) == Some(&idx) => {
                    self.index.remove(&slot.key);
                    self.free.push_back(idx);
                }
                Some(_) | None => {}
            }
        }
        dangling
    }

    fn slot(&mut self, key: &Key) -> u32 {
        if let Some(idx) = self.index.get(key) {
            return *idx;
        }
        let slot = Slot {
            key: key.clone(),
            value: None,
            references: 0,
        };
        let idx = match self.free.pop_front() {
            Some(idx) => {
                self.slots.set(idx as usize, slot);
                idx
            }
            None => {
                self.slots.push_back(slot);
                // Bounded by the number of resources, which is bounded by the size of an update.
                (self.slots.len() - 1) as u32
            }
        };
        self.index.insert(key.clone(), idx);
        idx
    }
}

impl<T> Default for Registry<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Clone for Registry<T> {
    fn clone(&self) -> Self {
        Self {
            index: self.index.clone(),
            slots: self.slots.clone(),
            free: self.free.clone(),
            suspects: self.suspects.clone(),
        }
    }
}

impl<T> Clone for Slot<T> {
    fn clone(&self) -> Self {
        Self {
            key: self.key.clone(),
            value: self.value.clone(),
            references: self.references,
        }
    }
}

impl<T> Clone for Idx<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Idx<T> {}

impl<T> PartialEq for Idx<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<T> Eq for Idx<T> {}

impl<T> Hash for Idx<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl<T> fmt::Debug for Idx<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Key {
        Key::parse(&format!("backend/default/{name}")).unwrap()
    }

    #[test]
    fn a_slot_is_kept_while_its_key_lives_and_reused_after() {
        let mut registry = Registry::new();
        let a = registry.set(&key("a"), Arc::new(1));
        assert_eq!(registry.set(&key("a"), Arc::new(2)), a);
        assert_eq!(registry.get(a).map(|value| **value), Some(2));
        registry.unset(&key("a"));
        assert!(registry.settle().is_empty());
        assert_eq!(registry.set(&key("b"), Arc::new(3)), a);
        assert_eq!(registry.idx(&key("a")), None);
    }

    #[test]
    fn a_reference_may_come_before_its_target_but_not_without_it() {
        let mut registry = Registry::new();
        let early = registry.acquire(&key("late"));
        let never = registry.acquire(&key("never"));
        registry.set(&key("late"), Arc::new(1));
        assert_eq!(registry.settle(), [key("never")]);
        assert_eq!(registry.idx(&key("late")), Some(early));
        registry.release(never);
        assert!(registry.settle().is_empty());
    }

    #[test]
    fn what_is_still_referred_to_is_named_when_it_is_taken_away() {
        let mut registry = Registry::new();
        registry.set(&key("a"), Arc::new(1));
        registry.acquire(&key("a"));
        registry.unset(&key("a"));
        assert_eq!(registry.settle(), [key("a")]);
    }
}
