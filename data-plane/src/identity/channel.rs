//! Connections to control planes.

use std::{
    io,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::{FutureExt as _, future::BoxFuture};
use http::Uri;
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};
use tonic::{
    codegen::Service,
    transport::{Channel, Endpoint, Error},
};

use super::host;

/// A peer that is silent for this long is asked, and has as long again to answer.
const KEEP_ALIVE: Duration = Duration::from_secs(4);
/// What servers are asked for when they are reached by something that is no name.
const NAME: &str = "sluice";

/// Connects to `address`, over TLS if there is anything to do it with.
pub(super) async fn connect(address: &str, tls: Option<Arc<ClientConfig>>) -> Result<Channel, Error> {
    let endpoint = Endpoint::from_shared(format!("http://{address}"))?
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE)
        .keep_alive_while_idle(true)
        .tcp_nodelay(true);
    match tls {
        None => endpoint.connect().await,
        Some(config) => {
            let connector = Connector {
                address: address.into(),
                tls: TlsConnector::from(config),
            };
            endpoint.connect_with_connector(connector).await
        }
    }
}

#[derive(Clone)]
struct Connector {
    address: Arc<str>,
    tls: TlsConnector,
}

impl Service<Uri> for Connector {
    type Response = TokioIo<TlsStream<TcpStream>>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Self::Response>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let Self { address, tls } = self.clone();
        let connecting = async move {
            let stream = TcpStream::connect(&*address).await?;
            stream.set_nodelay(true)?;
            // Servers are known by what their certificate names, not by where they are.
            let name = ServerName::try_from(host(&address).to_owned());
            let name = name
                .or_else(|_| ServerName::try_from(NAME))
                .map_err(io::Error::other)?;
            Ok(TokioIo::new(tls.connect(name, stream).await?))
        };
        connecting.boxed()
    }
}
