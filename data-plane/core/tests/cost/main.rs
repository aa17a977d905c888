//! What a table of 10,000 routes costs: to hold, to change, to look into, to explain.
//!
//! Memory is counted, not timed, so the bounds hold on any machine. `--nocapture` prints the counts;
//! the times, which mean something only in a release build, are asked for with
//! `cargo test --release -p sluice-core --test cost -- --ignored --nocapture`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod explain;
mod memory;
mod meter;
mod shop;
mod time;

#[global_allocator]
static METER: meter::Meter = meter::Meter;
