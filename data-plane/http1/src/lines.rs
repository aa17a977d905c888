//! Header lines, between the first line and the empty one (RFC 9112 section 5).

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING},
};
use memchr::memchr;

use crate::{Facts, HeadError, Length, facts::names};

/// The header lines of a message, and what they say about its framing.
#[derive(Debug, Default)]
pub(crate) struct Fields {
    pub(crate) headers: HeaderMap,
    pub(crate) facts: Facts,
    pub(crate) hosts: u32,
    content_length: Option<u64>,
    chunked: bool,
    close: bool,
    keep_alive: bool,
}

/// Header lines that room is made for at once; few messages have more.
const ROOM: usize = 16;

impl Fields {
    /// Reads the lines of `head` from `start` to the empty one that it ends with. Values share
    /// `head`.
    pub(crate) fn read(head: &Bytes, start: usize) -> Result<Self, HeadError> {
        let mut fields = Self {
            headers: HeaderMap::with_capacity(ROOM),
            ..Self::default()
        };
        let mut at = start;
        // The scan has made sure that every line ends with CR LF, and that the last is empty.
        while let Some(length) = memchr(b'\n', &head[at..]) {
            let end = at + length - 1;
            if end == at {
                return Ok(fields);
            }
            let (name, value) = line(head, at, end)?;
            fields.take(&name, &value)?;
            let appended = fields.headers.try_append(name, value);
            appended.map_err(|_| HeadError::TooManyLines)?;
            at = end + 2;
        }
        Ok(fields)
    }

    #[inline]
    fn take(&mut self, name: &HeaderName, value: &HeaderValue) -> Result<(), HeadError> {
        self.facts.note(name);
        // By length first, as most names are none of these.
        match name.as_str().len() {
            4 if *name == HOST => self.hosts += 1,
            10 if *name == CONNECTION => {
                self.close |= names(value, b"close");
                self.keep_alive |= names(value, b"keep-alive");
            }
            14 if *name == CONTENT_LENGTH => {
                let length = content_length(value.as_bytes()).ok_or(HeadError::ContentLength)?;
                if self.content_length.replace(length).is_some() {
                    return Err(HeadError::ContentLength);
                }
            }
            17 if *name == TRANSFER_ENCODING => {
                let once = !std::mem::replace(&mut self.chunked, true);
                if !once || !value.as_bytes().eq_ignore_ascii_case(b"chunked") {
                    return Err(HeadError::TransferEncoding);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// What the fields say about the length of a body, `None` when they say nothing.
    pub(crate) fn length(&self, http10: bool) -> Result<Option<Length>, HeadError> {
        match (self.chunked, self.content_length) {
            (true, Some(_)) => Err(HeadError::BothLengths),
            (true, None) if http10 => Err(HeadError::TransferEncoding),
            (true, None) => Ok(Some(Length::Chunked)),
            (false, Some(0)) => Ok(Some(Length::Empty)),
            (false, Some(length)) => Ok(Some(Length::Exact(length))),
            (false, None) => Ok(None),
        }
    }

    /// Whether another message may follow on the connection (RFC 9112 section 9.3).
    pub(crate) fn persistent(&self, http10: bool) -> bool {
        !self.close && (!http10 || self.keep_alive)
    }
}

/// One line of `head`, from `start` to its CR at `end`.
#[inline]
pub(crate) fn line(head: &Bytes, start: usize, end: usize) -> Result<(HeaderName, HeaderValue), HeadError> {
    let bytes = &head[start..end];
    let colon = memchr(b':', bytes).ok_or(HeadError::HeaderName)?;
    // A token and nothing else: white space before the colon or the name is in no token.
    let name = HeaderName::from_bytes(&bytes[..colon]).map_err(|_| HeadError::HeaderName)?;
    let mut from = colon + 1;
    let mut to = bytes.len();
    while from < to && is_blank(bytes[from]) {
        from += 1;
    }
    while from < to && is_blank(bytes[to - 1]) {
        to -= 1;
    }
    let value = head.slice(start + from..start + to);
    let value = HeaderValue::from_maybe_shared(value).map_err(|_| HeadError::HeaderValue)?;
    Ok((name, value))
}

const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// Digits alone: no sign, no list, no space, and not too large.
fn content_length(value: &[u8]) -> Option<u64> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    value.iter().try_fold(0u64, |length, digit| {
        length.checked_mul(10)?.checked_add(u64::from(digit - b'0'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_digits_alone() {
        assert_eq!(content_length(b"0"), Some(0));
        assert_eq!(content_length(b"007"), Some(7));
        assert_eq!(content_length(b"18446744073709551615"), Some(u64::MAX));
        for wrong in [
            &b""[..],
            b"+1",
            b"-1",
            b"1, 1",
            b"1 ",
            b"0x1",
            b"1e3",
            b"18446744073709551616",
            b"\xb2",
        ] {
            assert_eq!(content_length(wrong), None, "{wrong:?}");
        }
    }
}
