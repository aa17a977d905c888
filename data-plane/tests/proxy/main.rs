//! A whole proxy between real sockets: a scripted control plane on one side of it, small upstreams
//! on the other.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod client;
mod control;
mod edge;
#[path = "../../src/testing/snapshot.rs"]
mod snapshot;
mod upstream;

mod answers;
mod balancing;
mod bodies;
mod changes;
mod crossing;
mod draining;
mod experiments;
mod filters;
mod http2;
mod limits;
mod listeners;
mod places;
mod retries;
mod telemetry;
mod tls;
mod told;
mod upgrades;
