//! What must be true of the first bytes of a TLS connection: nothing in them panics, the name in
//! them does not depend on how they were cut, and it is the one that stands there.

use std::io;

use rustls::server::Acceptor;
use sluice_core::normalize_host;

/// Bytes of a record's head (RFC 8446 section 5.1), and the type of those that carry handshakes.
const RECORD: usize = 5;
const HANDSHAKE: u8 = 22;

/// The name, in lower case, that the ClientHello in `bytes` asks for, when it is fed in pieces of `size`.
///
/// # Errors
/// When it is none, or not complete.
fn asked(bytes: &[u8], size: usize) -> Result<Option<String>, ()> {
    let mut acceptor = Acceptor::default();
    for mut piece in bytes.chunks(size.max(1)) {
        while !piece.is_empty() {
            match acceptor.read_tls(&mut piece as &mut dyn io::Read) {
                Ok(0) | Err(_) => return Err(()),
                Ok(_) => {}
            }
            match acceptor.accept() {
                Ok(None) => {}
                Ok(Some(accepted)) => return Ok(accepted.client_hello().server_name().map(Into::into)),
                Err(_) => return Err(()),
            }
        }
    }
    Err(())
}

/// The first bytes of a connection from anywhere. Says whether a handshake would begin.
pub fn client_hello(bytes: &[u8]) -> bool {
    let whole = asked(bytes, bytes.len());
    assert_eq!(asked(bytes, 1), whole, "cut into bytes");
    let Ok(name) = whole else { return false };
    assert_eq!(name.as_deref(), plain_name(bytes).as_deref());
    if let Some(name) = name
        && let Ok(host) = normalize_host(&name)
    {
        // SNI and Host of one text lead to one listener.
        assert_eq!(host.name, name.strip_suffix('.').unwrap_or(&name));
    }
    true
}

/// The same by the plain meaning of RFC 8446 section 4.1.2 and RFC 6066 section 3, for what is known
/// to be a ClientHello.
fn plain_name(bytes: &[u8]) -> Option<String> {
    let message = handshake(bytes);
    // Type and length, version, random.
    let mut rest = message.get(4 + 2 + 32..)?;
    vector(&mut rest, 1)?; // session id
    vector(&mut rest, 2)?; // cipher suites
    vector(&mut rest, 1)?; // compression methods
    let mut extensions = vector(&mut rest, 2)?;
    while let Some(kind) = take(&mut extensions, 2) {
        let mut content = vector(&mut extensions, 2)?;
        if kind != [0, 0] {
            continue;
        }
        let mut names = vector(&mut content, 2)?;
        while let Some(kind) = take(&mut names, 1) {
            let name = vector(&mut names, 2)?;
            // An address is no name: what is sent against the rules is not heard.
            if kind == [0] {
                let name = std::str::from_utf8(name).ok()?;
                let is_address = name.parse::<std::net::IpAddr>().is_ok();
                return (!is_address).then(|| name.to_ascii_lowercase());
            }
        }
    }
    None
}

/// What the records at the beginning carry.
fn handshake(mut bytes: &[u8]) -> Vec<u8> {
    let mut message = Vec::new();
    while let [HANDSHAKE, _, _, high, low, rest @ ..] = bytes {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        message.extend_from_slice(&rest[..length.min(rest.len())]);
        bytes = bytes.get(RECORD + length..).unwrap_or(&[]);
    }
    message
}

fn take<'b>(bytes: &mut &'b [u8], length: usize) -> Option<&'b [u8]> {
    let (taken, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(taken)
}

/// A vector whose length is written in `digits` bytes (RFC 8446 section 3.4).
fn vector<'b>(bytes: &mut &'b [u8], digits: usize) -> Option<&'b [u8]> {
    let length = take(bytes, digits)?;
    let length = length.iter().fold(0, |sum, digit| sum << 8 | usize::from(*digit));
    take(bytes, length)
}
