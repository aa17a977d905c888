//! Sets that go on side by side and share what they have in common: the views of one world.

use std::collections::BTreeMap;
use std::sync::Arc;

use sluice_model::{Class, Key};

use super::{Difference, Entry, Half, ResourceSet, bucket_of};

/// What one set went through: a difference, from where, and where that led.
#[derive(Clone, Copy, Debug)]
pub struct Step<'a> {
    /// The set before.
    pub before: &'a ResourceSet,
    /// What led from there to `after`.
    pub difference: &'a Difference,
    /// The set after.
    pub after: &'a ResourceSet,
}

/// What a difference does to one bucket, in its order.
#[derive(Default, PartialEq)]
struct Part<'a> {
    upserts: Vec<&'a Entry>,
    removals: Vec<&'a Key>,
}

impl ResourceSet {
    /// As [`ResourceSet::apply`], beside another set: a bucket that both had in common, and to which
    /// the same was done there, is taken from there. It costs one look, and stays one in memory.
    pub fn apply_beside(&self, difference: &Difference, step: &Step<'_>) -> Self {
        let mut next = self.clone();
        next.config.apply_beside(difference, Class::Config, step);
        next.runtime.apply_beside(difference, Class::Runtime, step);
        next
    }
}

impl Half {
    fn apply_beside(&mut self, difference: &Difference, class: Class, step: &Step<'_>) {
        let (before, after) = (step.before.half(class), step.after.half(class));
        let (own, other) = (parts(difference, class), parts(step.difference, class));
        let mut rest = Difference::default();
        let mut is_taken = false;
        for (at, part) in own {
            let is_common = Arc::ptr_eq(&self.buckets[at], &before.buckets[at]);
            if is_common && other.get(&at) == Some(&part) {
                let (old, new) = (&before.buckets[at], &after.buckets[at]);
                self.len = self.len + new.len() - old.len();
                Arc::make_mut(&mut self.buckets)[at] = Arc::clone(new);
                is_taken = true;
            } else {
                rest.upserts.extend(part.upserts.into_iter().cloned());
                rest.removals.extend(part.removals.into_iter().cloned());
            }
        }
        match rest.is_empty() {
            true if is_taken => self.sum_up(),
            true => {}
            false => self.apply(&rest, class),
        }
    }
}

fn parts(difference: &Difference, class: Class) -> BTreeMap<usize, Part<'_>> {
    let mut parts: BTreeMap<usize, Part<'_>> = BTreeMap::new();
    for entry in &difference.upserts {
        if entry.key.kind().class() == class {
            parts
                .entry(bucket_of(&entry.key))
                .or_default()
                .upserts
                .push(entry);
        }
    }
    for key in &difference.removals {
        if key.kind().class() == class {
            parts.entry(bucket_of(key)).or_default().removals.push(key);
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::{entry, set};
    use super::*;

    fn difference(upserts: &[(u8, u8)], removals: &[u8]) -> Difference {
        Difference {
            upserts: upserts.iter().map(|(name, body)| entry(*name, *body)).collect(),
            removals: removals.iter().map(|name| entry(*name, 0).key).collect(),
        }
    }

    /// Buckets that both hold in one place.
    fn common(one: &ResourceSet, other: &ResourceSet) -> usize {
        let pairs = one.config.buckets.iter().zip(&*other.config.buckets);
        pairs.filter(|(one, other)| Arc::ptr_eq(one, other)).count()
    }

    proptest! {
        #[test]
        fn beside_another_set_the_outcome_is_the_same(
            base: Vec<(u8, u8)>,
            own: Vec<(u8, u8)>,
            theirs: (Vec<(u8, u8)>, Vec<u8>),
            shared: (Vec<(u8, u8)>, Vec<u8>),
        ) {
            let before = set(&base);
            let held = before.apply(&difference(&own, &[]));
            let first = difference(&theirs.0, &theirs.1);
            let second = difference(&shared.0, &shared.1);
            for (wanted, done) in [(&second, &second), (&second, &first)] {
                let after = before.apply(done);
                let step = Step { before: &before, difference: done, after: &after };
                let (beside, alone) = (held.apply_beside(wanted, &step), held.apply(wanted));
                prop_assert!(beside.iter().eq(alone.iter()));
                prop_assert_eq!(beside.digest(Class::Config), alone.digest(Class::Config));
                prop_assert_eq!(beside.len(), alone.len());
            }
        }
    }

    #[test]
    fn what_both_have_in_common_stays_one_however_often_it_changes() {
        let mut one = set(&(0..200).map(|name| (name, 0)).collect::<Vec<_>>());
        let mut other = one.apply(&difference(&[(250, 1)], &[]));
        let at_first = common(&one, &other);
        for body in 1..50 {
            let done = difference(&[(body, body), (body + 100, body)], &[body - 1]);
            let after = one.apply(&done);
            let step = Step {
                before: &one,
                difference: &done,
                after: &after,
            };
            other = other.apply_beside(&done, &step);
            one = after;
        }
        assert!(at_first > 200 && common(&one, &other) >= at_first, "{at_first}");
        assert_eq!(one.len() + 1, other.len());
    }
}
