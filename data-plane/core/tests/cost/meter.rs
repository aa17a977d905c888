//! The system's allocator with a tally per thread, so that tests side by side do not mix.

#![allow(
    unsafe_code,
    reason = "an allocator is unsafe by nature; every call goes on as it came"
)]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    ops::Sub,
};

/// Counts what it passes on to [`System`].
pub(crate) struct Meter;

/// What a thread has allocated so far, or between two moments.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tally {
    /// Blocks asked for; one that grows or shrinks counts again.
    pub(crate) blocks: u64,
    /// Bytes asked for, in those blocks.
    pub(crate) bytes: u64,
    /// Blocks not given back; negative when more are given back than asked for.
    pub(crate) live_blocks: i64,
    /// Bytes not given back.
    pub(crate) live_bytes: i64,
    /// Most bytes that were not given back at one moment.
    pub(crate) peak_bytes: i64,
}

thread_local! {
    // Constant and without a destructor: reading it allocates nothing.
    static TALLY: Cell<Tally> = const {
        Cell::new(Tally { blocks: 0, bytes: 0, live_blocks: 0, live_bytes: 0, peak_bytes: 0 })
    };
}

/// Runs `work`; what it allocates and what of that outlives it, in its result.
pub(crate) fn measure<T>(work: impl FnOnce() -> T) -> (T, Tally) {
    let mut before = TALLY.get();
    before.peak_bytes = before.live_bytes;
    TALLY.set(before);
    let result = work();
    (result, TALLY.get() - before)
}

impl Sub for Tally {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            blocks: self.blocks - before.blocks,
            bytes: self.bytes - before.bytes,
            live_blocks: self.live_blocks - before.live_blocks,
            live_bytes: self.live_bytes - before.live_bytes,
            peak_bytes: self.peak_bytes - before.peak_bytes,
        }
    }
}

fn asked(size: usize) {
    let mut tally = TALLY.get();
    tally.blocks += 1;
    tally.bytes += size as u64;
    tally.live_blocks += 1;
    tally.live_bytes += size as i64;
    tally.peak_bytes = tally.peak_bytes.max(tally.live_bytes);
    TALLY.set(tally);
}

fn returned(size: usize) {
    let mut tally = TALLY.get();
    tally.live_blocks -= 1;
    tally.live_bytes -= size as i64;
    TALLY.set(tally);
}

// SAFETY: arguments and results are those of `System`, which keeps the contract.
unsafe impl GlobalAlloc for Meter {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        asked(layout.size());
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        asked(layout.size());
        // SAFETY: as the caller promises.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        returned(layout.size());
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        returned(layout.size());
        asked(size);
        // SAFETY: as the caller promises.
        unsafe { System.realloc(block, layout, size) }
    }
}
