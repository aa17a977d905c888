//! One end of a connection, as a caller of the codec writes it.

use bytes::{Buf as _, Bytes, BytesMut};
use sluice_http1::{
    Answered, ChunkError, Chunked, HeadError, HeadLimits, HeadScan, Length, Piece, RequestHead, ResponseHead,
};

/// Far above what any case needs.
pub(super) const LIMITS: HeadLimits = HeadLimits {
    bytes: 1024,
    lines: 20,
    target: 200,
};

/// Bytes as they come.
pub(super) type Pieces<'a> = &'a mut dyn Iterator<Item = &'static [u8]>;

/// What was made of the bytes so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// A message that is complete, with so many bytes of content.
    Message(u64),
    /// The same, and nothing may follow it.
    Last(u64),
    /// A head, or a body, that goes on until the connection closes, or that needs more bytes.
    Open,
    /// Nothing of the message may be passed on.
    Head(HeadError),
    /// The message must be cut off.
    Body(ChunkError),
}

/// What a head says of its body and of what follows.
struct Head {
    length: Length,
    persistent: bool,
}

/// Reads requests until the first that is wrong, or the last.
pub(super) fn requests(pieces: Pieces<'_>) -> Vec<Seen> {
    messages(pieces, |head, is_first| {
        // RFC 9112 section 2.2: one empty line is let pass.
        if is_first && RequestHead::is_blank(head) {
            return Ok(None);
        }
        let RequestHead {
            length, persistent, ..
        } = RequestHead::read(head, &LIMITS)?;
        Ok(Some(Head { length, persistent }))
    })
}

/// The same for answers to one kind of request.
pub(super) fn responses(answered: Answered, pieces: Pieces<'_>) -> Vec<Seen> {
    messages(pieces, |head, _| {
        let ResponseHead {
            length, persistent, ..
        } = ResponseHead::read(head, answered)?;
        Ok(Some(Head { length, persistent }))
    })
}

/// Reads a body in chunks and nothing else.
pub(super) fn chunks(pieces: Pieces<'_>) -> Vec<Seen> {
    let mut buffer = BytesMut::new();
    let head = Head {
        length: Length::Chunked,
        persistent: true,
    };
    vec![body(&head, &mut buffer, pieces)]
}

fn messages(pieces: Pieces<'_>, read: impl Fn(&Bytes, bool) -> Result<Option<Head>, HeadError>) -> Vec<Seen> {
    let (mut buffer, mut seen) = (BytesMut::new(), Vec::new());
    loop {
        match head(&mut buffer, pieces, &read) {
            Ok(Some(head)) => seen.push(body(&head, &mut buffer, pieces)),
            Ok(None) if buffer.is_empty() => return seen,
            Ok(None) => seen.push(Seen::Open),
            Err(error) => seen.push(Seen::Head(error)),
        }
        if !matches!(seen.last(), Some(Seen::Message(_))) {
            return seen;
        }
    }
}

fn head(
    buffer: &mut BytesMut,
    pieces: Pieces<'_>,
    read: impl Fn(&Bytes, bool) -> Result<Option<Head>, HeadError>,
) -> Result<Option<Head>, HeadError> {
    let (mut scan, mut is_first) = (HeadScan::default(), true);
    loop {
        match scan.advance(buffer, &LIMITS)? {
            Some(end) => {
                if let Some(head) = read(&buffer.split_to(end).freeze(), is_first)? {
                    return Ok(Some(head));
                }
                (scan, is_first) = (HeadScan::default(), false);
            }
            None => match pieces.next() {
                Some(piece) => buffer.extend_from_slice(piece),
                None => return Ok(None),
            },
        }
    }
}

fn body(head: &Head, buffer: &mut BytesMut, pieces: Pieces<'_>) -> Seen {
    let mut chunked = Chunked::default();
    let mut content = 0;
    loop {
        let ended = match head.length {
            Length::Empty => true,
            Length::Exact(length) => {
                let taken = buffer.len().min((length - content) as usize);
                buffer.advance(taken);
                content += taken as u64;
                content == length
            }
            Length::UntilClose => false,
            Length::Chunked => match chunked.decode(buffer) {
                Ok(Some(Piece::Data(data))) => {
                    content += data.len() as u64;
                    continue;
                }
                Ok(Some(Piece::End(_))) => true,
                Ok(None) => false,
                Err(error) => return Seen::Body(error),
            },
        };
        if ended && head.persistent {
            return Seen::Message(content);
        }
        if ended {
            return Seen::Last(content);
        }
        match pieces.next() {
            Some(piece) => buffer.extend_from_slice(piece),
            None => return Seen::Open,
        }
    }
}
