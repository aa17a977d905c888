//! Whole handshakes in memory: rustls on both sides, no sockets.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test ends where it goes wrong"
)]

mod authority;
mod clients;
mod ocsp;
mod responder;
mod resumption;
mod servers;
mod setup;
mod wire;
