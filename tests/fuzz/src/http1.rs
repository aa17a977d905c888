//! What must be true of everything that the HTTP/1 codec lets in: passed on, it is exactly one
//! message, of the same meaning.

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use sluice_http1::{
    Answered, ChunkError, Chunked, Framing, HeadError, HeadLimits, HeadScan, Length, Persistence, Piece,
    RequestHead, ResponseHead, write_chunk_end, write_chunk_head, write_last_chunk, write_request,
    write_response,
};

const LIMITS: HeadLimits = HeadLimits {
    bytes: 8 * 1024,
    lines: 64,
    target: 2 * 1024,
};

/// The head that `bytes` begin with, found whole and byte by byte.
///
/// # Errors
/// Those of [`HeadScan::advance`].
fn head(bytes: &[u8]) -> Result<Option<Bytes>, HeadError> {
    let whole = HeadScan::default().advance(bytes, &LIMITS);
    let mut scan = HeadScan::default();
    let mut pieces = (1..=bytes.len()).map(|length| scan.advance(&bytes[..length], &LIMITS));
    let first = pieces.find(|found| !matches!(found, Ok(None)));
    assert_eq!(first.unwrap_or(Ok(None)), whole);
    Ok(whole?.map(|end| Bytes::copy_from_slice(&bytes[..end])))
}

/// A request's head from anywhere. Says whether it was let in.
pub fn request_head(bytes: &[u8]) -> bool {
    let Ok(Some(head)) = head(bytes) else { return false };
    let Ok(mut read) = RequestHead::read(&head, &LIMITS) else {
        return false;
    };
    // A proxy meets the expectation itself, and 1.0 has none.
    read.headers.remove(header::EXPECT);
    // 1.1 needs one, and 1.0 does not.
    let host = read.headers.entry(header::HOST);
    host.or_insert(HeaderValue::from_static(""));
    let Some(target) = read.target.path_and_query() else {
        // Nobody passes on a request to tunnel.
        return true;
    };
    let mut written = Vec::new();
    let framing = framing(read.length);
    write_request(
        &mut written,
        &read.method,
        target.as_str(),
        &read.headers,
        framing,
    );
    assert_canonical(&written, framing);
    let mut again = reread(&written, |head| RequestHead::read(head, &LIMITS));
    assert_eq!(again.method, read.method);
    assert_eq!(again.target.path(), read.target.path());
    assert_eq!(again.target.query(), read.target.query());
    assert_eq!(again.length, read.length);
    assert_same_fields(&mut again.headers, read.headers);
    true
}

