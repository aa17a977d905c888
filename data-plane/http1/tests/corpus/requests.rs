//! What clients send: request lines, and one request after another.

use sluice_http1::HeadError::{BareLineFeed, RequestLine, Target, Version};

use crate::{
    Case, case, check,
    connection::{
        Seen::{Head, Last, Message, Open},
        requests,
    },
};

const ENDS: &[Case] = &[
    case("no body", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", &[Message(0)]),
    case(
        "a length",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nok",
        &[Message(2)],
    ),
    case(
        "zeros before a length",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 002\r\n\r\nok",
        &[Message(2)],
    ),
    case(
        "white space around a length",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\t 2 \t\r\n\r\nok",
        &[Message(2)],
    ),
    case(
        "a body with GET",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nok",
        &[Message(2)],
    ),
    case(
        "chunks",
        b"POST / HTTP/1.1\r\nHost: a\r\ntransfer-encoding:CHUNKED\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        &[Message(2)],
    ),
    case(
        "two in a row",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nokGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        &[Message(2), Message(0)],
    ),
    case(
        "an empty line between two",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nok\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        &[Message(2), Message(0)],
    ),
    case(
        "nothing behind the last",
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: x, Close\r\n\r\nGET",
        &[Last(0)],
    ),
    case("1.0", b"GET / HTTP/1.0\r\n\r\nGET", &[Last(0)]),
    case(
        "1.0 that goes on",
        b"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n",
        &[Message(0)],
    ),
    case(
        "1.0 of two minds",
        b"GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\nGET",
        &[Last(0)],
    ),
    case("no end", b"GET / HTTP/1.1\r\nHost: a\r\n", &[Open]),
    case(
        "less body than announced",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nok",
        &[Open],
    ),
    case(
        "a method of its own",
        b"M-SEARCH!#$%&'*+.^_`|~1 / HTTP/1.1\r\nHost: a\r\n\r\n",
        &[Message(0)],
    ),
    case(
        "no space after a colon",
        b"GET / HTTP/1.1\r\nHost:a\r\nx:\r\n\r\n",
        &[Message(0)],
    ),
    case(
        "Latin-1 and tabs in a value",
        b"GET / HTTP/1.1\r\nHost: a\r\nx: \xe4\tb\r\n\r\n",
        &[Message(0)],
    ),
    case(
        "a coding in a value",
        b"GET / HTTP/1.1\r\nHost: a\r\nx: Transfer-Encoding: chunked\r\n\r\n",
        &[Message(0)],
    ),
    case(
        "an underscore in a name",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent_Length: 5\r\n\r\n",
        &[Message(0)],
    ),
    case(
        "absolute form",
        b"GET http://A:80/b HTTP/1.1\r\nHost: a:80\r\n\r\n",
        &[Message(0)],
    ),
    case(
        "asterisk form",
        b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
        &[Message(0)],
    ),
    case(
        "authority form",
        b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n",
        &[Message(0)],
    ),
    case(
        "a fragment",
        b"GET /a?b#c HTTP/1.1\r\nHost: a\r\n\r\n",
        &[Message(0)],
    ),
    case("an empty host", b"GET / HTTP/1.1\r\nHost:\r\n\r\n", &[Message(0)]),
    case(
        "an address",
        b"GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n",
        &[Message(0)],
    ),
    case(
        "100-continue",
        b"PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n\r\nx",
        &[Message(1)],
    ),
];

#[test]
fn a_request_ends_where_rfc_9112_says() {
    check(ENDS, requests);
}

const REQUEST_LINES: &[Case] = &[
    case("HTTP/0.9", b"GET /\r\n\r\n", &[Head(Version)]),
    case("no version", b"GET / \r\nHost: a\r\n\r\n", &[Head(Version)]),
    case("HTTP/1.2", b"GET / HTTP/1.2\r\nHost: a\r\n\r\n", &[Head(Version)]),
    case("HTTP/2.0", b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", &[Head(Version)]),
    case(
        "HTTP/0.9 by name",
        b"GET / HTTP/0.9\r\nHost: a\r\n\r\n",
        &[Head(Version)],
    ),
    case("HTTP/1", b"GET / HTTP/1\r\nHost: a\r\n\r\n", &[Head(Version)]),
    case("HTTP/1.", b"GET / HTTP/1.\r\nHost: a\r\n\r\n", &[Head(Version)]),
    case(
        "HTTP/01.1",
        b"GET / HTTP/01.1\r\nHost: a\r\n\r\n",
        &[Head(Version)],
    ),
    case(
        "HTTP/1.10",
        b"GET / HTTP/1.10\r\nHost: a\r\n\r\n",
        &[Head(Version)],
    ),
    case(
        "lower case",
        b"GET / http/1.1\r\nHost: a\r\n\r\n",
        &[Head(Version)],
    ),
    case(
        "another protocol",
        b"GET / RTSP/1.0\r\nHost: a\r\n\r\n",
        &[Head(Version)],
    ),
    case(
        "a space after",
        b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n",
        &[Head(Version)],
    ),
    case(
        "a tab after",
        b"GET / HTTP/1.1\t\r\nHost: a\r\n\r\n",
        &[Head(Version)],
    ),
    case(
        "a NUL after",
        b"GET / HTTP/1.1\0\r\nHost: a\r\n\r\n",
        &[Head(Version)],
    ),
    case(
        "a tab before",
        b"GET /\tHTTP/1.1\r\nHost: a\r\n\r\n",
        &[Head(Version)],
    ),
    case(
        "no target",
        b"GET HTTP/1.1\r\nHost: a\r\n\r\n",
        &[Head(RequestLine)],
    ),
    case(
        "an empty target",
        b"GET  HTTP/1.1\r\nHost: a\r\n\r\n",
        &[Head(Target)],
    ),
    case(
        "two spaces before a target",
        b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
        &[Head(Target)],
    ),
    case(
        "two spaces after a target",
        b"GET /  HTTP/1.1\r\nHost: a\r\n\r\n",
        &[Head(Target)],
    ),
    case(
        "a tab after a method",
        b"GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n",
        &[Head(RequestLine)],
    ),
    case(
        "a space before a method",
        b" GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        &[Head(RequestLine)],
    ),
    case(
        "no method",
        b"/ HTTP/1.1\r\nHost: a\r\n\r\n",
        &[Head(RequestLine)],
    ),
    case(
        "a method that is no token",
        b"GE(T / HTTP/1.1\r\nHost: a\r\n\r\n",
        &[Head(RequestLine)],
    ),
    case(
        "a NUL in a method",
        b"G\0T / HTTP/1.1\r\nHost: a\r\n\r\n",
        &[Head(RequestLine)],
    ),
    case(
        "two empty lines before",
        b"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        &[Head(RequestLine)],
    ),
    case(
        "a line feed before",
        b"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        &[Head(BareLineFeed)],
    ),
    case(
        "a carriage return before",
        b"\rGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        &[Head(RequestLine)],
    ),
    case(
        "a carriage return within",
        b"GET /\rHTTP/1.1\r\nHost: a\r\n\r\n",
        &[Head(RequestLine)],
    ),
    case("a TLS handshake", b"\x16\x03\x01\x02\n", &[Head(BareLineFeed)]),
];

#[test]
fn a_request_line_has_two_spaces_and_a_version_of_1() {
    check(REQUEST_LINES, requests);
}
