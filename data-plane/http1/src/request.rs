//! A request's head.

use bytes::Bytes;
use http::{
    HeaderMap, Method, Uri, Version,
    header::{EXPECT, HOST},
};
use memchr::{memchr, memrchr};

use crate::{Facts, HeadError, HeadLimits, Length, lines::Fields, target};

/// A request's head, every field of it valid. Values share one buffer.
#[derive(Debug)]
pub struct RequestHead {
    /// Any token.
    pub method: Method,
    /// In one of the forms that the method allows; with CONNECT, the authority alone.
    pub target: Uri,
    /// 1.0 or 1.1.
    pub version: Version,
    /// All lines in their order.
    pub headers: HeaderMap,
    /// What of them concerns a proxy.
    pub facts: Facts,
    /// Never [`Length::UntilClose`].
    pub length: Length,
    /// Whether the client may send another request on the connection.
    pub persistent: bool,
    /// Whether the client waits for 100 before it sends the body.
    pub expects_continue: bool,
}

impl RequestHead {
    /// Reads a whole head, whose end [`HeadScan`](crate::HeadScan) has found.
    ///
    /// # Errors
    /// Whatever is not exactly as RFC 9112 has it. One empty line before the head is let pass
    /// (section 2.2): [`HeadScan`](crate::HeadScan) hands it over as a head of its own, and
    /// [`RequestHead::is_blank`] tells.
    pub fn read(head: &Bytes, limits: &HeadLimits) -> Result<Self, HeadError> {
        let end = memchr(b'\r', head).ok_or(HeadError::RequestLine)?;
        let (method, target, http10) = request_line(head, end, limits)?;
        let fields = Fields::read(head, end + 2)?;
        let length = fields.length(http10)?.unwrap_or(Length::Empty);
        check_host(&fields, &target, http10)?;
        let expects_continue = expects_continue(&fields, http10)?;
        Ok(Self {
            method,
            target,
            version: if http10 {
                Version::HTTP_10
            } else {
                Version::HTTP_11
            },
            length,
            persistent: fields.persistent(http10),
            expects_continue: expects_continue && length != Length::Empty,
            facts: fields.facts,
            headers: fields.headers,
        })
    }

    /// Whether the head is an empty line and nothing else.
    pub fn is_blank(head: &[u8]) -> bool {
        head == b"\r\n"
    }
}

/// `method SP target SP HTTP/1.x`, with exactly these two spaces, and its CR LF at `end`.
fn request_line(head: &Bytes, end: usize, limits: &HeadLimits) -> Result<(Method, Uri, bool), HeadError> {
    let line = &head[..end];
    if head.get(end + 1) != Some(&b'\n') {
        return Err(HeadError::RequestLine);
    }
    let first = memchr(b' ', line).ok_or(HeadError::RequestLine)?;
    let last = match line.last_chunk::<9>() {
        Some([b' ', ..]) => line.len() - 9,
        _ => memrchr(b' ', line).ok_or(HeadError::RequestLine)?,
    };
    let method = Method::from_bytes(&line[..first]).map_err(|_| HeadError::RequestLine)?;
    let http10 = match &line[last + 1..] {
        b"HTTP/1.1" => false,
        b"HTTP/1.0" => true,
        _ => return Err(HeadError::Version),
    };
    if first == last {
        return Err(HeadError::RequestLine);
    }
    if last - first - 1 > limits.target.min(target::MAX) {
        return Err(HeadError::TargetTooLong);
    }
    let target = target::read(&method, head.slice(first + 1..last))?;
    Ok((method, target, http10))
}

/// RFC 9112 section 3.2: one, valid, and in agreement with the target. Only 1.0 may leave it out.
fn check_host(fields: &Fields, uri: &Uri, http10: bool) -> Result<(), HeadError> {
    match fields.hosts {
        0 if http10 => Ok(()),
        1 => {
            let host = fields.headers.get(HOST).ok_or(HeadError::Host)?;
            target::check_host(uri, host.as_bytes())
        }
        _ => Err(HeadError::Host),
    }
}

/// RFC 9110 section 10.1.1; 1.0 knows no expectations.
fn expects_continue(fields: &Fields, http10: bool) -> Result<bool, HeadError> {
    if !fields.facts.expect || http10 {
        return Ok(false);
    }
    let mut lines = fields.headers.get_all(EXPECT).iter();
    match lines.all(|line| line.as_bytes().eq_ignore_ascii_case(b"100-continue")) {
        true => Ok(true),
        false => Err(HeadError::Expectation),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_1_1_client_with_a_body_waits_for_100() {
        let expects = |version: &str, lines: &str| {
            let head = format!("PUT / HTTP/{version}\r\nhost: a\r\n{lines}\r\n");
            let limits = HeadLimits {
                bytes: 1000,
                lines: 10,
                target: 10,
            };
            RequestHead::read(&head.into(), &limits).map(|head| head.expects_continue)
        };
        let line = "expect: 100-continue\r\n";
        let with_body = format!("{line}content-length: 1\r\n");
        assert_eq!(expects("1.1", &with_body), Ok(true));
        assert_eq!(
            expects("1.1", &format!("{line}transfer-encoding: chunked\r\n")),
            Ok(true)
        );
        assert_eq!(expects("1.1", &format!("{line}{with_body}")), Ok(true));
        assert_eq!(expects("1.1", "content-length: 1\r\n"), Ok(false));
        assert_eq!(expects("1.1", line), Ok(false));
        assert_eq!(expects("1.1", &format!("{line}content-length: 0\r\n")), Ok(false));
        assert_eq!(expects("1.0", &with_body), Ok(false));
        assert_eq!(expects("1.0", "expect: x\r\n"), Ok(false));
    }
}
