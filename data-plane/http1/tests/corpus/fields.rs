//! What clients send: header lines, and the lengths in them.

use sluice_http1::{
    ChunkError::{End, Size},
    HeadError::{
        BareLineFeed, BothLengths, ContentLength, Expectation, HeaderName, HeaderValue, Host, RequestLine,
        TransferEncoding,
    },
};

use crate::{
    Case, case, check,
    connection::{
        Seen::{Body, Head, Message},
        requests,
    },
};

const LENGTHS: &[Case] = &[
    case(
        "twice",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        &[Head(ContentLength)],
    ),
    case(
        "twice the same",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
        &[Head(ContentLength)],
    ),
    case(
        "zero, then another",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\ncontent-length: 5\r\n\r\nhello",
        &[Head(ContentLength)],
    ),
    case(
        "a list",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\nhello",
        &[Head(ContentLength)],
    ),
    case(
        "a list of one",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5,\r\n\r\nhello",
        &[Head(ContentLength)],
    ),
    case(
        "plus",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\nhello",
        &[Head(ContentLength)],
    ),
    case(
        "minus",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\nhello",
        &[Head(ContentLength)],
    ),
    case(
        "nothing",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\nhello",
        &[Head(ContentLength)],
    ),
    case(
        "hexadecimal",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x5\r\n\r\nhello",
        &[Head(ContentLength)],
    ),
    case(
        "a fraction",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5.0\r\n\r\nhello",
        &[Head(ContentLength)],
    ),
    case(
        "an exponent",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5e0\r\n\r\nhello",
        &[Head(ContentLength)],
    ),
    case(
        "in quotes",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \"5\"\r\n\r\nhello",
        &[Head(ContentLength)],
    ),
    case(
        "two numbers",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1 2\r\n\r\nhello",
        &[Head(ContentLength)],
    ),
    case(
        "2^64",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551616\r\n\r\n",
        &[Head(ContentLength)],
    ),
    case(
        "2^64 + 5",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551621\r\n\r\nhello",
        &[Head(ContentLength)],
    ),
    case(
        "a superscript",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \xb2\r\n\r\nok",
        &[Head(ContentLength)],
    ),
    case(
        "a NUL",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\0\r\n\r\nhello",
        &[Head(HeaderValue)],
    ),
    case(
        "on a folded line",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n 5\r\n\r\nhello",
        &[Head(ContentLength)],
    ),
];

#[test]
fn a_length_is_one_plain_number() {
    check(LENGTHS, requests);
}

