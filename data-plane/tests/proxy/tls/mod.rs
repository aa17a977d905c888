//! TLS towards clients and upstreams.

#[path = "../../../tls/tests/handshake/authority.rs"]
#[allow(dead_code, reason = "shared with tests that make more kinds of certificates")]
mod authority;
mod clients;
mod peer;
mod resumption;
mod serving;
mod upstreams;
pub(crate) mod wire;
