//! A reader of HTTP/1.1 requests that knows only the canonical form: what a proxy may send upstream.
//!
//! Written apart from the proxy's own codec, so that an error of one is not an error of both.
//! Canonical is: token names, no control bytes, lines that end in CRLF, exactly one Host, either one
//! Content-Length of digits or exactly `chunked` or neither, chunks without extensions.

/// What stands at the start of the bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Read {
    /// Nothing wrong so far; the end of the head is not there yet.
    Head,
    /// A whole head, and as much of the body as is there.
    Body(Request),
    /// A whole request of this many bytes.
    Whole(Request, usize),
}

/// A request as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Its method.
    pub method: String,
    /// Its target, as written.
    pub target: String,
    /// Its body without framing, as far as it is there.
    pub body: Vec<u8>,
}

/// How the bytes are not canonical.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum Violation {
    #[error("a line does not end in CRLF")]
    LineEnd,
    #[error("not METHOD SP TARGET SP HTTP/1.1")]
    RequestLine,
    #[error("a header name is no token followed by a colon")]
    Name,
    #[error("a control byte in a value")]
    Value,
    #[error("not exactly one Host")]
    Host,
    #[error("several Content-Lengths, or not digits")]
    ContentLength,
    #[error("Transfer-Encoding is not exactly `chunked`")]
    TransferEncoding,
    #[error("Content-Length beside Transfer-Encoding")]
    BothLengths,
    #[error("a chunk's size or end")]
    Chunk,
}

/// Reads the request at the start of `bytes`.
///
/// # Errors
/// At the first byte that cannot be part of a canonical request.
pub fn read(bytes: &[u8]) -> Result<Read, Violation> {
    let mut rest = bytes;
    let Some(line) = take_line(&mut rest)? else {
        return Ok(Read::Head);
    };
    let (method, target) = request_line(line)?;
    let mut framing = Framing::default();
    loop {
        match take_line(&mut rest)? {
            None => return Ok(Read::Head),
            Some([]) => break,
            Some(line) => framing.field(field(line)?)?,
        }
    }
    let length = framing.length()?;
    let mut request = Request {
        method,
        target,
        body: Vec::new(),
    };
    let whole = match length {
        Length::Fixed(length) => {
            let there = rest.len().min(length);
            request.body.extend_from_slice(&rest[..there]);
            rest = &rest[there..];
            there == length
        }
        Length::Chunked => chunks(&mut rest, &mut request.body)?,
    };
    Ok(match whole {
        true => Read::Whole(request, bytes.len() - rest.len()),
        false => Read::Body(request),
    })
}

enum Length {
    Fixed(usize),
    Chunked,
}

#[derive(Default)]
struct Framing {
    hosts: usize,
    content_length: Option<usize>,
    chunked: bool,
}

impl Framing {
    fn field(&mut self, (name, value): (&[u8], &[u8])) -> Result<(), Violation> {
        if name.eq_ignore_ascii_case(b"host") {
            self.hosts += 1;
        } else if name.eq_ignore_ascii_case(b"content-length") {
            let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
            let number = str::from_utf8(value).ok().and_then(|text| text.parse().ok());
            match number {
                Some(number) if digits && self.content_length.is_none() => {
                    self.content_length = Some(number);
                }
                _ => return Err(Violation::ContentLength),
            }
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            if self.chunked || !value.eq_ignore_ascii_case(b"chunked") {
                return Err(Violation::TransferEncoding);
            }
            self.chunked = true;
        }
        Ok(())
    }

    fn length(&self) -> Result<Length, Violation> {
        match (self.hosts, self.content_length, self.chunked) {
            (1, Some(_), true) => Err(Violation::BothLengths),
            (1, _, true) => Ok(Length::Chunked),
            (1, length, false) => Ok(Length::Fixed(length.unwrap_or(0))),
            _ => Err(Violation::Host),
        }
    }
}

/// Takes one line off, without its CRLF; none when its end is not there yet.
fn take_line<'a>(rest: &mut &'a [u8]) -> Result<Option<&'a [u8]>, Violation> {
    let end = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
    match end {
        None => Ok(None),
        Some(end) => match &rest[end..] {
            [b'\r'] => Ok(None),
            [b'\r', b'\n', after @ ..] => {
                let line = &rest[..end];
                *rest = after;
                Ok(Some(line))
            }
            _ => Err(Violation::LineEnd),
        },
    }
}

