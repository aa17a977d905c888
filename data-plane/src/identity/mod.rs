//! Who this proxy is to control planes: a key, a certificate, and whom to trust in turn.
//!
//! - A proxy with a join token makes a key and gets a certificate for it ([`Credentials::connect`]). It
//!   checks the server by the hash in the token, so the secret goes to nobody else.
//! - From then on both sides show certificates, and the token is not needed any more. All of it is in
//!   the state directory, sealed like the snapshot.
//! - Before two thirds of a certificate's time are over it is renewed ([`renew`]), for the same key. A
//!   token that was not there before makes a new key, if the certificate does not open the door.
//! - Without a token and without a certificate there is plain text, to loopback addresses only.

mod channel;
mod credentials;
mod join;
mod renewal;
mod stored;
mod token;

pub(crate) use self::{
    credentials::{ConnectError, Credentials},
    renewal::renew,
};

use std::net::IpAddr;

/// Whether `address` (`HOST:PORT`) is on this machine for certain.
pub(crate) fn is_local(address: &str) -> bool {
    let host = host(address);
    let is_loopback = |address: IpAddr| address.to_canonical().is_loopback();
    host == "localhost" || host.parse().is_ok_and(is_loopback)
}

/// The host of `HOST:PORT`, without the brackets of an IPv6 address.
fn host(address: &str) -> &str {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    bare.unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_addresses_are_on_this_machine() {
        for local in [
            "127.0.0.1:1",
            "127.8.0.2:1",
            "[::1]:1",
            "localhost:1",
            "[::ffff:127.0.0.1]:1",
        ] {
            assert!(is_local(local), "{local}");
        }
        for other in [
            "10.0.0.1:1",
            "0.0.0.0:1",
            "control:1",
            "localhost.example:1",
            "[::]:1",
            "",
        ] {
            assert!(!is_local(other), "{other}");
        }
    }
}
