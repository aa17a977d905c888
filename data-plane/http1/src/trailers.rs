//! Fields after a body (RFC 9110 section 6.5).

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName,
    header::{
        AGE, AUTHORIZATION, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE,
        COOKIE, DATE, EXPECT, EXPIRES, FORWARDED, HOST, LOCATION, MAX_FORWARDS, PROXY_AUTHENTICATE,
        PROXY_AUTHORIZATION, RANGE, RETRY_AFTER, SET_COOKIE, TRAILER, TRANSFER_ENCODING, VARY,
        WWW_AUTHENTICATE,
    },
};

use crate::{ChunkError, Facts, lines::line};

/// Bytes of a trailer section, and lines of it.
const MAX_BYTES: usize = 16 * 1024;
const MAX_LINES: usize = 64;

/// A trailer section that comes line by line.
#[derive(Debug, Default)]
pub(crate) struct Trailers {
    fields: HeaderMap,
    bytes: usize,
    lines: usize,
}

impl Trailers {
    /// Adds a line, whose CR is at `end`, if trailers may have it.
    pub(crate) fn add(&mut self, text: &Bytes, end: usize) -> Result<(), ChunkError> {
        self.lines += 1;
        self.bytes += text.len();
        if self.lines > MAX_LINES || self.bytes > MAX_BYTES {
            return Err(ChunkError::Trailer);
        }
        let (name, value) = line(text, 0, end).map_err(|_| ChunkError::Trailer)?;
        // An attempt to be read in two ways.
        if [CONTENT_LENGTH, TRANSFER_ENCODING, HOST].contains(&name) {
            return Err(ChunkError::Trailer);
        }
        if may_trail(&name) {
            let appended = self.fields.try_append(name, value);
            appended.map_err(|_| ChunkError::Trailer)?;
        }
        Ok(())
    }

    /// All of them that are to be passed on.
    pub(crate) fn take(&mut self) -> HeaderMap {
        std::mem::take(&mut self.fields)
    }
}

/// Leaves those of `trailers` that may be any. For trailers that came another way than in chunks, which
/// [`Chunked`](crate::Chunked) reads.
pub fn retain_trailers(trailers: &mut HeaderMap) {
    let barred: Vec<_> = trailers.keys().filter(|name| !may_trail(name)).cloned().collect();
    for name in barred {
        trailers.remove(name);
    }
}

/// Whether a field means anything after the content. Not if it says where a message goes or ends,
/// who sent it, how it is to be handled or what its content is (RFC 9110 section 6.5.1): whoever
/// adds trailers to the head would be fooled.
pub(crate) fn may_trail(name: &HeaderName) -> bool {
    static NEVER: [HeaderName; 24] = [
        AGE,
        AUTHORIZATION,
        CACHE_CONTROL,
        CONTENT_ENCODING,
        CONTENT_LENGTH,
        CONTENT_RANGE,
        CONTENT_TYPE,
        COOKIE,
        DATE,
        EXPECT,
        EXPIRES,
        FORWARDED,
        HOST,
        LOCATION,
        MAX_FORWARDS,
        PROXY_AUTHENTICATE,
        PROXY_AUTHORIZATION,
        RANGE,
        RETRY_AFTER,
        SET_COOKIE,
        TRAILER,
        TRANSFER_ENCODING,
        VARY,
        WWW_AUTHENTICATE,
    ];
    const FAMILIES: [&str; 3] = ["access-control-", "if-", "x-forwarded-"];
    let of_family = |family| name.as_str().starts_with(family);
    !(NEVER.contains(name) || Facts::is_hop_by_hop(name) || FAMILIES.into_iter().any(of_family))
}
