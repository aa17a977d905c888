//! What is wrong with a message.

/// Why a head is refused. Nothing of the message may be passed on, and the connection must close.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("{}", self.detail())]
pub enum HeadError {
    /// A line feed without the carriage return before it.
    BareLineFeed,
    /// The first line of a request is not `method SP target SP HTTP/1.x`.
    RequestLine,
    /// HTTP/0.9, or a version that is not 1.0 or 1.1.
    Version,
    /// The target is not in a form that its method allows.
    Target,
    /// The first line of a response is not `HTTP/1.x SP status SP reason`.
    StatusLine,
    /// A header line without a colon, or whose name is not a token: also one with white space
    /// before the colon or at its start (obsolete folding).
    HeaderName,
    /// A header value with a control byte, such as a bare carriage return.
    HeaderValue,
    /// Content-Length that is repeated, a list, or no plain number.
    ContentLength,
    /// Transfer-Encoding other than `chunked`, or where there must be none.
    TransferEncoding,
    /// Content-Length and Transfer-Encoding in one message.
    BothLengths,
    /// No Host where one is needed, several, one that is none, or one that the target contradicts.
    Host,
    /// Expect with anything but `100-continue`.
    Expectation,
    /// More bytes than are allowed.
    TooLong,
    /// More header lines than are allowed.
    TooManyLines,
    /// A longer target than is allowed.
    TargetTooLong,
}

impl HeadError {
    /// Every one of them.
    pub const ALL: [Self; 15] = [
        Self::BareLineFeed,
        Self::RequestLine,
        Self::Version,
        Self::Target,
        Self::StatusLine,
        Self::HeaderName,
        Self::HeaderValue,
        Self::ContentLength,
        Self::TransferEncoding,
        Self::BothLengths,
        Self::Host,
        Self::Expectation,
        Self::TooLong,
        Self::TooManyLines,
        Self::TargetTooLong,
    ];

    /// Its name in counters and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BareLineFeed => "bare_line_feed",
            Self::RequestLine => "bad_request_line",
            Self::Version => "bad_version",
            Self::Target => "bad_target",
            Self::StatusLine => "bad_status_line",
            Self::HeaderName => "bad_header_name",
            Self::HeaderValue => "bad_header_value",
            Self::ContentLength => "bad_content_length",
            Self::TransferEncoding => "bad_transfer_encoding",
            Self::BothLengths => "both_lengths",
            Self::Host => "bad_host",
            Self::Expectation => "bad_expectation",
            Self::TooLong => "head_too_long",
            Self::TooManyLines => "too_many_headers",
            Self::TargetTooLong => "uri_too_long",
        }
    }

    /// A sentence for a person.
    pub const fn detail(self) -> &'static str {
        match self {
            Self::BareLineFeed => "a line ends with a line feed alone",
            Self::RequestLine => "the request line is not valid",
            Self::Version => "the version is neither HTTP/1.0 nor HTTP/1.1",
            Self::Target => "the request target is not valid",
            Self::StatusLine => "the status line is not valid",
            Self::HeaderName => "a header name is not valid",
            Self::HeaderValue => "a header value is not valid",
            Self::ContentLength => "the Content-Length is not one plain number",
            Self::TransferEncoding => "the Transfer-Encoding is not exactly chunked",
            Self::BothLengths => "both Content-Length and Transfer-Encoding are there",
            Self::Host => "exactly one valid Host is needed",
            Self::Expectation => "the expectation cannot be met",
            Self::TooLong => "the head is too long",
            Self::TooManyLines => "there are too many header lines",
            Self::TargetTooLong => "the request target is too long",
        }
    }
}

/// Why a chunked body is refused (RFC 9112 section 7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("{}", self.detail())]
pub enum ChunkError {
    /// A chunk's size is not 1 to 16 hexadecimal digits.
    Size,
    /// What follows the size is no extension, or there is too much of it.
    Extension,
    /// A chunk's data, or a line, is not followed by CR LF.
    End,
    /// A trailer line that is no header line, or one that no trailer may have.
    Trailer,
}

impl ChunkError {
    /// Every one of them.
    pub const ALL: [Self; 4] = [Self::Size, Self::Extension, Self::End, Self::Trailer];

    /// Its name in counters and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Size => "bad_chunk_size",
            Self::Extension => "bad_chunk_extension",
            Self::End => "bad_chunk_end",
            Self::Trailer => "bad_trailer",
        }
    }

    /// A sentence for a person.
    pub const fn detail(self) -> &'static str {
        match self {
            Self::Size => "a chunk size is not valid",
            Self::Extension => "a chunk extension is not valid",
            Self::End => "a chunk does not end where its size says",
            Self::Trailer => "a trailer is not valid",
        }
    }
}
