//! What a proxy is doing, as everybody but its requests may see it.

use std::{fmt, net::SocketAddr, num::NonZeroU32, sync::Arc, time::Duration};

use sluice_model::{HistoryId, Key, Position, Violation};

/// The state of a proxy; told anew at every change.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// Whether a complete snapshot is live and its listeners are bound. Empty is complete, too.
    pub complete: bool,
    /// History of the live snapshot.
    pub history: HistoryId,
    /// Position of the live snapshot.
    pub position: Position,
    /// Listeners of the live snapshot, and where they are bound.
    pub listeners: Arc<[BoundListener]>,
    /// Microseconds that it took to verify, build and publish the live snapshot.
    pub build_us: u64,
    /// Why a newer snapshot that was sent is not live yet: its ports cannot be bound.
    pub waiting: Arc<[Violation]>,
    /// The control plane that is connected.
    pub control: Option<ControlLink>,
    /// No more connections are taken.
    pub draining: bool,
}

/// A listener and where it is bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoundListener {
    /// `listener/NAMESPACE/GATEWAY/NAME`
    pub listener: Key,
    /// The address that takes connections.
    pub address: SocketAddr,
}

/// A stream to a control plane that has said welcome.
#[derive(Clone, PartialEq, Eq)]
pub struct ControlLink {
    /// The address it was reached at.
    pub address: String,
    /// Goes up with every stream, and when the control plane asks for all endpoints again: while it stays the
    /// same the control plane was told all that was reported.
    pub telling: u64,
    /// How often it wants reports.
    pub report_interval: Duration,
    /// What it wants values in samples to be hashed with.
    pub sample_key: Option<[u8; 32]>,
    /// How many kinds of sampled requests it wants in a report at most, if it says so.
    pub sample_kinds: Option<NonZeroU32>,
}

impl fmt::Debug for ControlLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ControlLink")
            .field("address", &self.address)
            .field("telling", &self.telling)
            .finish_non_exhaustive()
    }
}

impl Status {
    /// Whether requests should be sent here.
    pub fn is_ready(&self) -> bool {
        self.complete && !self.draining
    }
}
