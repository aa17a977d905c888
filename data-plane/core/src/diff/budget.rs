//! What one comparison may still do, and what it may still keep.

use super::Bounds;

/// Pairs that are looked at, in one place, when the work is used up.
pub(super) const SAMPLE: u64 = 16;

/// What is left of the bounds.
pub(super) struct Budget {
    /// What may still be done, in comparisons of a rule with a request.
    work: u64,
    /// The same, for samples after that.
    samples: u64,
    /// Of outcomes that may still be kept.
    bytes: u64,
    /// What was done.
    done: u64,
}

impl Budget {
    pub(super) fn new(bounds: &Bounds) -> Self {
        Self {
            work: bounds.work,
            samples: bounds.work / 16,
            bytes: bounds.bytes,
            done: 0,
        }
    }

    /// Whether nothing may be done any more.
    pub(super) fn is_spent(&self) -> bool {
        self.work == 0 && self.samples == 0
    }

    /// Whether only samples may be looked at.
    pub(super) fn is_sampling(&self) -> bool {
        self.work == 0
    }

    /// How much may be done to tell the pairs of one place.
    pub(super) fn of_one_place(&self) -> u64 {
        match self.work {
            0 => SAMPLE.min(self.samples),
            work => work,
        }
    }

    /// Whether a pair may be looked at before which so many of its place were.
    pub(super) fn allows_after(&self, pairs: usize) -> bool {
        !self.is_sampling() || (self.samples != 0 && (pairs as u64) < SAMPLE)
    }

    /// How much was done so far.
    pub(super) fn done(&self) -> u64 {
        self.done
    }

    pub(super) fn spend(&mut self, work: u64) {
        self.done = self.done.saturating_add(work);
        match self.work {
            0 => self.samples = self.samples.saturating_sub(work),
            left => self.work = left.saturating_sub(work),
        }
    }

    /// Takes so many bytes of what may be kept, if there are as many.
    pub(super) fn afford(&mut self, bytes: u64) -> bool {
        let left = self.bytes.checked_sub(bytes);
        self.bytes = left.unwrap_or(self.bytes);
        left.is_some()
    }
}
