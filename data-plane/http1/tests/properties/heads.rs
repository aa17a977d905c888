//! Heads: written, then read.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, Version};
use proptest::{collection::vec, prelude::*};
use sluice_http1::{
    Answered, Framing, HeadLimits, HeadScan, Length, Persistence, RequestHead, ResponseHead, write_request,
    write_response,
};

const LIMITS: HeadLimits = HeadLimits {
    bytes: 64 * 1024,
    lines: 100,
    target: 8 * 1024,
};

/// A head as it is at the start of `written`, before anything that follows.
fn head(written: &[u8]) -> Bytes {
    let more = [written, b"GET / HTTP/1.1\r\n\r\n"].concat();
    let end = HeadScan::default().advance(&more, &LIMITS);
    assert_eq!(end, Ok(Some(written.len())));
    Bytes::copy_from_slice(written)
}

/// Any token, and those that matter.
fn name() -> impl Strategy<Value = HeaderName> {
    let token = "[a-z0-9!#$%&'*+.^_`|~-]{1,12}";
    const KNOWN: &[&str] = &[
        "date",
        "te",
        "trailer",
        "upgrade",
        "x-forwarded-for",
        "content-length",
        "transfer-encoding",
    ];
    prop_oneof![
        4 => token.prop_map(|text| HeaderName::from_bytes(text.as_bytes()).unwrap()),
        1 => prop::sample::select(KNOWN).prop_map(HeaderName::from_static),
    ]
    .prop_filter("said by the test", |name| {
        !["host", "connection", "expect"].contains(&name.as_str())
    })
}

/// Anything that a value may be: no white space at its ends.
fn value() -> impl Strategy<Value = HeaderValue> {
    let byte = prop_oneof![Just(b'\t'), b' '..=b'~', 0x80..=0xff_u8];
    vec(byte, 0..20).prop_map(|bytes| HeaderValue::from_bytes(bytes.trim_ascii()).unwrap())
}

fn fields() -> impl Strategy<Value = HeaderMap> {
    vec((name(), value()), 0..20).prop_map(|lines| {
        let mut map = HeaderMap::new();
        for (name, value) in lines {
            map.append(name, value);
        }
        map
    })
}

fn length() -> impl Strategy<Value = (Framing, Length)> {
    prop_oneof![
        Just((Framing::Silent, Length::Empty)),
        Just((Framing::Length(0), Length::Empty)),
        Just((Framing::Chunked, Length::Chunked)),
        (1..=u64::MAX).prop_map(|length| (Framing::Length(length), Length::Exact(length))),
    ]
}

/// The lines without those that the writer decides about, in their order for each name.
fn own(headers: &HeaderMap) -> Vec<(HeaderName, Vec<HeaderValue>)> {
    let decided = ["content-length", "transfer-encoding", "connection", "host"];
    let names = headers.keys().filter(|name| !decided.contains(&name.as_str()));
    let mut lines: Vec<_> = names
        .map(|name| (name.clone(), headers.get_all(name).iter().cloned().collect()))
        .collect();
    lines.sort_by(|(one, _), (other, _)| one.as_str().cmp(other.as_str()));
    lines
}

