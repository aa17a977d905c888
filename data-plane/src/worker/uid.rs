//! Hashing of numbers that are unique in this process already.

use std::hash::{BuildHasherDefault, Hasher};

/// Builds [`UidHasher`]s.
pub(crate) type UidHash = BuildHasherDefault<UidHasher>;

/// Spreads numbers that nobody outside chooses: one multiplication each, where a hash that
/// withstands chosen keys costs twenty nanoseconds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct UidHasher(u64);

impl Hasher for UidHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    #[inline]
    fn write_u64(&mut self, number: u64) {
        // Fibonacci hashing; the rotation carries the spread bits on to the next number.
        self.0 = (self.0.rotate_left(23) ^ number).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }

    #[inline]
    fn write_usize(&mut self, number: usize) {
        self.write_u64(number as u64);
    }
}
