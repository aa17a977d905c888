//! Bodies in chunks.

use sluice_http1::ChunkError::{End, Extension, Size, Trailer};

use crate::{
    Case, case, check,
    connection::{
        Seen::{Body, Message, Open},
        chunks,
    },
};

#[test]
fn a_body_in_chunks_ends_where_rfc_9112_says() {
    const CASES: &[Case] = &[
        case("nothing", b"0\r\n\r\n", &[Message(0)]),
        case("one chunk", b"5\r\nhello\r\n0\r\n\r\n", &[Message(5)]),
        case(
            "two, and digits of both cases",
            b"a\r\n0123456789\r\nB\r\n0123456789a\r\n0\r\n\r\n",
            &[Message(21)],
        ),
        case(
            "zeros before a size",
            b"0000000000000005\r\nhello\r\n000\r\n\r\n",
            &[Message(5)],
        ),
        case(
            "data that looks like framing",
            b"7\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n",
            &[Message(7)],
        ),
        case(
            "extensions",
            b"1;a\r\nx\r\n1;a=b;c\r\nx\r\n0;d=\"e;\\\"f\"\r\n\r\n",
            &[Message(2)],
        ),
        case(
            "trailers",
            b"1\r\nx\r\n0\r\nx-checksum: 1\r\nx-other:\r\n\r\n",
            &[Message(1)],
        ),
        case(
            "a trailer that is dropped",
            b"0\r\nset-cookie: a=b\r\n\r\n",
            &[Message(0)],
        ),
        case("more to come", b"5\r\nhell", &[Open]),
        case("no end of the trailers", b"0\r\nx: y\r\n", &[Open]),
    ];
    check(CASES, chunks);
}

#[test]
fn a_size_is_up_to_sixteen_hexadecimal_digits_and_no_more_than_a_body_can_have() {
    const CASES: &[Case] = &[
        case("none", b"\r\nhello\r\n", &[Body(Size)]),
        case("a sign", b"+5\r\nhello\r\n0\r\n\r\n", &[Body(Size)]),
        case("a negative", b"-1\r\nhello\r\n0\r\n\r\n", &[Body(Size)]),
        case("a prefix", b"0x5\r\nhello\r\n0\r\n\r\n", &[Body(Size)]),
        case("a space before", b" 5\r\nhello\r\n0\r\n\r\n", &[Body(Size)]),
        case("no digit", b"g\r\nhello\r\n0\r\n\r\n", &[Body(Size)]),
        case(
            "a digit group",
            b"1_0\r\n0123456789abcdef\r\n0\r\n\r\n",
            &[Body(Size)],
        ),
        case("a point", b"5.0\r\nhello\r\n0\r\n\r\n", &[Body(Size)]),
        case(
            "seventeen digits",
            b"00000000000000005\r\nhello\r\n0\r\n\r\n",
            &[Body(Size)],
        ),
        case("2^64", b"10000000000000000\r\n\r\n", &[Body(Size)]),
        case("2^64 - 1", b"ffffffffffffffff\r\n\r\n", &[Body(Size)]),
        case("a NUL", b"5\0\r\nhello\r\n0\r\n\r\n", &[Body(Size)]),
        case("a carriage return", b"5\r\r\nhello\r\n0\r\n\r\n", &[Body(Size)]),
        case(
            "a carriage return, then an extension",
            b"5\r;a\r\nhello\r\n0\r\n\r\n",
            &[Body(Size)],
        ),
        case(
            "what comes after the last chunk",
            b"5\r\nhello\r\nX\r\n",
            &[Body(Size)],
        ),
    ];
    check(CASES, chunks);
}

