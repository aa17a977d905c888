//! Random numbers for choices that nobody gains from guessing.

use std::{
    cell::Cell,
    hash::{BuildHasher as _, RandomState},
};

/// SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators").
#[derive(Debug)]
pub(crate) struct Random(Cell<u64>);

impl Random {
    /// Seeded by the system.
    pub(crate) fn seeded() -> Self {
        Self(Cell::new(RandomState::new().hash_one(0)))
    }

    /// 64 uniform bits.
    #[inline]
    pub(crate) fn next(&self) -> u64 {
        let state = self.0.get().wrapping_add(0x9E37_79B9_7F4A_7C15);
        self.0.set(state);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}
