//! The Sluice control plane: intent in Postgres or SQLite, compiled and streamed to the fleet.

mod bootstrap;
pub mod clock;
pub mod compile;
mod control;
mod descriptors;
pub mod discovery;
pub mod fleet;
pub mod lint;
pub mod live;
pub mod measures;
pub mod plan;
pub mod rest;
pub mod store;
pub mod trust;

pub use control::{Config, Control, KEEP_SAMPLES, MAX_STREAMS, Running, StartError};
pub use descriptors::raise_descriptor_limit;
pub use live::TICKET_ROTATION;
pub use sluice_core::{Tally, TallyBounds};
pub use trust::CERTIFICATE_LIFETIME;
