//! HTTP/1 framing (RFC 9112): where a message begins and ends, and nothing else.
//!
//! Strict on purpose. Whatever two parsers could read in two ways is an error here, in both
//! directions: a request that is let in is forwarded with the meaning it was read with, and so is
//! an answer. There is no IO: bytes come in, heads and pieces of bodies go out.

mod chunked;
mod error;
mod facts;
mod lines;
mod request;
mod response;
mod scan;
mod target;
mod trailers;
mod write;

pub use chunked::{Chunked, Piece};
pub use error::{ChunkError, HeadError};
pub use facts::Facts;
pub use request::RequestHead;
pub use response::{Answered, ResponseHead};
pub use scan::HeadScan;
pub use trailers::retain_trailers;
pub use write::{
    Framing, Persistence, write_chunk_end, write_chunk_head, write_last_chunk, write_request, write_response,
};

/// How long a message's body is (RFC 9112 section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// There is none.
    Empty,
    /// So many bytes; not 0.
    Exact(u64),
    /// In chunks.
    Chunked,
    /// All that comes before the connection closes. Responses only.
    UntilClose,
}

/// Bounds on a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadLimits {
    /// Bytes, line ends included.
    pub bytes: usize,
    /// Header lines.
    pub lines: usize,
    /// Bytes of a request's target. A response has none: 0.
    pub target: usize,
}
