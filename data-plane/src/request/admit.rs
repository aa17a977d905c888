//! Admit: requests that this proxy does not serve.

use http::{
    HeaderMap, HeaderValue, Method, Request, Version,
    header::{COOKIE, EXPECT, HOST, MAX_FORWARDS},
};
use sluice_core::Matched;
use sluice_http1::{Facts, HeadError};
use sluice_model::Limits;

use super::{Reason, exchange::Exchange, respond::Answer};
use crate::{
    live::Pinned,
    worker::{Connection, Full},
};

/// Lets a request in, or answers it here. Its framing has been checked by whoever read it.
///
/// # Errors
/// What this proxy does not do.
pub(super) fn admit<B>(
    exchange: &Exchange,
    request: &mut Request<B>,
    facts: Facts,
) -> Result<Option<Answer>, Reason> {
    if exchange.worker().is_overloaded() {
        return Err(Reason::Overloaded);
    }
    if request.method() == Method::CONNECT {
        return Err(Reason::MethodRefused);
    }
    if request.version() == Version::HTTP_2 {
        check_http2(request, exchange.connection().limits())?;
        if facts.expect {
            check_expectation(request.headers())?;
        }
        join_cookies(request.headers_mut());
    }
    // `OPTIONS *` asks about the server itself (RFC 9110 section 9.3.7).
    if request.method() == Method::OPTIONS && request.uri().path() == "*" {
        return Ok(Some(Answer::ServerOptions));
    }
    if facts.max_forwards {
        return count_hops(request);
    }
    Ok(None)
}

/// What the HTTP/1 codec sees to itself. hyper bounds the sum of a head's fields.
fn check_http2<B>(request: &Request<B>, limits: &Limits) -> Result<(), Reason> {
    let headers = request.headers();
    let target = request
        .uri()
        .path_and_query()
        .map_or("", |target| target.as_str());
    if headers.len() > limits.header_count as usize {
        return Err(HeadError::TooManyLines.into());
    }
    if target.len() > limits.uri_bytes as usize {
        return Err(HeadError::TargetTooLong.into());
    }
    if !target.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(HeadError::Target.into());
    }
    // The http crate takes names with a quotation mark from HTTP/2; they are no tokens.
    if headers.keys().any(|name| name.as_str().contains('"')) {
        return Err(HeadError::HeaderName.into());
    }
    match headers.get_all(HOST).iter().nth(1) {
        Some(_) => Err(Reason::BadHost),
        None => Ok(()),
    }
}

/// RFC 9110 section 10.1.1.
fn check_expectation(headers: &HeaderMap) -> Result<(), Reason> {
    let mut lines = headers.get_all(EXPECT).iter();
    match lines.all(|line| line.as_bytes().eq_ignore_ascii_case(b"100-continue")) {
        true => Ok(()),
        false => Err(HeadError::Expectation.into()),
    }
}

/// Makes one line of the crumbs that a cookie may come in over HTTP/2: whoever speaks HTTP/1 expects one
/// (RFC 9113 section 8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    let mut crumbs = headers.get_all(COOKIE).iter();
    let (Some(first), Some(second)) = (crumbs.next(), crumbs.next()) else {
        return;
    };
    let mut cookie = first.as_bytes().to_vec();
    for crumb in [second].into_iter().chain(crumbs) {
        cookie.extend_from_slice(b"; ");
        cookie.extend_from_slice(crumb.as_bytes());
    }
    // Values joined by what values may hold.
    if let Ok(cookie) = HeaderValue::from_bytes(&cookie) {
        headers.insert(COOKIE, cookie);
    }
}

/// Refuses what is asked on a connection that was made for somebody else: over TLS, the listener that
/// takes the host has to be the one whose certificate the client was shown, and that has asked the
/// client for its own (RFC 9110 section 15.5.20).
///
/// # Errors
/// [`Reason::Misdirected`]. A host that no listener has is nobody else's.
pub(super) fn directed(
    connection: &Connection,
    snapshot: &Pinned,
    host: &str,
    matched: Option<&Matched<'_>>,
) -> Result<(), Reason> {
    let Some(secured) = &connection.secured else {
        return Ok(());
    };
    let port = connection.port.number;
    let here = secured.listener(snapshot, port);
    let asked = match matched {
        Some(matched) => Some(&matched.listener.key),
        None => snapshot.listener_for(port, host).map(|listener| &listener.key),
    };
    match (here, asked) {
        (None, _) => Err(Reason::Misdirected),
        (Some(here), Some(asked)) if here != asked => Err(Reason::Misdirected),
        (Some(_), _) => Ok(()),
    }
}

