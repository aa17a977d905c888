//! The worlds that bytes lead to are worth a fuzzer's time: neither all refused nor all built.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use arbitrary::Unstructured;
use sluice_core::Snapshot;
use sluice_fuzz::{
    promises::{HISTORY, step},
    world::World,
};

const LEN: usize = 384;
const WORLDS: u64 = 60;

/// Bytes that are always the same for a seed (xorshift).
fn noise(seed: u64) -> Vec<u8> {
    let next = |state: &mut u64| {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        Some((*state >> 32) as u8)
    };
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    std::iter::from_fn(|| next(&mut state))
        .skip(16)
        .take(LEN)
        .collect()
}

#[test]
fn many_steps_are_built_and_many_refused() {
    let (mut built, mut refused, mut most) = (0, 0, 0);
    for seed in 0..WORLDS {
        let bytes = noise(seed);
        let mut steer = Unstructured::new(&bytes);
        let (mut world, mut held) = (World::small().unwrap(), Snapshot::empty(HISTORY));
        while !steer.is_empty() {
            let mut changed = world.clone();
            changed.change(&mut steer).unwrap();
            match step(&held, &changed.resources()) {
                Some(next) => {
                    (built, most) = (built + 1, most.max(next.rules().count()));
                    (held, world) = (next, changed);
                }
                None => refused += 1,
            }
        }
    }
    println!("{built} steps built, {refused} refused, at most {most} rules");
    assert!(
        built * 4 > refused && refused * 4 > built,
        "{built} built, {refused} refused"
    );
    assert!(most > 1);
}
