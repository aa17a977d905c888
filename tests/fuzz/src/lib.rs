//! What the fuzz targets of `src/bin` share: worlds to build snapshots from, and what must be true
//! of every snapshot that is built, and of every HTTP/1 message that is let in and of every name that a TLS client
//! asks for.
//!
//! `./tests/run fuzz` runs each target for some seconds, with what lies in `corpus/NAME` as a start.

pub mod http1;
mod messages;
pub mod promises;
pub mod requests;
pub mod tls;
pub mod world;
