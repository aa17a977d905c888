//! What an explanation tells: of copies, cross-origin requests and the filters of one backend; of the way
//! through the table; and of near misses, also against a reference that asks every predicate of every rule.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod filters;
mod near_misses;
mod reference;
mod rules;
mod way;

#[path = "../world/mod.rs"]
mod world;

use std::net::{IpAddr, Ipv4Addr};

/// Where all requests come from.
const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
