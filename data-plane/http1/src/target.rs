//! Request targets (RFC 9112 section 3.2) and Host.

use bytes::Bytes;
use http::{Method, Uri};
use memchr::memchr;

use crate::HeadError;

/// Bytes that are in no target.
const UNWRITTEN: u8 = 1;
/// The one that a fragment begins with.
const FRAGMENT: u8 = 2;
/// Those that are in no name of a host.
const UNNAMED: u8 = 4;

/// What each byte is: every request has many of them looked at.
static CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let is = byte as u8;
        if !is.is_ascii_graphic() {
            classes[byte] |= UNWRITTEN;
        }
        if is == b'#' {
            classes[byte] |= FRAGMENT;
        }
        // RFC 3986 section 3.2.2, without the comma: unreserved, `%`, sub-delimiters.
        let named = matches!(
            is,
            b'-' | b'.' | b'_' | b'~' | b'%' | b'!' | b'$' | b'&'..=b'+' | b';' | b'='
        );
        if !(is.is_ascii_alphanumeric() || named) {
            classes[byte] |= UNNAMED;
        }
        byte += 1;
    }
    classes
};

/// Bytes of a target that a [`Uri`] can hold.
pub(crate) const MAX: usize = 65_534;

/// Reads the target of a request. What is no visible ASCII must be written in percent.
pub(crate) fn read(method: &Method, mut target: Bytes) -> Result<Uri, HeadError> {
    let found = target
        .iter()
        .fold(0, |found, byte| found | CLASSES[usize::from(*byte)]);
    if found & UNWRITTEN != 0 {
        return Err(HeadError::Target);
    }
    // Fragments are the client's own business. Some send them all the same: they are routed by the
    // rest, and nobody behind sees more than that.
    if found & FRAGMENT != 0
        && let Some(fragment) = memchr(b'#', &target)
    {
        target.truncate(fragment);
    }
    let first = *target.first().ok_or(HeadError::Target)?;
    let uri = Uri::from_maybe_shared(target).map_err(|_| HeadError::Target)?;
    let fits = match (first, uri.scheme_str()) {
        _ if *method == Method::CONNECT => uri.scheme().is_none() && names_authority(&uri),
        (b'/', None) => uri.authority().is_none(),
        (b'*', None) => *method == Method::OPTIONS && uri.path() == "*" && uri.query().is_none(),
        (_, Some("http" | "https")) => names_authority(&uri),
        _ => false,
    };
    match fits {
        true => Ok(uri),
        false => Err(HeadError::Target),
    }
}

/// Whether the Host of a request is one, and the one that its target names, if it names one. An
/// empty Host is right where there is no authority to name.
pub(crate) fn check_host(uri: &Uri, host: &[u8]) -> Result<(), HeadError> {
    let fits = match uri.authority() {
        Some(authority) => authority.as_str().as_bytes().eq_ignore_ascii_case(host),
        None => host.is_empty() || is_authority(host),
    };
    match fits {
        true => Ok(()),
        false => Err(HeadError::Host),
    }
}

fn names_authority(uri: &Uri) -> bool {
    let authority = uri.authority().map(|authority| authority.as_str().as_bytes());
    authority.is_some_and(is_authority)
}

/// `host[:port]` (RFC 3986 section 3.2, without user information): a name of unreserved characters,
/// sub-delimiters but for the comma, and percent-encoded ones, or an address in brackets.
fn is_authority(text: &[u8]) -> bool {
    let (host, port) = match text.first() {
        Some(b'[') => {
            let Some(end) = text.iter().position(|byte| *byte == b']') else {
                return false;
            };
            let inner = &text[1..end];
            let address = inner
                .iter()
                .all(|byte| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.'));
            if inner.is_empty() || !address {
                return false;
            }
            (&text[..=end], &text[end + 1..])
        }
        Some(_) => {
            let end = text.iter().position(|byte| *byte == b':').unwrap_or(text.len());
            (&text[..end], &text[end..])
        }
        None => return false,
    };
    let in_name = |byte: &u8| CLASSES[usize::from(*byte)] & UNNAMED == 0;
    let named = host.first() == Some(&b'[') || !host.is_empty() && host.iter().all(in_name);
    let ported = match port {
        [] => true,
        [b':', digits @ ..] => digits.len() <= 5 && digits.iter().all(u8::is_ascii_digit) && fits(digits),
        _ => false,
    };
    named && ported
}

/// Whether up to five digits are a port; an empty one is the scheme's.
fn fits(digits: &[u8]) -> bool {
    let port = digits
        .iter()
        .fold(0u32, |port, digit| port * 10 + u32::from(digit - b'0'));
    port <= u32::from(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_name_or_an_address_with_a_port_or_without() {
        for right in [
            "a",
            "a.example",
            "a:80",
            "a:",
            "127.0.0.1:8080",
            "[::1]",
            "[::1]:443",
            "a_b",
            "xn--a",
        ] {
            assert!(is_authority(right.as_bytes()), "{right}");
        }
        for wrong in [
            "", ":80", "a b", "a,b", "u@a", "a:b", "a:80:80", "a:65536", "a:123456", "[::1", "[]", "[a]x",
            "a/b", "a\\b", "a?b", "[::1]80", "a\u{80}",
        ] {
            assert!(!is_authority(wrong.as_bytes()), "{wrong}");
        }
    }

    #[test]
    fn the_form_of_a_target_depends_on_the_method() {
        let read =
            |method: Method, target: &'static str| read(&method, Bytes::from_static(target.as_bytes()));
        for (method, target) in [
            (Method::GET, "/"),
            (Method::GET, "//a?b=c"),
            (Method::GET, "http://a/b"),
            (Method::GET, "https://a:443/b?c"),
            (Method::OPTIONS, "*"),
            (Method::CONNECT, "a:443"),
            (Method::GET, "/a#b"),
        ] {
            assert!(read(method, target).is_ok(), "{target}");
        }
        for (method, target) in [
            (Method::GET, ""),
            (Method::GET, "*"),
            (Method::GET, "a"),
            (Method::GET, "a:80"),
            (Method::GET, "ftp://a/"),
            (Method::GET, "http://u@a/"),
            (Method::GET, "http:///a"),
            (Method::GET, "#a"),
            (Method::GET, "/\u{e4}"),
            (Method::GET, "/a\u{7f}"),
            (Method::CONNECT, "/"),
            (Method::CONNECT, "u@a:443"),
            (Method::CONNECT, "http://a/"),
        ] {
            assert!(read(method, target).is_err(), "{target}");
        }
    }
}
