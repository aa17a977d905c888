//! What of a message's body is still to come.

use bytes::{Bytes, BytesMut};
use http_body::{Frame, SizeHint};
use sluice_http1::{ChunkError, Chunked, Length, Piece};

/// What is still to come of the body that is being read.
#[derive(Debug)]
pub(super) enum Remaining {
    Nothing,
    Exact(u64),
    Chunked(Box<Chunked>),
    UntilClose,
}

/// What comes next.
#[derive(Debug)]
pub(super) enum Step {
    Frame(Frame<Bytes>),
    /// Nothing: the body has ended.
    End,
    /// More bytes have to be read first.
    Read,
}

impl From<Length> for Remaining {
    fn from(length: Length) -> Self {
        match length {
            Length::Empty => Self::Nothing,
            Length::Exact(length) => Self::Exact(length),
            Length::Chunked => Self::Chunked(Box::default()),
            Length::UntilClose => Self::UntilClose,
        }
    }
}

impl Remaining {
    /// Takes what comes next out of `input`.
    ///
    /// # Errors
    /// Chunks that are none.
    pub(super) fn take(&mut self, input: &mut BytesMut) -> Result<Step, ChunkError> {
        match self {
            Self::Nothing => Ok(Step::End),
            Self::Exact(_) | Self::UntilClose if input.is_empty() => Ok(Step::Read),
            Self::Exact(left) => {
                let take = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
                *left -= take as u64;
                if *left == 0 {
                    *self = Self::Nothing;
                }
                Ok(Step::Frame(Frame::data(input.split_to(take).freeze())))
            }
            Self::UntilClose => Ok(Step::Frame(Frame::data(input.split().freeze()))),
            Self::Chunked(chunked) => match chunked.decode(input)? {
                None => Ok(Step::Read),
                Some(Piece::Data(data)) => Ok(Step::Frame(Frame::data(data))),
                Some(Piece::End(trailers)) => {
                    *self = Self::Nothing;
                    match trailers.is_empty() {
                        true => Ok(Step::End),
                        false => Ok(Step::Frame(Frame::trailers(trailers))),
                    }
                }
            },
        }
    }

    /// The other side has closed. Whether that is how the body was to end.
    pub(super) fn close(&mut self) -> bool {
        match self {
            Self::Nothing => true,
            Self::UntilClose => {
                *self = Self::Nothing;
                true
            }
            Self::Exact(_) | Self::Chunked(_) => false,
        }
    }

    pub(super) fn is_done(&self) -> bool {
        matches!(self, Self::Nothing)
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        match self {
            Self::Nothing => SizeHint::with_exact(0),
            Self::Exact(left) => SizeHint::with_exact(*left),
            Self::Chunked(_) | Self::UntilClose => SizeHint::new(),
        }
    }
}