#[test]
fn extensions_are_by_the_grammar_without_white_space() {
    const CASES: &[Case] = &[
        case(
            "a space after a size",
            b"5 \r\nhello\r\n0\r\n\r\n",
            &[Body(Extension)],
        ),
        case(
            "a tab after a size",
            b"5\t\r\nhello\r\n0\r\n\r\n",
            &[Body(Extension)],
        ),
        case(
            "a space before a semicolon",
            b"5 ;a\r\nhello\r\n0\r\n\r\n",
            &[Body(Extension)],
        ),
        case("words", b"5 hello\r\nhello\r\n0\r\n\r\n", &[Body(Extension)]),
        case("no name", b"5;\r\nhello\r\n0\r\n\r\n", &[Body(Extension)]),
        case(
            "no name, but a value",
            b"5;=a\r\nhello\r\n0\r\n\r\n",
            &[Body(Extension)],
        ),
        case("no value", b"5;a=\r\nhello\r\n0\r\n\r\n", &[Body(Extension)]),
        case(
            "an open quote",
            b"5;a=\"b\r\nhello\r\n0\r\n\r\n",
            &[Body(Extension)],
        ),
        case(
            "text after a quote",
            b"5;a=\"b\"c\r\nhello\r\n0\r\n\r\n",
            &[Body(Extension)],
        ),
        case(
            "a line feed in quotes",
            b"5;a=\"\n\"\r\nhello\r\n0\r\n\r\n",
            &[Body(End)],
        ),
        case(
            "a line feed escaped in quotes",
            b"5;a=\"\\\n\"\r\nhello\r\n0\r\n\r\n",
            &[Body(End)],
        ),
        case(
            "a carriage return in quotes",
            b"5;a=\"\r\"\r\nhello\r\n0\r\n\r\n",
            &[Body(Extension)],
        ),
        case(
            "a carriage return in a name",
            b"5;a\rb\r\nhello\r\n0\r\n\r\n",
            &[Body(Extension)],
        ),
        case("a NUL", b"5;a\0\r\nhello\r\n0\r\n\r\n", &[Body(Extension)]),
        case(
            "a byte above ASCII in a name",
            b"5;\xe4\r\nhello\r\n0\r\n\r\n",
            &[Body(Extension)],
        ),
    ];
    check(CASES, chunks);
}

#[test]
fn lines_and_chunks_end_with_both_bytes() {
    const CASES: &[Case] = &[
        case(
            "a line feed alone after a size",
            b"5\nhello\r\n0\r\n\r\n",
            &[Body(End)],
        ),
        case(
            "a line feed alone after an extension",
            b"5;a\nhello\r\n0\r\n\r\n",
            &[Body(End)],
        ),
        case(
            "a line feed alone after data",
            b"5\r\nhello\n0\r\n\r\n",
            &[Body(End)],
        ),
        case(
            "a carriage return alone after data",
            b"5\r\nhello\r0\r\n\r\n",
            &[Body(End)],
        ),
        case("two after data", b"5\r\nhello\r\r\n0\r\n\r\n", &[Body(End)]),
        case("nothing after data", b"5\r\nhello0\r\n\r\n", &[Body(End)]),
        case(
            "more data than announced",
            b"5\r\nhello!\r\n0\r\n\r\n",
            &[Body(End)],
        ),
        case(
            "less data than announced",
            b"5\r\nhell\r\n0\r\n\r\n",
            &[Body(End)],
        ),
        case("a line feed alone after the last chunk", b"0\n\r\n", &[Body(End)]),
        case("a line feed alone at the end", b"0\r\n\n", &[Body(End)]),
        case(
            "a line feed alone after a trailer",
            b"0\r\na: b\n\r\n",
            &[Body(End)],
        ),
    ];
    check(CASES, chunks);
}

#[test]
fn trailers_are_header_lines_that_say_nothing_of_the_message() {
    const CASES: &[Case] = &[
        case("no colon", b"0\r\na\r\n\r\n", &[Body(Trailer)]),
        case(
            "the next request",
            b"0\r\nGET / HTTP/1.1\r\n\r\n",
            &[Body(Trailer)],
        ),
        case(
            "a space before the colon",
            b"0\r\na : b\r\n\r\n",
            &[Body(Trailer)],
        ),
        case("a folded line", b"0\r\na: b\r\n c\r\n\r\n", &[Body(Trailer)]),
        case(
            "a carriage return in a value",
            b"0\r\na: b\rc: d\r\n\r\n",
            &[Body(Trailer)],
        ),
        case("a carriage return and no more", b"0\r\n\r\r\n", &[Body(Trailer)]),
        case("a NUL", b"0\r\na: \0\r\n\r\n", &[Body(Trailer)]),
        case(
            "a length",
            b"0\r\ncontent-length: 5\r\n\r\nhello",
            &[Body(Trailer)],
        ),
        case(
            "a coding",
            b"0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            &[Body(Trailer)],
        ),
        case("a host", b"0\r\nhost: b\r\n\r\n", &[Body(Trailer)]),
    ];
    check(CASES, chunks);
}
