//! Bodies in chunks: as the naive reader has them, and as they were written.

use bytes::BytesMut;
use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::{collection::vec, prelude::*, sample::select};
use sluice_http1::{ChunkError, Chunked, Piece, write_chunk_end, write_chunk_head, write_last_chunk};

use crate::reference::{self, Body};

/// What the codec makes of `bytes`, which come in pieces of at most `most`.
fn decode(bytes: &[u8], most: usize) -> (Body, HeaderMap) {
    let (mut chunked, mut buffer) = (Chunked::default(), BytesMut::new());
    let (mut content, mut rest) = (Vec::new(), bytes);
    loop {
        match chunked.decode(&mut buffer) {
            Ok(Some(Piece::Data(data))) => {
                assert!(!data.is_empty());
                content.extend_from_slice(&data);
            }
            Ok(Some(Piece::End(trailers))) => {
                let left = buffer.len() + rest.len();
                return (Body::Complete(content, left), trailers);
            }
            Ok(None) if rest.is_empty() => return (Body::Open(content), HeaderMap::new()),
            Ok(None) => {
                let (piece, after) = rest.split_at(most.min(rest.len()));
                buffer.extend_from_slice(piece);
                rest = after;
            }
            Err(ChunkError::Size | ChunkError::Extension | ChunkError::End | ChunkError::Trailer) => {
                return (Body::Wrong, HeaderMap::new());
            }
        }
    }
}

/// Bytes that are nearly a body.
fn nearly() -> impl Strategy<Value = Vec<u8>> {
    const PIECES: &[&str] = &[
        "0",
        "1",
        "2",
        "5",
        "a",
        "F",
        "0000000000000000",
        "\r\n",
        "\r\n",
        "\r\n",
        "\r",
        "\n",
        ";",
        "=",
        "\"",
        "\\",
        " ",
        "\t",
        "\0",
        "x: y\r\n",
        "host: a\r\n",
        "Content-Length: 1\r\n",
        "hello",
        "5\r\nhello\r\n",
        "5\r\nhello\r\n",
        "1;a\r\nx\r\n",
        "1;a=b;c=\"d;\\\"\"\r\nx\r\n",
        "0\r\n\r\n",
        "0\r\nx: y\r\n\r\n",
        "GET / HTTP/1.1\r\n",
    ];
    vec(select(PIECES), 0..12).prop_map(|pieces| pieces.concat().into_bytes())
}

proptest! {
    #[test]
    fn a_body_is_what_a_reader_of_all_its_bytes_says(bytes in nearly(), most in 1..20_usize) {
        let expected = reference::body(&bytes);
        prop_assert_eq!(decode(&bytes, bytes.len()).0, expected, "whole");
        let expected = reference::body(&bytes);
        prop_assert_eq!(decode(&bytes, most).0, expected, "{} at a time", most);
    }

    #[test]
    fn a_body_is_read_as_it_was_written(
        pieces in vec(vec(any::<u8>(), 1..300), 0..8),
        trailers in any::<bool>(),
        most in 1..400_usize,
    ) {
        let mut sent = HeaderMap::new();
        for name in ["x-checksum", "grpc-status", "content-length", "set-cookie", "x-forwarded-for"] {
            sent.append(HeaderName::from_static(name), HeaderValue::from_static("1"));
        }
        let mut written = Vec::new();
        for piece in &pieces {
            write_chunk_head(&mut written, piece.len());
            written.extend_from_slice(piece);
            write_chunk_end(&mut written);
        }
        write_last_chunk(&mut written, trailers.then_some(&sent));
        written.extend_from_slice(b"next");
        let (body, read) = decode(&written, most);
        prop_assert_eq!(body, Body::Complete(pieces.concat(), 4));
        let names: Vec<_> = read.keys().map(HeaderName::as_str).collect();
        prop_assert_eq!(names, if trailers { vec!["x-checksum", "grpc-status"] } else { vec![] });
    }
}

#[test]
fn a_chunks_size_is_written_without_leading_zeros() {
    for (length, text) in [
        (1, "1\r\n"),
        (15, "f\r\n"),
        (16, "10\r\n"),
        (0xabcde, "abcde\r\n"),
    ] {
        let mut written = Vec::new();
        write_chunk_head(&mut written, length);
        assert_eq!(written, text.as_bytes());
    }
}
