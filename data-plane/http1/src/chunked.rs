//! Bodies in chunks (RFC 9112 section 7.1).

use bytes::{Buf, Bytes, BytesMut};
use http::HeaderMap;
use memchr::memchr;

use crate::{ChunkError, trailers::Trailers};

/// Bytes of a line with a chunk's size and extensions.
const MAX_LINE: usize = 4 * 1024;
/// Bytes of extensions in one body: nobody needs them, and they cost more to read than data.
const MAX_EXTENSIONS: usize = 16 * 1024;

/// Takes a body out of its chunks.
#[derive(Debug)]
pub struct Chunked {
    state: State,
    /// Bytes of the current line that hold no line feed.
    seen: usize,
    extensions: usize,
    trailers: Trailers,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before a line with a size.
    Size,
    /// So many bytes of a chunk are still to come; not 0.
    Data(u64),
    /// Before the CR LF after a chunk.
    DataEnd,
    /// Before a line of the trailer section, or the empty line at its end.
    Trailer,
    Done,
}

/// What comes next in a body.
#[derive(Debug)]
pub enum Piece {
    /// Some of its bytes; never none.
    Data(Bytes),
    /// Its end, and the trailers that may be passed on.
    End(HeaderMap),
}

impl Default for Chunked {
    fn default() -> Self {
        Self {
            state: State::Size,
            seen: 0,
            extensions: 0,
            trailers: Trailers::default(),
        }
    }
}

impl Chunked {
    /// Takes the next piece out of `buffer`; `None` when more bytes are needed. What follows the
    /// body stays in `buffer`.
    ///
    /// # Errors
    /// Whatever is not exactly as RFC 9112 has it. The connection must close.
    pub fn decode(&mut self, buffer: &mut BytesMut) -> Result<Option<Piece>, ChunkError> {
        loop {
            match self.state {
                State::Size => {
                    let Some(end) = self.line(buffer, ChunkError::Extension)? else {
                        return Ok(None);
                    };
                    self.state = match self.size(&buffer[..end])? {
                        0 => State::Trailer,
                        size => State::Data(size),
                    };
                    buffer.advance(end + 2);
                }
                State::Data(left) => {
                    if buffer.is_empty() {
                        return Ok(None);
                    }
                    let take = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
                    self.state = match left - take as u64 {
                        0 => State::DataEnd,
                        left => State::Data(left),
                    };
                    return Ok(Some(Piece::Data(buffer.split_to(take).freeze())));
                }
                State::DataEnd => match buffer[..] {
                    [b'\r', b'\n', ..] => {
                        buffer.advance(2);
                        self.state = State::Size;
                    }
                    [] | [b'\r'] => return Ok(None),
                    _ => return Err(ChunkError::End),
                },
                State::Trailer => {
                    let Some(end) = self.line(buffer, ChunkError::Trailer)? else {
                        return Ok(None);
                    };
                    if end == 0 {
                        buffer.advance(2);
                        self.state = State::Done;
                        return Ok(Some(Piece::End(self.trailers.take())));
                    }
                    self.trailers.add(&buffer.split_to(end + 2).freeze(), end)?;
                }
                State::Done => return Ok(None),
            }
        }
    }

    /// Where in `buffer` the CR LF of its first line is, once it is there.
    fn line(&mut self, buffer: &[u8], too_long: ChunkError) -> Result<Option<usize>, ChunkError> {
        let Some(found) = memchr(b'\n', &buffer[self.seen..]) else {
            self.seen = buffer.len();
            return match self.seen > MAX_LINE {
                true => Err(too_long),
                false => Ok(None),
            };
        };
        let end = self.seen + found;
        if end > MAX_LINE {
            return Err(too_long);
        }
        if end == 0 || buffer[end - 1] != b'\r' {
            return Err(ChunkError::End);
        }
        self.seen = 0;
        Ok(Some(end - 1))
    }

    /// The size that a line begins with; its extensions are checked, counted and dropped.
    fn size(&mut self, line: &[u8]) -> Result<u64, ChunkError> {
        let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        if !(1..=16).contains(&digits) {
            return Err(ChunkError::Size);
        }
        let digit = |byte: &u8| u64::from((*byte as char).to_digit(16).unwrap_or(0));
        let size = line[..digits]
            .iter()
            .fold(0, |size, byte| size << 4 | digit(byte));
        let rest = &line[digits..];
        if !rest.is_empty() {
            self.extensions += rest.len();
            if self.extensions > MAX_EXTENSIONS || !are_extensions(rest) {
                return Err(match rest[0] {
                    b';' | b' ' | b'\t' => ChunkError::Extension,
                    _ => ChunkError::Size,
                });
            }
        }
        // More than any body can have: sums of sizes stay below 2^64.
        match size > u64::MAX >> 1 {
            true => Err(ChunkError::Size),
            false => Ok(size),
        }
    }
}

/// `*( ";" token [ "=" ( token / quoted-string ) ] )`. The white space that section 7.1.1 calls bad
/// is refused: it has been used to make two parsers disagree.
fn are_extensions(mut rest: &[u8]) -> bool {
    while let Some((b';', after)) = rest.split_first() {
        let Some(after) = token(after) else {
            return false;
        };
        rest = match after.split_first() {
            Some((b'=', value)) => match value.first() {
                Some(b'"') => match quoted(&value[1..]) {
                    Some(after) => after,
                    None => return false,
                },
                _ => match token(value) {
                    Some(after) => after,
                    None => return false,
                },
            },
            _ => after,
        };
    }
    rest.is_empty()
}

/// What follows a token of at least one character.
fn token(text: &[u8]) -> Option<&[u8]> {
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    let length = text.iter().take_while(|byte| is_token(byte)).count();
    (length > 0).then(|| &text[length..])
}

/// What follows the closing quote (RFC 9110 section 5.6.4).
fn quoted(mut text: &[u8]) -> Option<&[u8]> {
    let is_text = |byte: u8| byte == b'\t' || byte >= b' ' && byte != 0x7f;
    loop {
        match text {
            [b'"', after @ ..] => return Some(after),
            [b'\\', escaped, after @ ..] if is_text(*escaped) => text = after,
            [b'\\', ..] => return None,
            [byte, after @ ..] if is_text(*byte) => text = after,
            _ => return None,
        }
    }
}
