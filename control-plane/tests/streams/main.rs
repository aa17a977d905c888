//! A control plane as a whole, met over real sockets as a proxy meets it.

// Clippy's `allow-unwrap-in-tests` does not reach functions that tests share.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod changes;
mod newcomers;
mod proxy;
mod site;
mod starting;