proptest! {
    #[test]
    fn a_request_is_read_as_it_was_written(
        method in "[A-Z!#$%&'*+.^_`|~-]{1,10}",
        target in "/[!-\"$-;=@-_a-z~]{0,30}([?][!$-;=?-~]{0,30})?",
        headers in fields(),
        (framing, length) in length(),
    ) {
        prop_assume!(method != "CONNECT");
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let mut with_host = headers.clone();
        with_host.insert("host", HeaderValue::from_static("a.example:8080"));
        let mut written = Vec::new();
        write_request(&mut written, &method, &target, &with_host, framing);
        let read = RequestHead::read(&head(&written), &LIMITS).unwrap();
        prop_assert_eq!(read.method, method);
        prop_assert_eq!(read.target, target.parse::<Uri>().unwrap());
        prop_assert_eq!(read.version, Version::HTTP_11);
        prop_assert_eq!(&read.headers["host"], "a.example:8080");
        prop_assert_eq!(own(&read.headers), own(&headers));
        prop_assert_eq!(read.length, length);
        prop_assert!(read.persistent);
    }

    #[test]
    fn a_response_is_read_as_it_was_written(
        status in (200..600_u16).prop_filter("without a body", |status| ![204, 304].contains(status)),
        headers in fields(),
        (framing, length) in length(),
        close in any::<bool>(),
    ) {
        let status = StatusCode::from_u16(status).unwrap();
        let persistence = if close { Persistence::Close } else { Persistence::Implied };
        let mut written = Vec::new();
        write_response(&mut written, status, &headers, framing, persistence, None);
        let read = ResponseHead::read(&head(&written), Answered::Other).unwrap();
        prop_assert_eq!(read.status, status);
        prop_assert_eq!(own(&read.headers), own(&headers));
        let silent = framing == Framing::Silent;
        prop_assert_eq!(read.length, if silent { Length::UntilClose } else { length });
        prop_assert_eq!(read.persistent, !close && !silent);
    }

    #[test]
    fn a_head_from_anywhere_never_panics(bytes in vec(any::<u8>(), 0..200)) {
        for bytes in [bytes.clone(), [&bytes[..], b"\r\n\r\n"].concat()] {
            if let Ok(Some(end)) = HeadScan::default().advance(&bytes, &LIMITS) {
                let head = Bytes::from(bytes).slice(..end);
                let _ = RequestHead::read(&head, &LIMITS);
                let _ = ResponseHead::read(&head, Answered::Other);
            }
        }
    }
}

#[test]
fn names_are_tokens_and_values_have_no_control_bytes() {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let text = |byte: u8| byte == b'\t' || byte >= b' ' && byte != 0x7f;
    let read = |line: &[u8]| {
        let head = [b"GET / HTTP/1.1\r\nhost: a\r\n", line, b"\r\n\r\n"].concat();
        RequestHead::read(&head.into(), &LIMITS).is_ok()
    };
    // What ends a line or a name is another line or name, and has its cases in the corpus.
    for byte in (0..=u8::MAX).filter(|byte| !b"\r\n:".contains(byte)) {
        assert_eq!(
            read(&[b'a', byte, b'b', b':']),
            token(byte),
            "{byte:#04x} in a name"
        );
        assert_eq!(
            read(&[b'a', b':', b'b', byte, b'c']),
            text(byte),
            "{byte:#04x} in a value"
        );
        let method = [b"G", &[byte][..], b"T / HTTP/1.1\r\nhost: a\r\n\r\n"].concat();
        let is_method = RequestHead::read(&method.into(), &LIMITS).is_ok();
        assert_eq!(is_method, token(byte), "{byte:#04x} in a method");
    }
}

#[test]
fn what_a_head_says_of_its_connection_and_date_is_written_once() {
    let date = b"Sun, 06 Nov 1994 08:49:37 GMT";
    let write = |persistence, date| {
        let mut written = Vec::new();
        let headers = HeaderMap::from_iter([(HeaderName::from_static("a"), HeaderValue::from_static("b"))]);
        let status = StatusCode::from_u16(299).unwrap();
        write_response(
            &mut written,
            status,
            &headers,
            Framing::Length(7),
            persistence,
            date,
        );
        String::from_utf8(written).unwrap()
    };
    assert_eq!(
        write(Persistence::Close, Some(&date[..])),
        "HTTP/1.1 299 \r\na: b\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\ncontent-length: 7\r\nconnection: close\r\n\r\n"
    );
    assert_eq!(
        write(Persistence::KeepAlive, None),
        "HTTP/1.1 299 \r\na: b\r\ncontent-length: 7\r\nconnection: keep-alive\r\n\r\n"
    );
}