/// Refuses what comes on a connection that its listener has no place for. That is found out by the
/// first request where neither the port nor a handshake has named the listener.
///
/// # Errors
/// [`Reason::ListenerFull`]. Where no listener has the host, nobody's place is taken.
#[inline]
pub(super) fn seated(
    connection: &Connection,
    snapshot: &Pinned,
    host: &str,
    matched: Option<&Matched<'_>>,
) -> Result<(), Reason> {
    let listener = || match matched {
        Some(matched) => Some(matched.listener),
        None => snapshot.listener_for(connection.port.number, host),
    };
    let seated = connection.seat(snapshot, listener);
    seated.map_err(|Full| Reason::ListenerFull)
}

/// RFC 9110 section 7.6.2: the last hop that is allowed answers itself. Only these two methods are
/// counted; in all others the field says nothing.
fn count_hops<B>(request: &mut Request<B>) -> Result<Option<Answer>, Reason> {
    let counted = [Method::OPTIONS, Method::TRACE].contains(request.method());
    let hops = request
        .headers()
        .get(MAX_FORWARDS)
        .filter(|hops| hops.as_bytes().iter().all(u8::is_ascii_digit))
        .and_then(|hops| hops.to_str().ok()?.parse::<u32>().ok());
    match (counted, hops) {
        (true, Some(0)) if request.method() == Method::OPTIONS => Ok(Some(Answer::ServerOptions)),
        // What a TRACE shows may be meant for the next hop alone; it is not shown here.
        (true, Some(0)) => Err(Reason::MethodRefused),
        (true, Some(hops)) => {
            request
                .headers_mut()
                .insert(MAX_FORWARDS, HeaderValue::from(hops - 1));
            Ok(None)
        }
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hops(method: Method, hops: &'static str) -> (Result<bool, Reason>, String) {
        let mut request = Request::new(());
        *request.method_mut() = method;
        request
            .headers_mut()
            .insert(MAX_FORWARDS, HeaderValue::from_static(hops));
        let answered = count_hops(&mut request).map(|answer| answer.is_some());
        (
            answered,
            request.headers()[MAX_FORWARDS].to_str().unwrap().to_owned(),
        )
    }

    #[test]
    fn a_head_over_http2_has_the_bounds_of_one_over_http1() {
        let limits = Limits {
            header_count: 2,
            uri_bytes: 4,
            ..Limits::default()
        };
        let request = |uri: &str, headers: usize| {
            let mut request = Request::builder().uri(uri).body(()).unwrap();
            for _ in 0..headers {
                request.headers_mut().append("a", HeaderValue::from_static("b"));
            }
            check_http2(&request, &limits)
        };
        assert_eq!(request("http://a/123", 2), Ok(()));
        assert_eq!(request("http://a/1234", 2), Err(HeadError::TargetTooLong.into()));
        assert_eq!(request("http://a/", 3), Err(HeadError::TooManyLines.into()));
    }

    #[test]
    fn the_last_hop_that_is_allowed_answers_itself() {
        assert_eq!(hops(Method::OPTIONS, "0"), (Ok(true), "0".into()));
        assert_eq!(hops(Method::OPTIONS, "7"), (Ok(false), "6".into()));
        assert_eq!(hops(Method::TRACE, "0"), (Err(Reason::MethodRefused), "0".into()));
        assert_eq!(hops(Method::TRACE, "1"), (Ok(false), "0".into()));
        assert_eq!(hops(Method::GET, "0"), (Ok(false), "0".into()));
        assert_eq!(hops(Method::OPTIONS, "x"), (Ok(false), "x".into()));
        assert_eq!(hops(Method::OPTIONS, "+7"), (Ok(false), "+7".into()));
    }
}
