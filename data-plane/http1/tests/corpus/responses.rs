//! What upstreams answer.

use sluice_http1::{
    Answered,
    ChunkError::Size,
    HeadError::{
        BareLineFeed, BothLengths, ContentLength, HeaderName, HeaderValue, StatusLine, TransferEncoding,
    },
};

use crate::{
    Case, case, check,
    connection::{
        Seen::{Body, Head, Last, Message, Open},
        responses,
    },
};

fn check_get(cases: &[Case]) {
    check(cases, |pieces| responses(Answered::Other, pieces));
}

#[test]
fn an_answer_ends_where_rfc_9112_says() {
    const CASES: &[Case] = &[
        case("a length", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", &[Message(2)]),
        case("no length", b"HTTP/1.1 200 OK\r\n\r\nok", &[Open]),
        case("nothing", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", &[Message(0)]),
        case("chunks", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", &[Message(2)]),
        case("no reason", b"HTTP/1.1 200 \r\ncontent-length: 0\r\n\r\n", &[Message(0)]),
        case("no reason and no space", b"HTTP/1.1 200\r\ncontent-length: 0\r\n\r\n", &[Message(0)]),
        case("a reason in Latin-1", b"HTTP/1.1 404 gel\xf6scht\r\ncontent-length: 0\r\n\r\n", &[Message(0)]),
        case("an unknown status", b"HTTP/1.1 299 Odd\r\ncontent-length: 0\r\n\r\n", &[Message(0)]),
        case("1.0", b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", &[Last(2)]),
        case(
            "1.0 that goes on",
            b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok",
            &[Message(2)],
        ),
        case("the last", b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", &[Last(2)]),
        case("204", b"HTTP/1.1 204 No Content\r\n\r\n", &[Message(0)]),
        case("304 with a length", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", &[Message(0)]),
        case(
            "two early, one final",
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: <a>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx",
            &[Message(0), Message(0), Message(1)],
        ),
    ];
    check_get(CASES);
}

#[test]
fn an_answer_to_head_has_no_body_whatever_it_says() {
    const CASES: &[Case] = &[
        case(
            "a length",
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n",
            &[Message(0)],
        ),
        case(
            "chunks",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            &[Message(0)],
        ),
        case("no length", b"HTTP/1.1 200 OK\r\n\r\n", &[Message(0)]),
        case(
            "a wrong length",
            b"HTTP/1.1 200 OK\r\nContent-Length: a\r\n\r\n",
            &[Head(ContentLength)],
        ),
    ];
    check(CASES, |pieces| responses(Answered::Head, pieces));
}

#[test]
fn nothing_follows_an_answer_that_has_a_length_and_must_not() {
    const CASES: &[Case] = &[
        case(
            "204, length",
            b"HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nok",
            &[Last(0)],
        ),
        case(
            "204, chunks",
            b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            &[Last(0)],
        ),
        case(
            "103, length",
            b"HTTP/1.1 103 Early Hints\r\nContent-Length: 2\r\n\r\nok",
            &[Last(0)],
        ),
    ];
    check_get(CASES);
}

const AMBIGUOUS: &[Case] = &[
    case("not HTTP", b"SSH-2.0-OpenSSH\r\n\r\n", &[Head(StatusLine)]),
    case(
        "an empty line first",
        b"\r\nHTTP/1.1 200 OK\r\n\r\n",
        &[Head(StatusLine)],
    ),
    case("a space first", b" HTTP/1.1 200 OK\r\n\r\n", &[Head(StatusLine)]),
    case("lower case", b"http/1.1 200 OK\r\n\r\n", &[Head(StatusLine)]),
    case("HTTP/2.0", b"HTTP/2.0 200 OK\r\n\r\n", &[Head(StatusLine)]),
    case("HTTP/1.2", b"HTTP/1.2 200 OK\r\n\r\n", &[Head(StatusLine)]),
    case("HTTP/1.10", b"HTTP/1.10 200 OK\r\n\r\n", &[Head(StatusLine)]),
    case("no status", b"HTTP/1.1\r\n\r\n", &[Head(StatusLine)]),
    case("two spaces", b"HTTP/1.1  200 OK\r\n\r\n", &[Head(StatusLine)]),
    case("a tab", b"HTTP/1.1\t200 OK\r\n\r\n", &[Head(StatusLine)]),
    case("two digits", b"HTTP/1.1 20 OK\r\n\r\n", &[Head(StatusLine)]),
    case("four digits", b"HTTP/1.1 2000 OK\r\n\r\n", &[Head(StatusLine)]),
    case("a letter", b"HTTP/1.1 2OO OK\r\n\r\n", &[Head(StatusLine)]),
    case("a sign", b"HTTP/1.1 +20 OK\r\n\r\n", &[Head(StatusLine)]),
    case("status 099", b"HTTP/1.1 099 OK\r\n\r\n", &[Head(StatusLine)]),
    case("status 600", b"HTTP/1.1 600 OK\r\n\r\n", &[Head(StatusLine)]),
    case(
        "a NUL in the reason",
        b"HTTP/1.1 200 O\0K\r\n\r\n",
        &[Head(StatusLine)],
    ),
    case(
        "a carriage return in the reason",
        b"HTTP/1.1 200 O\rK\r\n\r\n",
        &[Head(StatusLine)],
    ),
    case(
        "a line feed alone",
        b"HTTP/1.1 200 OK\n\r\n",
        &[Head(BareLineFeed)],
    ),
    case(
        "a line feed alone in a header",
        b"HTTP/1.1 200 OK\r\na: b\nc: d\r\n\r\n",
        &[Head(BareLineFeed)],
    ),
    case("no colon", b"HTTP/1.1 200 OK\r\na\r\n\r\n", &[Head(HeaderName)]),
    case(
        "a folded line",
        b"HTTP/1.1 200 OK\r\na: b\r\n c\r\n\r\n",
        &[Head(HeaderName)],
    ),
    case(
        "a space before a colon",
        b"HTTP/1.1 200 OK\r\na : b\r\n\r\n",
        &[Head(HeaderName)],
    ),
    case(
        "a carriage return in a value",
        b"HTTP/1.1 200 OK\r\na: b\rc: d\r\n\r\n",
        &[Head(HeaderValue)],
    ),
    case(
        "a length twice",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
        &[Head(ContentLength)],
    ),
    case(
        "a list of lengths",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok",
        &[Head(ContentLength)],
    ),
    case(
        "a negative length",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        &[Head(ContentLength)],
    ),
    case(
        "both lengths",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        &[Head(BothLengths)],
    ),
    case(
        "another coding",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        &[Head(TransferEncoding)],
    ),
    case(
        "identity",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\nok",
        &[Head(TransferEncoding)],
    ),
    case(
        "chunks in 1.0",
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        &[Head(TransferEncoding)],
    ),
    case(
        "a wrong chunk",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        &[Body(Size)],
    ),
];

#[test]
fn an_answer_that_could_be_read_in_two_ways_is_none() {
    check_get(AMBIGUOUS);
}
