//! A new connection to an endpoint.

use std::{net::SocketAddr, time::Duration};

use tokio::{net::TcpStream, time};

use crate::{
    request::Reason,
    socket::Socket,
    tls::{self, Dial},
    transport::Transport,
};

/// Connects within `timeout`, and shakes hands, if connections are secured.
///
/// # Errors
/// When the endpoint refuses, does not answer in time, or is not who it has to be.
pub(super) async fn connect(
    address: SocketAddr,
    timeout: Duration,
    dial: Option<&Dial>,
) -> Result<Transport, Reason> {
    let connecting = async {
        let stream = TcpStream::connect(address).await.map_err(|error| {
            tracing::debug!(%address, %error, "cannot connect");
            Reason::ConnectFailed
        })?;
        let socket = Socket::new(stream);
        match dial {
            None => Ok(Transport::Plain(socket)),
            Some(dial) => tls::connect(dial, address.ip(), socket).await,
        }
    };
    time::timeout(timeout, connecting)
        .await
        .map_err(|_| Reason::ConnectTimeout)?
}
