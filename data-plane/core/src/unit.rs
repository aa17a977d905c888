//! Which user a request comes from, as an experiment tells users apart.

use std::{io::Write, net::IpAddr};

use http::{HeaderMap, header::COOKIE};
use sluice_model::{Experiment, Unit};

use crate::{request::RequestView, slots::slot_of};

/// Longest text of an IPv6 address: eight groups of four digits.
const ADDRESS_LEN: usize = 39;

/// The slot of the request's unit; `None` when the request does not carry one.
///
/// An empty value is none: it tells nobody apart.
pub(crate) fn slot_of_unit(
    experiment: &Experiment,
    request: &RequestView<'_>,
    client: IpAddr,
) -> Option<u16> {
    let slot = |unit: &[u8]| (!unit.is_empty()).then(|| slot_of(&experiment.salt, unit));
    match &experiment.unit {
        Unit::Cookie(name) => cookie(request.headers, name).and_then(slot),
        Unit::Header(name) => slot(request.headers.get(name)?.as_bytes()),
        Unit::Query(name) => slot(request.query(name)?.as_bytes()),
        Unit::ClientIp => slot(&address_text(client)),
    }
}

/// The first value of a cookie that is not empty. Names are case-sensitive, quotes belong to the
/// value (RFC 6265 section 5.2). HTTP/2 clients may send every cookie in a line of its own (RFC 9113
/// section 8.2.3).
fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a [u8]> {
    let lines = headers.get_all(COOKIE).iter();
    let mut pairs = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b';'));
    pairs.find_map(|pair| {
        let equals = pair.iter().position(|byte| *byte == b'=')?;
        let (key, value) = (pair[..equals].trim_ascii(), pair[equals + 1..].trim_ascii());
        (key == name.as_bytes() && !value.is_empty()).then_some(value)
    })
}

/// The address as text (RFC 5952), an IPv4-mapped one as IPv4; on the stack.
fn address_text(address: IpAddr) -> smallvec::SmallVec<[u8; ADDRESS_LEN]> {
    let mut buffer = [0; ADDRESS_LEN];
    let mut rest = &mut buffer[..];
    // Fits by the definition of the length; cut off, it would still be the same text every time.
    let _ = write!(rest, "{}", address.to_canonical());
    let unused = rest.len();
    smallvec::SmallVec::from_slice(&buffer[..ADDRESS_LEN - unused])
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    fn cookies(lines: &[&'static str]) -> HeaderMap {
        lines
            .iter()
            .map(|line| (COOKIE, http::HeaderValue::from_static(line)))
            .collect()
    }

    fn sid(lines: &[&'static str]) -> Option<String> {
        cookie(&cookies(lines), "sid").map(|value| String::from_utf8(value.to_vec()).unwrap())
    }

    #[test]
    fn a_cookie_is_found_wherever_it_stands() {
        assert_eq!(sid(&["sid=1"]).as_deref(), Some("1"));
        assert_eq!(sid(&["a=0; sid=1; b=2"]).as_deref(), Some("1"));
        assert_eq!(sid(&["a=0;sid=1"]).as_deref(), Some("1"));
        assert_eq!(sid(&["a=0", "b=sid", "sid=1"]).as_deref(), Some("1"));
        assert_eq!(sid(&["sid = 1 ;"]).as_deref(), Some("1"));
    }

    #[test]
    fn a_cookie_value_is_kept_as_it_is() {
        assert_eq!(sid(&["sid=a=b=="]).as_deref(), Some("a=b=="));
        assert_eq!(sid(&["sid=\"q\""]).as_deref(), Some("\"q\""));
        assert_eq!(sid(&["sid=a%20b"]).as_deref(), Some("a%20b"));
    }

    #[test]
    fn another_name_or_no_value_is_no_cookie() {
        for lines in [
            &[][..],
            &["SID=1"],
            &["xsid=1"],
            &["sidx=1"],
            &["sid"],
            &["sid="],
            &["a=sid=1"],
        ] {
            assert_eq!(sid(lines), None, "{lines:?}");
        }
    }

    #[test]
    fn the_first_of_two_cookies_counts_and_an_empty_one_does_not() {
        assert_eq!(sid(&["sid=1; sid=2"]).as_deref(), Some("1"));
        assert_eq!(sid(&["sid=; sid=2"]).as_deref(), Some("2"));
    }

    #[test]
    fn an_address_is_one_text_however_it_is_mapped() {
        let v4 = Ipv4Addr::new(203, 0, 113, 7);
        assert_eq!(&address_text(v4.into())[..], b"203.0.113.7");
        assert_eq!(address_text(v4.to_ipv6_mapped().into()), address_text(v4.into()));
        assert_eq!(
            &address_text("2001:DB8:0:0::1".parse::<Ipv6Addr>().unwrap().into())[..],
            b"2001:db8::1"
        );
        let longest = "1111:2222:3333:4444:5555:6666:7777:8888";
        assert_eq!(&address_text(longest.parse().unwrap())[..], longest.as_bytes());
    }
}