#[test]
fn a_coding_is_chunked_and_alone() {
    const CASES: &[Case] = &[
        case("with a length", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", &[Head(BothLengths)]),
        case("with a length after it", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n0\r\n\r\n", &[Head(BothLengths)]),
        case("twice", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", &[Head(TransferEncoding)]),
        case("another after it", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n", &[Head(TransferEncoding)]),
        case("another before it", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", &[Head(TransferEncoding)]),
        case("a list", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", &[Head(TransferEncoding)]),
        case("a list of one", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: ,chunked\r\n\r\n0\r\n\r\n", &[Head(TransferEncoding)]),
        case("identity", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\nContent-Length: 2\r\n\r\nok", &[Head(TransferEncoding)]),
        case("nothing", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\nContent-Length: 2\r\n\r\nok", &[Head(TransferEncoding)]),
        case("a parameter", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked;a=b\r\n\r\n0\r\n\r\n", &[Head(TransferEncoding)]),
        case("in quotes", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n", &[Head(TransferEncoding)]),
        case("a letter too many", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", &[Head(TransferEncoding)]),
        case("a word before", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: x chunked\r\n\r\n0\r\n\r\n", &[Head(TransferEncoding)]),
        case("a byte above ASCII", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\xa0\r\n\r\n0\r\n\r\n", &[Head(TransferEncoding)]),
        case("a vertical tab", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", &[Head(HeaderValue)]),
        case("a NUL", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\0\r\n\r\n0\r\n\r\n", &[Head(HeaderValue)]),
        case("in 1.0", b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", &[Head(TransferEncoding)]),
        case("on a folded line", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", &[Head(TransferEncoding)]),
        case("behind a carriage return", b"POST / HTTP/1.1\r\nHost: a\r\nx: y\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", &[Head(HeaderValue)]),
        case("behind a line feed", b"POST / HTTP/1.1\r\nHost: a\r\nx: y\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", &[Head(BareLineFeed)]),
    ];
    check(CASES, requests);
}

const LINES: &[Case] = &[
    case(
        "a space before a colon",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length : 5\r\n\r\nhello",
        &[Head(HeaderName)],
    ),
    case(
        "a tab before a colon",
        b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding\t: chunked\r\n\r\n",
        &[Head(HeaderName)],
    ),
    case(
        "a space within a name",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent Length: 5\r\n\r\nhello",
        &[Head(HeaderName)],
    ),
    case(
        "a NUL in a name",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length\0: 5\r\n\r\nhello",
        &[Head(HeaderName)],
    ),
    case(
        "a byte above ASCII in a name",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length\xa0: 5\r\n\r\nhello",
        &[Head(HeaderName)],
    ),
    case(
        "a separator in a name",
        b"GET / HTTP/1.1\r\nHost: a\r\n(x): y\r\n\r\n",
        &[Head(HeaderName)],
    ),
    case(
        "no name",
        b"GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n",
        &[Head(HeaderName)],
    ),
    case(
        "no colon",
        b"GET / HTTP/1.1\r\nHost: a\r\nb\r\n\r\n",
        &[Head(HeaderName)],
    ),
    case(
        "another request line",
        b"GET / HTTP/1.1\r\nHost: a\r\nGET / HTTP/1.1\r\n\r\n",
        &[Head(HeaderName)],
    ),
    case(
        "a space before the first header",
        b"GET / HTTP/1.1\r\n Host: a\r\n\r\n",
        &[Head(HeaderName)],
    ),
    case(
        "a tab before a header",
        b"GET / HTTP/1.1\r\nHost: a\r\n\tb: c\r\n\r\n",
        &[Head(HeaderName)],
    ),
    case(
        "a line of white space",
        b"GET / HTTP/1.1\r\nHost: a\r\n \r\nb: c\r\n\r\n",
        &[Head(HeaderName)],
    ),
    case(
        "a carriage return before an end",
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\r\n\r\n",
        &[Head(HeaderName)],
    ),
    case(
        "a carriage return in a name",
        b"GET / HTTP/1.1\r\nHost: a\r\nb\rc: d\r\n\r\n",
        &[Head(HeaderName)],
    ),
    case(
        "a carriage return in a value",
        b"GET / HTTP/1.1\r\nHost: a\r\nb: c\rd\r\n\r\n",
        &[Head(HeaderValue)],
    ),
    case(
        "a carriage return before a line's end",
        b"GET / HTTP/1.1\r\nHost: a\r\nb: c\r\r\n\r\n",
        &[Head(HeaderValue)],
    ),
    case(
        "a NUL in a value",
        b"GET / HTTP/1.1\r\nHost: a\r\nb: \0\r\n\r\n",
        &[Head(HeaderValue)],
    ),
    case(
        "an escape in a value",
        b"GET / HTTP/1.1\r\nHost: a\r\nb: \x1b[2J\r\n\r\n",
        &[Head(HeaderValue)],
    ),
    case(
        "a delete in a value",
        b"GET / HTTP/1.1\r\nHost: a\r\nb: \x7f\r\n\r\n",
        &[Head(HeaderValue)],
    ),
    case(
        "a line feed alone after the request line",
        b"GET / HTTP/1.1\nHost: a\r\n\r\n",
        &[Head(BareLineFeed)],
    ),
    case(
        "a line feed alone after a header",
        b"GET / HTTP/1.1\r\nHost: a\n\r\n",
        &[Head(BareLineFeed)],
    ),
    case(
        "a line feed alone at the end",
        b"GET / HTTP/1.1\r\nHost: a\r\n\n",
        &[Head(BareLineFeed)],
    ),
    case(
        "another expectation",
        b"PUT / HTTP/1.1\r\nHost: a\r\nExpect: 200-ok\r\nContent-Length: 1\r\n\r\nx",
        &[Head(Expectation)],
    ),
    case(
        "two expectations",
        b"PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue, x\r\nContent-Length: 1\r\n\r\nx",
        &[Head(Expectation)],
    ),
];

#[test]
fn a_header_line_is_a_token_a_colon_and_a_value_without_control_bytes() {
    check(LINES, requests);
}

#[test]
fn what_is_wrong_stops_everything_behind_it() {
    const CASES: &[Case] = &[
        case(
            "a body that is longer than announced",
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nok HTTP/1.1\r\n\r\n",
            &[Message(2), Head(RequestLine)],
        ),
        case(
            "a chunk that is longer than announced",
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\noka\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n",
            &[Body(End)],
        ),
        case(
            "a second request in a chunk's size",
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
            &[Body(Size)],
        ),
        case(
            "a second request without a host",
            b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
            &[Message(0), Head(Host)],
        ),
    ];
    check(CASES, requests);
}
