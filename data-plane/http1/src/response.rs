//! A response's head.

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, Version};
use memchr::memchr;

use crate::{Facts, HeadError, Length, lines::Fields};

/// What of the request decides how long its answer is (RFC 9112 section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answered {
    /// A request whose answer has no body, whatever its head says.
    Head,
    /// Any other.
    Other,
}

impl From<&Method> for Answered {
    fn from(method: &Method) -> Self {
        match *method {
            Method::HEAD => Self::Head,
            _ => Self::Other,
        }
    }
}

/// A response's head, every field of it valid. Values share one buffer.
#[derive(Debug)]
pub struct ResponseHead {
    /// 100 to 599.
    pub status: StatusCode,
    /// 1.0 or 1.1.
    pub version: Version,
    /// All lines in their order.
    pub headers: HeaderMap,
    /// What of them concerns a proxy.
    pub facts: Facts,
    /// How long the body is.
    pub length: Length,
    /// Whether another request may be sent on the connection once the body has been read.
    pub persistent: bool,
}

impl ResponseHead {
    /// Reads a whole head, whose end [`HeadScan`](crate::HeadScan) has found.
    ///
    /// # Errors
    /// Whatever is not exactly as RFC 9112 has it: an upstream is trusted no more than a client.
    pub fn read(head: &Bytes, answered: Answered) -> Result<Self, HeadError> {
        let end = memchr(b'\r', head).ok_or(HeadError::StatusLine)?;
        let (status, http10) = status_line(head, end)?;
        let fields = Fields::read(head, end + 2)?;
        let length = fields.length(http10)?;
        let mut persistent = fields.persistent(http10);
        let bodiless =
            status.is_informational() || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        let length = match (answered, length) {
            // Sections 6.1 and 6.2 forbid a length here; who sends it may well send a body, too.
            (_, Some(Length::Exact(_) | Length::Chunked))
                if bodiless && status != StatusCode::NOT_MODIFIED =>
            {
                persistent = false;
                Length::Empty
            }
            _ if bodiless => Length::Empty,
            (Answered::Head, _) => Length::Empty,
            (Answered::Other, Some(length)) => length,
            (Answered::Other, None) => {
                persistent = false;
                Length::UntilClose
            }
        };
        Ok(Self {
            status,
            version: if http10 {
                Version::HTTP_10
            } else {
                Version::HTTP_11
            },
            headers: fields.headers,
            facts: fields.facts,
            length,
            persistent,
        })
    }
}

/// `HTTP/1.x SP status SP reason`; the reason may be empty, and then its space may be missing.
fn status_line(head: &Bytes, end: usize) -> Result<(StatusCode, bool), HeadError> {
    if head.get(end + 1) != Some(&b'\n') {
        return Err(HeadError::StatusLine);
    }
    let (version, rest) = head[..end]
        .split_at_checked(b"HTTP/1.1 ".len())
        .ok_or(HeadError::StatusLine)?;
    let http10 = match version {
        b"HTTP/1.1 " => false,
        b"HTTP/1.0 " => true,
        _ => return Err(HeadError::StatusLine),
    };
    let (status, reason) = rest.split_at_checked(3).ok_or(HeadError::StatusLine)?;
    let status = StatusCode::from_bytes(status).map_err(|_| HeadError::StatusLine)?;
    let spaced = reason.is_empty() || reason[0] == b' ';
    // Tab, visible ASCII and what lies above it (RFC 9112 section 4).
    let written = reason
        .iter()
        .all(|byte| *byte == b'\t' || *byte >= b' ' && *byte != 0x7f);
    match spaced && written && status.as_u16() < 600 {
        true => Ok((status, http10)),
        false => Err(HeadError::StatusLine),
    }
}
