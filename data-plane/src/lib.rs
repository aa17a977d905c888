//! The Sluice data plane: a stateless proxy that serves the newest snapshot it was given.
//!
//! One request runs through [`request::handle`], one change through `control::publish`. Workers are
//! threads that share nothing but the live snapshot; one more thread talks to the control plane and
//! to operators.

mod access_log;
mod clock;
mod config;
mod control;
mod debug;
mod descriptors;
mod http1;
mod identity;
mod listen;
mod live;
mod memory;
mod request;
mod sampling;
mod socket;
mod start;
mod status;
mod stream;
mod telemetry;
mod tls;
mod transport;
mod upstream;
mod worker;

#[cfg(test)]
mod testing;

pub use access_log::{Format, Sink, Template, TemplateError};
pub use config::{Config, PortMap, PortMapError, PortMapping, Timeouts};
pub use descriptors::raise_descriptor_limit;
pub use memory::{MemoryLimit, MemoryLimitError};
pub use sampling::{Sampling, SamplingError};
pub use start::{KeyFileError, Proxy, StartError, StateDirError};
pub use status::{BoundListener, ControlLink, Status};
