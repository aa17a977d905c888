//! What the tests of this package share.

pub(crate) mod snapshot;
pub(crate) mod wire;
