//! Both ends of a connection, in memory.

use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, Error, ServerConfig, ServerConnection};

/// Who found what wrong.
#[derive(Debug, PartialEq)]
pub(crate) enum Failed {
    Client(Error),
    Server(Error),
}

pub(crate) struct Ends {
    pub(crate) client: ClientConnection,
    pub(crate) server: ServerConnection,
}

/// Shakes hands, and has the client hear everything that the server says of its own accord.
pub(crate) fn connect(
    client: &Arc<ClientConfig>,
    server: &Arc<ServerConfig>,
    name: &str,
) -> Result<Ends, Failed> {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut client = ClientConnection::new(Arc::clone(client), name).unwrap();
    let mut server = ServerConnection::new(Arc::clone(server)).unwrap();
    loop {
        let mut bytes = Vec::new();
        client.write_tls(&mut bytes).unwrap();
        let sent = bytes.len();
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            server.read_tls(&mut rest).unwrap();
        }
        server.process_new_packets().map_err(Failed::Server)?;
        let mut bytes = Vec::new();
        server.write_tls(&mut bytes).unwrap();
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            client.read_tls(&mut rest).unwrap();
        }
        client.process_new_packets().map_err(Failed::Client)?;
        if sent + bytes.len() == 0 {
            assert!(!client.is_handshaking() && !server.is_handshaking());
            return Ok(Ends { client, server });
        }
    }
}
