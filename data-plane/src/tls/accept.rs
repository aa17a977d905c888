//! A client's handshake.

use std::{net::IpAddr, sync::Arc};

use http::HeaderValue;
use rustls::{
    HandshakeKind,
    pki_types::{CertificateDer, UnixTime},
    server::Acceptor,
};
use sluice_model::Key;
use sluice_tls::{ALPN_H2, Clients, describe_client};
use tokio::io::AsyncWriteExt as _;
use tokio_rustls::{LazyConfigAcceptor, server::TlsStream};

use super::{HandshakeFailure, Listening};
use crate::{
    live::Pinned,
    socket::Socket,
    transport::Transport,
    worker::{Full, Seat, Worker},
};

/// A fatal `unrecognized_name` (RFC 6066 section 3) in a record of its own (RFC 8446 section 6).
const UNRECOGNIZED_NAME: [u8; 7] = [21, 3, 3, 0, 2, 2, 112];

/// What a connection was made for, and by whom.
#[derive(Debug)]
pub(crate) struct Secured {
    /// The name that the client asked for.
    sni: Option<Box<str>>,
    listening: Arc<Listening>,
    /// The client's certificate, verified, as `x-forwarded-client-cert` has it.
    pub(crate) client: Option<HeaderValue>,
    /// Whether HTTP/2 was agreed on.
    pub(crate) http2: bool,
}

impl Secured {
    /// The listener that the connection belongs to in `snapshot`; none, when that has another one
    /// for the name, or when it asks something else of clients than the connection was made under.
    pub(crate) fn listener<'s>(&self, snapshot: &'s Pinned, port: u16) -> Option<&'s Key> {
        let listener = snapshot.tls_listener(port, self.sni.as_deref())?;
        let listening = snapshot.tls().listener(&listener.key)?;
        let same = Arc::ptr_eq(listening, &self.listening) || listening.asks_the_same(&self.listening);
        same.then_some(&listener.key)
    }
}

/// Shakes hands with a client of `port`; the live snapshot says, by the name that the client asks
/// for, with what, and whether that listener has a place for it.
///
/// # Errors
/// Why there is no connection; the client has been told, if it still listens.
pub(crate) async fn accept(
    worker: &Worker,
    port: u16,
    socket: Socket,
    client: IpAddr,
) -> Result<(Transport, Secured, Option<Seat>), HandshakeFailure> {
    let failed = |error| HandshakeFailure::of(&error);
    let mut start = LazyConfigAcceptor::new(Acceptor::default(), socket)
        .await
        .map_err(failed)?;
    let sni = start.client_hello().server_name().map(ToOwned::to_owned);
    let (listening, seat) = match place(worker, port, sni.as_deref(), client) {
        Ok(place) => place,
        Err(failure) => {
            if failure == HandshakeFailure::UnknownName {
                // Nobody is there to be told that telling failed.
                let _ = start.io.write_all(&UNRECOGNIZED_NAME).await;
                let _ = start.io.shutdown().await;
            }
            return Err(failure);
        }
    };
    let stream = start
        .into_stream(Arc::clone(&listening.config))
        .await
        .map_err(failed)?;
    let identified = identify(&listening, &stream)?;
    let tls = stream.get_ref().1;
    worker.stats.count(|counters| match tls.handshake_kind() {
        Some(HandshakeKind::Resumed) => counters.handshakes.resumed += 1,
        _ => counters.handshakes.full += 1,
    });
    let secured = Secured {
        sni: sni.map(Into::into),
        listening,
        client: identified,
        http2: tls.alpn_protocol() == Some(ALPN_H2),
    };
    Ok((Transport::tls(stream.into()), secured, seat))
}

/// What the listener for that name serves with, and a place there. Before anything that costs: whoever
/// is one too many gets no handshake.
fn place(
    worker: &Worker,
    port: u16,
    sni: Option<&str>,
    client: IpAddr,
) -> Result<(Arc<Listening>, Option<Seat>), HandshakeFailure> {
    let snapshot = worker.view.pin();
    let listener = snapshot.tls_listener(port, sni);
    let listener = listener.ok_or(HandshakeFailure::UnknownName)?;
    let listening = snapshot.tls().listener(&listener.key);
    let listening = listening.ok_or(HandshakeFailure::UnknownName)?;
    let seat = snapshot.loads().seat(&listener.key, &listener.limits, client);
    match seat {
        Ok(seat) => Ok((Arc::clone(listening), seat)),
        Err(Full) => {
            worker.stats.over_limit(Some(&listener.key));
            Err(HandshakeFailure::OverLimit)
        }
    }
}

/// Who the client is, as far as that is verified.
fn identify(
    listening: &Listening,
    stream: &TlsStream<Socket>,
) -> Result<Option<HeaderValue>, HandshakeFailure> {
    let tls = stream.get_ref().1;
    let Some(clients) = &listening.clients else {
        return Ok(None);
    };
    let chain = match tls.peer_certificates() {
        Some(chain) => chain,
        None if clients.is_optional() => return Ok(None),
        None => return Err(HandshakeFailure::ClientCertMissing),
    };
    let resumed = tls.handshake_kind() == Some(HandshakeKind::Resumed);
    if (resumed || clients.is_optional()) && !is_valid(clients, chain)? {
        return Ok(None);
    }
    let described = chain.first().and_then(|leaf| describe_client(leaf).ok());
    match described.and_then(|text| HeaderValue::try_from(text).ok()) {
        Some(described) => Ok(Some(described)),
        None if clients.is_optional() => Ok(None),
        // Whoever has to be named is not let in without a name.
        None => Err(HandshakeFailure::ClientCertInvalid),
    }
}

/// Whether the certificate is valid now; an error, where only valid ones are let in.
fn is_valid(clients: &Clients, chain: &[CertificateDer<'_>]) -> Result<bool, HandshakeFailure> {
    match clients.verify(chain, UnixTime::now()) {
        Ok(()) => Ok(true),
        Err(error) => {
            tracing::debug!(%error, "a client's certificate is not valid");
            match clients.is_optional() {
                true => Ok(false),
                false => Err(HandshakeFailure::of_tls(&error)),
            }
        }
    }
}
