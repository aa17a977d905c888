//! The one place where the wall clock is read. Durations are measured on the monotonic clock of
//! tokio, which tests can pause; this one only dates what people look at, and judges certificates.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::store::UnixMillis;

/// Now, for people and certificates, as the time since 1970. A clock set before that reads 0.
#[allow(clippy::disallowed_methods)] // this is the one place
pub fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// The same in milliseconds.
pub fn wall() -> UnixMillis {
    UnixMillis(u64::try_from(since_1970().as_millis()).unwrap_or(u64::MAX))
}
