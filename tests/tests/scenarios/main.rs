//! What a user of Sluice relies on, on real processes and sockets: `sluice-control` and
//! `sluice-proxy` as they are built, with upstreams and clients around them.

// Clippy's `allow-unwrap-in-tests` does not reach functions that tests share.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod access_log;
mod answers;
mod bodies;
mod change;
mod ci;
mod corrupt;
mod database;
mod deploy;
mod discovery;
mod drain;
mod experiment;
mod explained;
mod failover;
mod failures;
mod files;
mod filters;
mod fleet;
mod framing;
mod headers;
mod hops;
mod killed;
mod large;
mod limits;
mod load;
mod matching;
mod nginx;
mod outlier;
mod parked;
mod ports;
mod postgres;
mod python;
mod rates;
mod replay;
mod replicas;
mod restart;
mod rollback;
mod secrets;
mod slow;
mod snapshot;
mod split;
mod status;
mod swaps;
mod swarm;
mod tls;
mod told;
mod trust;
mod versions;
mod views;
mod websocket;
mod weights;
mod writes;
