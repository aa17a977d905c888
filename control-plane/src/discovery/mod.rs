//! Where endpoints are: asked of DNS and etcd, by every replica for itself.
//!
//! A source answers into the [`Outbox`], where only its newest answer is kept; the [`Hub`] hands what
//! has gathered there to the writer, several times a second at most, who publishes it without a
//! revision. So however fast a source moves, the fleet gets a few updates a second, and memory holds
//! one answer for each source.
//!
//! A source that fails says nothing: what it knew last stays, here, on the proxies, and in the store
//! (see [`memory`]), where the next control plane finds it.

mod board;
mod dns;
mod etcd;
mod hub;
mod memory;
mod metrics;
mod outbox;

use std::net::SocketAddr;

pub use board::{Board, SourceState, SourceStatus, Totals};
pub(crate) use hub::Hub;
pub(crate) use memory::Memory;
pub use metrics::SourceCollector;
use outbox::Outbox;

/// Most sources that are followed; further ones, by name, are not, and say so.
pub const MAX_SOURCES: usize = 10_000;

/// How endpoints are discovered.
#[derive(Clone, Copy, Debug, Default)]
pub struct Config {
    /// The DNS server that is asked, over UDP and TCP; those of `/etc/resolv.conf` without.
    pub resolver: Option<SocketAddr>,
}
