//! Which ports are bound: everything new before a snapshot goes live, what is gone after.

mod bind;
mod ports;

pub(crate) use self::ports::Ports;
