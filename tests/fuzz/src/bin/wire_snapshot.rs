//! Bytes that claim to be an update: refused or built, as they came and with true hashes put in,
//! without which hardly any would be read further than that.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use prost::Message;
use sluice_core::{Snapshot, Update, position_to_wire};
use sluice_fuzz::{
    promises::{HISTORY, position, receive, step},
    world::World,
};
use sluice_model::Digest;
use sluice_proto::v1;

static BASE: LazyLock<Option<Snapshot>> = LazyLock::new(|| {
    let resources = World::small().ok()?.resources();
    step(&Snapshot::empty(HISTORY), &resources)
});

fuzz_target!(|bytes: &[u8]| run(bytes));

fn run(bytes: &[u8]) {
    let (Ok(wire), Some(base)) = (v1::Update::decode(bytes), &*BASE) else {
        return;
    };
    let empty = Snapshot::empty(HISTORY);
    if let Ok(update) = Update::from_wire(wire.clone()) {
        assert_reads_back(&update);
        let _ = receive(&empty, &update);
        let _ = receive(base, &update);
    }
    for held in [&empty, base] {
        // Refused only for a key or a wire version: then there is nothing to build.
        let Ok(update) = Update::from_wire(seal(wire.clone(), held)) else {
            return;
        };
        assert_reads_back(&update);
        let target = held.resources().apply(&update.difference);
        // Twice there changes nothing: the step from a target to itself has no content.
        if let Some(built) = step(held, &target) {
            assert!(built.resources().diff(&target).upserts.is_empty());
            assert!(step(&built, held.resources()).is_some());
        }
    }
}

/// `wire` as one that holds `held` would get it, with the hashes that its bodies have.
fn seal(mut wire: v1::Update, held: &Snapshot) -> v1::Update {
    for entry in &mut wire.upserts {
        entry.hash = Digest::of(&entry.body).0.to_vec();
    }
    wire.history = HISTORY.0.to_vec();
    wire.base = Some(position_to_wire(held.position()));
    wire.target = Some(position_to_wire(position(1, held.resources())));
    wire
}

/// What was read is written as it was read; what the writer leaves out, the reader fills in.
fn assert_reads_back(update: &Update) {
    let wire = update.to_wire();
    let again = Update::from_wire(wire.clone()).map(|update| update.to_wire());
    assert_eq!(again, Ok(wire));
}
