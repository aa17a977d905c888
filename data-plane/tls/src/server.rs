//! What a listener serves with.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::time_provider::TimeProvider;

use crate::provider::provider;
use crate::{Clients, Fault, Identity, MinVersion, Tickets, identity::Identities};

/// HTTP/2 in the handshake (RFC 9113 section 3.2).
pub const ALPN_H2: &[u8] = b"h2";
/// HTTP/1.1 in the handshake (RFC 7301 section 6).
pub const ALPN_HTTP1: &[u8] = b"http/1.1";

/// Makes the configuration of a listener. Sessions are resumed by tickets alone: they work on every
/// proxy that has the keys, and nothing is kept of clients. By `clock` sessions and clients'
/// certificates end, and responses are no longer stapled.
///
/// # Errors
/// When there is no certificate to show.
pub fn server_config(
    identities: Vec<Identity>,
    clients: Option<Arc<Clients>>,
    min_version: MinVersion,
    tickets: Tickets,
    clock: Arc<dyn TimeProvider>,
) -> Result<ServerConfig, Fault> {
    if identities.is_empty() {
        return Err(Fault::NoCertificate);
    }
    let builder = ServerConfig::builder_with_details(provider(), Arc::clone(&clock))
        .with_protocol_versions(min_version.versions())
        .map_err(|_| Fault::Provider)?;
    let builder = match clients {
        Some(clients) => builder.with_client_cert_verifier(clients),
        None => builder.with_client_cert_verifier(WebPkiClientVerifier::no_client_auth()),
    };
    let mut config = builder.with_cert_resolver(Arc::new(Identities::new(identities, clock)));
    config.alpn_protocols = vec![ALPN_H2.to_vec(), ALPN_HTTP1.to_vec()];
    // Of the suites that both have, the strongest; a client is not asked which it likes best.
    config.ignore_client_order = true;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.ticketer = Arc::new(tickets);
    Ok(config)
}
