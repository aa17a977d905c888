//! The rules of the grammars, one predicate each.

use std::net::IpAddr;

use super::TextError;

pub(super) fn check_case(text: &str) -> Result<(), TextError> {
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Err(TextError::UpperCase)
    } else {
        Ok(())
    }
}

pub(super) fn check_hostname(text: &str) -> Result<bool, TextError> {
    if text.parse::<IpAddr>().is_ok() {
        return Err(TextError::IpAddress);
    }
    if text.contains('*') {
        return Err(TextError::Wildcard);
    }
    check_case(text)?;
    Ok(text.split('.').all(|label| label.len() <= 63 && is_label(label)))
}

/// A host name whose labels may begin with `_`, as those of services do (RFC 2782).
pub(super) fn check_dns_name(text: &str) -> Result<bool, TextError> {
    if text.parse::<IpAddr>().is_ok() {
        return Err(TextError::IpAddress);
    }
    check_case(text)?;
    let is_part = |part: &str| part.len() <= 63 && is_label(part.strip_prefix('_').unwrap_or(part));
    Ok(text.split('.').all(is_part))
}

pub(super) fn is_etcd_key(text: &str) -> bool {
    !text.ends_with('/') && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// A name whose last part is a number is a misspelt IPv4 address (RFC 3696 section 2).
pub(super) fn check_address(text: &str) -> Result<bool, TextError> {
    if let Ok(address) = text.parse::<IpAddr>() {
        let broadcast = matches!(address, IpAddr::V4(v4) if v4.is_broadcast());
        return match broadcast || address.is_unspecified() || address.is_multicast() {
            true => Err(TextError::NotUnicast),
            false => Ok(true),
        };
    }
    let numeric = text
        .rsplit('.')
        .next()
        .is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
    if numeric || text.contains('*') {
        return Ok(false);
    }
    check_hostname(text)
}

pub(super) fn is_label(text: &str) -> bool {
    check_case(text).is_ok() && ends_alphanumeric(text, |byte| byte == b'-')
}

pub(super) fn is_label_name(text: &str) -> bool {
    text.len() <= 63 && ends_alphanumeric(text, |byte| matches!(byte, b'-' | b'_' | b'.'))
}

pub(super) fn is_label_key(text: &str) -> bool {
    match text.split_once('/') {
        Some((prefix, name)) => prefix.len() <= 253 && prefix.split('.').all(is_label) && is_label_name(name),
        None => is_label_name(text),
    }
}

/// ASCII letters and digits at both ends, and those or `inner` between.
pub(super) fn ends_alphanumeric(text: &str, inner: impl Fn(u8) -> bool) -> bool {
    let bytes = text.as_bytes();
    bytes.first().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.last().is_some_and(u8::is_ascii_alphanumeric)
        && bytes
            .iter()
            .all(|&byte| byte.is_ascii_alphanumeric() || inner(byte))
}

pub(super) const fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        )
}

/// RFC 9110 section 5.5, without the obsolete bytes above ASCII.
pub(crate) fn is_field_value(text: &str) -> bool {
    let blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    let bytes = text.as_bytes();
    !blank(bytes.first())
        && !blank(bytes.last())
        && bytes.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\t'))
}

/// RFC 3986 section 3.3: `pchar` and `/` only, percent signs with two hexadecimal digits.
pub(crate) fn is_path_text(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.iter().enumerate().all(|(index, &byte)| match byte {
        b'%' => bytes
            .get(index + 1..index + 3)
            .is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit)),
        b'-' | b'.' | b'_' | b'~' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';'
        | b'=' | b':' | b'@' | b'/' => true,
        other => other.is_ascii_alphanumeric(),
    })
}

pub(super) fn is_absolute_path(text: &str) -> bool {
    text.starts_with('/') && is_path_text(text)
}

pub(super) const fn is_data_key_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
}

/// RFC 3986 section 3.1.
fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
}

/// A scheme, an authority or path after `//`, and visible ASCII throughout.
pub(super) fn is_uri(text: &str) -> bool {
    text.split_once("://").is_some_and(|(scheme, rest)| {
        is_scheme(scheme) && !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_graphic())
    })
}

/// `*`, or a scheme, a host that may begin with `*.`, and maybe a port (Gateway API, CORSOrigin).
pub(super) fn is_cors_origin(text: &str) -> bool {
    if text == "*" {
        return true;
    }
    let Some((scheme, authority)) = text.split_once("://") else {
        return false;
    };
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !authority.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let is_address = match bracketed {
        Some(v6) => v6.parse::<std::net::Ipv6Addr>().is_ok(),
        None => host.parse::<std::net::Ipv4Addr>().is_ok(),
    };
    let name = host.strip_prefix("*.").unwrap_or(host);
    is_scheme(scheme)
        && (is_address || check_hostname(name).unwrap_or(false))
        && port
            .is_none_or(|port| port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok())
}
