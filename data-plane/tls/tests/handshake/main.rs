//! Whole handshakes in memory: rustls on both sides, no sockets.

#![allow(clippy::unwrap_used, reason = "a test ends where it goes wrong")]

mod authority;
mod clients;
mod resumption;
mod servers;
mod setup;
mod wire;
