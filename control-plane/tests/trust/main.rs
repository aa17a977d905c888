//! Who is let in, over real connections to a control plane in this process.

// Clippy's `allow-unwrap-in-tests` does not reach functions that tests share.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod enrolment;
mod metrics;
mod site;
mod streams;