fn request_line(line: &[u8]) -> Result<(String, String), Violation> {
    let parts: Vec<_> = line.split(|byte| *byte == b' ').collect();
    match parts[..] {
        [method, target, b"HTTP/1.1"]
            if is_token(method) && !target.is_empty() && target.iter().all(u8::is_ascii_graphic) =>
        {
            let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
            Ok((text(method), text(target)))
        }
        _ => Err(Violation::RequestLine),
    }
}

fn field(line: &[u8]) -> Result<(&[u8], &[u8]), Violation> {
    let colon = line.iter().position(|byte| *byte == b':');
    let (name, value) = line.split_at(colon.ok_or(Violation::Name)?);
    let value = value[1..].trim_ascii();
    if !is_token(name) {
        return Err(Violation::Name);
    }
    match value.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t') {
        true => Err(Violation::Value),
        false => Ok((name, value)),
    }
}

/// RFC 9110 section 5.6.2.
fn is_token(bytes: &[u8]) -> bool {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !bytes.is_empty() && bytes.iter().all(is_part)
}

/// Takes chunks off and collects their data; whether the last one and the trailers were there.
fn chunks(rest: &mut &[u8], body: &mut Vec<u8>) -> Result<bool, Violation> {
    loop {
        let Some(size) = take_line(rest)? else {
            return Ok(false);
        };
        let hex = !size.is_empty() && size.len() <= 16 && size.iter().all(u8::is_ascii_hexdigit);
        let size = str::from_utf8(size).ok().filter(|_| hex);
        let size = size.and_then(|text| usize::from_str_radix(text, 16).ok());
        let size = size.ok_or(Violation::Chunk)?;
        if size == 0 {
            return trailers(rest);
        }
        let there = rest.len().min(size);
        body.extend_from_slice(&rest[..there]);
        *rest = &rest[there..];
        match rest {
            [] | [b'\r'] => return Ok(false),
            [b'\r', b'\n', after @ ..] => *rest = after,
            _ => return Err(Violation::Chunk),
        }
    }
}

fn trailers(rest: &mut &[u8]) -> Result<bool, Violation> {
    loop {
        match take_line(rest)? {
            None => return Ok(false),
            Some([]) => return Ok(true),
            Some(line) => field(line)?,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHUNKED: &[u8] = b"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
        5\r\nhello\r\n0\r\nx-sum: 1\r\n\r\n";

    #[test]
    fn a_canonical_request_is_whole_at_its_last_byte_and_not_before() {
        for end in 0..CHUNKED.len() {
            let read = read(&CHUNKED[..end]).unwrap();
            assert!(!matches!(read, Read::Whole(..)), "{end}: {read:?}");
        }
        let more = [CHUNKED, b"GET"].concat();
        match read(&more).unwrap() {
            Read::Whole(request, length) => {
                assert_eq!((&*request.target, &*request.body), ("/a", &b"hello"[..]));
                assert_eq!(length, CHUNKED.len());
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_other_form_is_a_violation() {
        for (lines, violation) in [
            ("\nHost: a\r\n\r\n", Violation::LineEnd),
            ("\r\nHost: a\r\nx: a\rb\r\n\r\n", Violation::LineEnd),
            ("\r\n\r\n", Violation::Host),
            ("\r\nHost: a\r\nHost: a\r\n\r\n", Violation::Host),
            ("\r\nHost : a\r\n\r\n", Violation::Name),
            ("\r\nHost: a\r\n b\r\n\r\n", Violation::Name),
            ("\r\nHost: a\r\nx: \x01\r\n\r\n", Violation::Value),
            (
                "\r\nHost: a\r\nContent-Length: +1\r\n\r\n",
                Violation::ContentLength,
            ),
            (
                "\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\n",
                Violation::ContentLength,
            ),
            (
                "\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
                Violation::TransferEncoding,
            ),
            (
                "\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
                Violation::BothLengths,
            ),
            (
                "\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;a\r\n",
                Violation::Chunk,
            ),
            (
                "\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc",
                Violation::Chunk,
            ),
        ] {
            let bytes = format!("GET / HTTP/1.1{lines}");
            assert_eq!(read(bytes.as_bytes()), Err(violation), "{lines:?}");
        }
        for line in [
            "GET  / HTTP/1.1",
            "GET / HTTP/1.0",
            "G\u{e9}T / HTTP/1.1",
            "GET /\tHTTP/1.1",
        ] {
            let bytes = format!("{line}\r\n");
            assert_eq!(read(bytes.as_bytes()), Err(Violation::RequestLine), "{line:?}");
        }
    }
}
