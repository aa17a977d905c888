//! Worlds that change step by step: each step is refused or built, and if built it is the same
//! whether it came at once or as a difference.

#![no_main]

use arbitrary::Unstructured;
use libfuzzer_sys::fuzz_target;
use sluice_core::{ResourceSet, Snapshot};
use sluice_fuzz::{
    promises::{HISTORY, step},
    world::World,
};

const STEPS: usize = 4;

fuzz_target!(|bytes: &[u8]| run(bytes));

fn run(bytes: &[u8]) {
    let mut steer = Unstructured::new(bytes);
    let mut held = Snapshot::empty(HISTORY);
    let Ok(mut world) = World::small() else { return };
    for _ in 0..STEPS {
        let mut changed = world.clone();
        if steer.is_empty() || changed.change(&mut steer).is_err() {
            break;
        }
        // What is refused is given up, or nothing after it would ever be built.
        if let Some(built) = step(&held, &changed.resources()) {
            (held, world) = (built, changed);
        }
    }
    // From anywhere there is a way to nothing, and nothing stays behind.
    let empty = step(&held, &ResourceSet::empty());
    assert!(empty.is_some_and(|empty| empty.backends().count() + empty.rules().count() == 0));
}
