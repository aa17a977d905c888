//! The REST interface as clients meet it: the router itself, on a store in memory.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod apply;
mod diff;
mod explain;
mod export;
mod fleet;
mod history;
mod lint;
mod manifests;
mod openapi;
mod plan;
mod proxy;
mod refusals;
mod replay;
mod resources;
mod samples;
mod secrets;
mod server;
mod tokens;
mod views;
mod watching;
