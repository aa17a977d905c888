//! The semantic difference: what it finds by example, against brute force, and at what cost.
//!
//! More random tables than usual: `PROPTEST_CASES=20000 cargo test --release -p sluice-core --test diff`.
//! Times, which mean something only in a release build:
//! `cargo test --release -p sluice-core --test diff -- --ignored --nocapture --test-threads 1`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod cases;
mod claims;
mod cost;
mod grid;
mod law;
mod replay;
mod sizes;
mod state;
mod table;
mod writes;

#[path = "../cost/meter.rs"]
mod meter;
#[path = "../world/mod.rs"]
mod world;

#[global_allocator]
static METER: meter::Meter = meter::Meter;