/// A response's head from anywhere. Says whether it was let in.
pub fn response_head(bytes: &[u8]) -> bool {
    let Some((answered, bytes)) = bytes.split_first() else {
        return false;
    };
    let answered = [Answered::Other, Answered::Head][usize::from(answered % 2)];
    let Ok(Some(head)) = head(bytes) else { return false };
    let Ok(read) = ResponseHead::read(&head, answered) else {
        return false;
    };
    let framing = framing(read.length);
    let mut written = Vec::new();
    write_response(
        &mut written,
        read.status,
        &read.headers,
        framing,
        Persistence::Implied,
        None,
    );
    assert_canonical(&written, framing);
    let mut again = reread(&written, |head| ResponseHead::read(head, answered));
    assert_eq!(again.status, read.status);
    let bodiless = read.status.is_informational()
        || [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(&read.status)
        || answered == Answered::Head;
    if bodiless {
        assert_eq!((read.length, again.length), (Length::Empty, Length::Empty));
    } else if read.length != Length::Empty {
        assert_eq!(again.length, read.length);
    }
    assert_same_fields(&mut again.headers, read.headers);
    true
}

/// A body from anywhere, and what follows it. Says whether it was let in whole.
pub fn chunked_body(bytes: &[u8]) -> bool {
    let whole = decode(bytes, usize::MAX);
    for most in [1, 2, 7] {
        assert_eq!(decode(bytes, most), whole, "in pieces of {most}");
    }
    let Ok(Some(body)) = whole else { return false };
    assert!(bytes.ends_with(&body.rest));
    let mut written = Vec::new();
    if !body.content.is_empty() {
        write_chunk_head(&mut written, body.content.len());
        written.extend_from_slice(&body.content);
        write_chunk_end(&mut written);
    }
    write_last_chunk(&mut written, Some(&body.trailers));
    written.extend_from_slice(&body.rest);
    assert_eq!(decode(&written, usize::MAX), Ok(Some(body)));
    true
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Body {
    content: Vec<u8>,
    trailers: HeaderMap,
    rest: Vec<u8>,
}

/// A body that comes in pieces of at most `most` bytes; `None` when there is more to come.
fn decode(bytes: &[u8], most: usize) -> Result<Option<Body>, ChunkError> {
    let (mut chunked, mut buffer) = (Chunked::default(), BytesMut::new());
    let (mut body, mut rest) = (Body::default(), bytes);
    loop {
        match chunked.decode(&mut buffer)? {
            Some(Piece::Data(data)) => {
                assert!(!data.is_empty());
                body.content.extend_from_slice(&data);
            }
            Some(Piece::End(trailers)) => {
                body.trailers = trailers;
                body.rest = [&buffer[..], rest].concat();
                return Ok(Some(body));
            }
            None if rest.is_empty() => return Ok(None),
            None => {
                let (piece, after) = rest.split_at(most.min(rest.len()));
                buffer.extend_from_slice(piece);
                rest = after;
            }
        }
    }
}

const fn framing(length: Length) -> Framing {
    match length {
        Length::Empty | Length::UntilClose => Framing::Silent,
        Length::Exact(length) => Framing::Length(length),
        Length::Chunked => Framing::Chunked,
    }
}

/// One spelling: lines end with CR LF and nothing else does, without control bytes, names are
/// lower-case tokens, and at most one line says how long the message is.
fn assert_canonical(written: &[u8], framing: Framing) {
    let lines = written.strip_suffix(b"\r\n\r\n").unwrap_or_default();
    let mut lines = lines.split(|byte| *byte == b'\n');
    let first = lines.next().unwrap_or_default();
    assert!(!first.is_empty(), "{}", written.escape_ascii());
    let mut lengths = 0;
    let mut hosts = 0;
    for line in lines {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let colon = line.iter().position(|byte| *byte == b':').unwrap_or_default();
        let (name, value) = line.split_at(colon);
        let token = |byte: &u8| {
            byte.is_ascii_graphic() && !byte.is_ascii_uppercase() && !b"\"(),/:;<=>?@[\\]{}".contains(byte)
        };
        assert!(
            !name.is_empty() && name.iter().all(token),
            "{}",
            line.escape_ascii()
        );
        let text = |byte: &u8| *byte == b'\t' || *byte >= b' ' && *byte != 0x7f;
        assert!(value.iter().all(text), "{}", line.escape_ascii());
        hosts += usize::from(name == b"host");
        lengths += usize::from(name == b"content-length" || name == b"transfer-encoding");
    }
    assert_eq!(lengths, usize::from(framing != Framing::Silent));
    assert!(hosts <= 1 || written.starts_with(b"HTTP/"));
}

/// Reads what was written, with something else behind it, as exactly one message.
fn reread<T>(written: &[u8], read: impl Fn(&Bytes) -> Result<T, HeadError>) -> T {
    let followed = [written, b"GET / HTTP/1.1\r\n\r\n"].concat();
    let endless = HeadLimits {
        bytes: usize::MAX,
        ..LIMITS
    };
    let end = HeadScan::default().advance(&followed, &endless);
    assert_eq!(end, Ok(Some(written.len())), "{}", written.escape_ascii());
    match read(&Bytes::copy_from_slice(written)) {
        Ok(read) => read,
        Err(error) => unreachable!("{error}: {}", written.escape_ascii()),
    }
}

/// The same fields, but for those that frame the message.
fn assert_same_fields(again: &mut HeaderMap, mut read: HeaderMap) {
    for name in [header::CONTENT_LENGTH, header::TRANSFER_ENCODING] {
        again.remove(&name);
        read.remove(&name);
    }
    assert_eq!(*again, read);
}
