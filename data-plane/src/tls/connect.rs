//! A handshake with an upstream.

use std::{net::IpAddr, sync::Arc};

use rustls::{ClientConfig, pki_types::ServerName};
use sluice_model::Protocol;
use sluice_tls::{ALPN_H2, Fault};
use tokio_rustls::TlsConnector;

use crate::{request::Reason, socket::Socket, transport::Transport};

/// How connections to one backend are secured.
#[derive(Debug)]
pub(crate) struct Dial {
    config: Arc<ClientConfig>,
    /// The name that is asked for; none is, when absent.
    sni: Option<ServerName<'static>>,
    protocol: Protocol,
}

impl Dial {
    /// # Errors
    /// When `sni` is no DNS name.
    pub(super) fn new(config: ClientConfig, sni: Option<&str>, protocol: Protocol) -> Result<Self, Fault> {
        let name = |sni: &str| ServerName::try_from(sni.to_owned()).map_err(|_| Fault::Name);
        Ok(Self {
            config: Arc::new(config),
            sni: sni.map(name).transpose()?,
            protocol,
        })
    }
}

/// Shakes hands on a new connection to `address`.
///
/// # Errors
/// When the upstream is not who it has to be, or does not do TLS as it has to.
pub(crate) async fn connect(dial: &Dial, address: IpAddr, socket: Socket) -> Result<Transport, Reason> {
    // Addresses are never sent.
    let name = dial.sni.clone().unwrap_or(ServerName::from(address));
    let failed = |error| {
        tracing::debug!(%address, %error, "TLS with an upstream failed");
        Reason::UpstreamTls
    };
    let stream = TlsConnector::from(Arc::clone(&dial.config))
        .connect(name, socket)
        .await
        .map_err(failed)?;
    if dial.protocol == Protocol::H2c && stream.get_ref().1.alpn_protocol() != Some(ALPN_H2) {
        tracing::debug!(%address, "an upstream does not take HTTP/2 over TLS");
        return Err(Reason::UpstreamTls);
    }
    Ok(Transport::tls(stream.into()))
}
