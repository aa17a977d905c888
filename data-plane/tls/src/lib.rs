//! Certificates and keys: read from PEM, checked, and made into rustls configurations. No IO, no
//! clock, no network.
//!
//! Both planes use it: the control plane checks before it publishes with the code that the proxies
//! serve with, so that what a proxy gets is what a proxy takes. Nothing here ever says what a key
//! or a certificate contains, only what is wrong with it.

mod client_cert;
mod clients;
mod debug_token;
mod fault;
mod identity;
mod leaf;
mod name;
mod ocsp;
mod peer;
mod pem;
mod provider;
mod server;
mod servers;
mod statement;
mod tickets;
mod trust;
mod validity;

pub use client_cert::describe_client;
pub use clients::Clients;
pub use debug_token::{DebugClaim, DebugToken, MAX_DEBUG_TOKEN_LIFE};
pub use fault::Fault;
pub use identity::{Identity, check_pair};
pub use leaf::Leaf;
pub use ocsp::{OcspFault, Staple};
pub use peer::{CONTROL_URI, KeyHash, ProxyPeer, proxy_uri};
pub use pem::{MAX_CHAIN, MAX_CRLS, MAX_ROOTS, read_chain, read_crls, read_private_key, read_roots};
pub use provider::MinVersion;
pub use server::{ALPN_H2, ALPN_HTTP1, server_config};
pub use servers::{SubjectName, client_config, pinned_client_config};
pub use statement::{Signer, SigningKeyId, Unsigned, Verifiers};
pub use tickets::{TICKET_KEY, Tickets};
pub use trust::{Trust, check_trust};
pub use validity::Validity;

#[cfg(test)]
mod tests;
