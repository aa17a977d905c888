//! One spelling for every host (RFC 3986 section 3.2.2), and its port apart.

use std::{borrow::Cow, net::Ipv6Addr};

/// Longest name, in bytes (RFC 1035 section 2.3.4, without the root's dot).
const MAX_NAME: usize = 253;

/// What `Host` or `:authority` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host<'a> {
    /// Lower case, without a trailing dot; an IPv6 address in brackets. Empty if nothing was said.
    pub name: Cow<'a, str>,
    /// `None` when it is not written.
    pub port: Option<u16>,
}

/// Why a host is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// A byte that no host name has: `@` of user information is one of them.
    #[error("the host has a byte that is neither letter, digit, '-', '_' nor '.'")]
    Byte,
    /// No name before the port, or nothing between two dots.
    #[error("the host has an empty label")]
    Empty,
    /// Longer than 253 bytes.
    #[error("the host is longer than 253 bytes")]
    Length,
    /// Brackets around something else than an IPv6 address, or something after them.
    #[error("the host is no IPv6 address in brackets")]
    Address,
    /// Not a number from 0 to 65,535.
    #[error("the port is not a number from 0 to 65535")]
    Port,
}

/// Reads the value of `Host` or `:authority`. Borrowed if it is in lower case already.
///
/// The empty text is a request for no host in particular (RFC 9112 section 3.2).
///
/// # Errors
/// Anything that is not a name or an address with an optional port; see [`HostError`].
#[inline]
pub fn normalize_host(raw: &str) -> Result<Host<'_>, HostError> {
    if raw.is_empty() {
        return Ok(Host {
            name: Cow::Borrowed(""),
            port: None,
        });
    }
    if raw.starts_with('[') {
        return read_address(raw);
    }
    let (name, port) = match raw.split_once(':') {
        Some((name, port)) => (name, read_port(port)?),
        None => (raw, None),
    };
    let name = name.strip_suffix('.').unwrap_or(name);
    check_name(name)?;
    Ok(Host {
        name: lower(name),
        port,
    })
}

fn check_name(name: &str) -> Result<(), HostError> {
    if name.len() > MAX_NAME {
        return Err(HostError::Length);
    }
    let mut before = b'.';
    for byte in name.bytes() {
        match byte {
            b'.' if before == b'.' => return Err(HostError::Empty),
            b'.' | b'-' | b'_' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => before = byte,
            _ => return Err(HostError::Byte),
        }
    }
    match before {
        b'.' => Err(HostError::Empty),
        _ => Ok(()),
    }
}

#[cold]
fn read_address(raw: &str) -> Result<Host<'_>, HostError> {
    let end = raw.find(']').ok_or(HostError::Address)? + 1;
    let (name, rest) = raw.split_at(end);
    name[1..end - 1]
        .parse::<Ipv6Addr>()
        .map_err(|_| HostError::Address)?;
    let port = match rest.strip_prefix(':') {
        Some(port) => read_port(port)?,
        None if rest.is_empty() => None,
        None => return Err(HostError::Address),
    };
    Ok(Host {
        name: lower(name),
        port,
    })
}

/// `port = *DIGIT`: none at all is as if the colon were not there.
fn read_port(text: &str) -> Result<Option<u16>, HostError> {
    match text {
        "" => Ok(None),
        // `parse` alone would take a sign.
        digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            digits.parse().map(Some).map_err(|_| HostError::Port)
        }
        _ => Err(HostError::Port),
    }
}

fn lower(name: &str) -> Cow<'_, str> {
    match name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        true => Cow::Owned(name.to_ascii_lowercase()),
        false => Cow::Borrowed(name),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_host_is_a_lower_case_name_and_maybe_a_port() {
        for (raw, name, port) in [
            ("", "", None),
            ("shop.example.com", "shop.example.com", None),
            ("Shop.Example.COM:8080", "shop.example.com", Some(8080)),
            ("shop.example.com.", "shop.example.com", None),
            ("shop.example.com.:80", "shop.example.com", Some(80)),
            ("shop:", "shop", None),
            ("shop_v2:0", "shop_v2", Some(0)),
            ("10.0.0.1:65535", "10.0.0.1", Some(65_535)),
            ("[::1]", "[::1]", None),
            ("[2001:DB8::1]:443", "[2001:db8::1]", Some(443)),
            ("[::ffff:10.0.0.1]:", "[::ffff:10.0.0.1]", None),
        ] {
            let host = normalize_host(raw).unwrap();
            assert_eq!((&*host.name, host.port), (name, port), "{raw}");
            let upper = raw.bytes().any(|byte| byte.is_ascii_uppercase());
            assert_eq!(matches!(host.name, Cow::Owned(_)), upper, "{raw}");
        }
    }

    #[test]
    fn what_is_no_host_is_refused() {
        let long = "a".repeat(254);
        for (raw, error) in [
            ("user@shop", HostError::Byte),
            ("user:1@shop", HostError::Port),
            ("shop/path", HostError::Byte),
            ("shop ", HostError::Byte),
            (" shop", HostError::Byte),
            ("sh%6Fp", HostError::Byte),
            ("shöp", HostError::Byte),
            ("shop,shop", HostError::Byte),
            ("*.shop", HostError::Byte),
            ("shop\0", HostError::Byte),
            (".", HostError::Empty),
            ("..", HostError::Empty),
            (".shop", HostError::Empty),
            ("a..b", HostError::Empty),
            ("shop..", HostError::Empty),
            (":80", HostError::Empty),
            (&long, HostError::Length),
            ("shop:http", HostError::Port),
            ("shop:+80", HostError::Port),
            ("shop:-1", HostError::Port),
            ("shop:65536", HostError::Port),
            ("shop:80:80", HostError::Port),
            ("::1", HostError::Port),
            ("[::1", HostError::Address),
            ("[]", HostError::Address),
            ("[10.0.0.1]", HostError::Address),
            ("[fe80::1%25eth0]", HostError::Address),
            ("[::1]80", HostError::Address),
            ("[::1].", HostError::Address),
        ] {
            assert_eq!(normalize_host(raw), Err(error), "{raw:?}");
        }
    }

    proptest! {
        #[test]
        fn a_normal_host_stays(raw in "[a-cA-C.:0-9\\[\\]_@-]{0,20}|\\[[:0-9a-fA-F.]{2,12}\\](:[0-9]{0,5})?") {
            if let Ok(host) = normalize_host(&raw) {
                let again = normalize_host(&host.name);
                prop_assert_eq!(again, Ok(Host { name: Cow::Borrowed(&*host.name), port: None }));
                prop_assert!(!host.name.ends_with('.') && !host.name.contains(['@', '/', ' ']));
            }
        }
    }
}
