//! Bounds: what just fits is read, and one more is refused.

use bytes::BytesMut;
use sluice_http1::{
    ChunkError, Chunked,
    HeadError::{self, TargetTooLong, TooLong, TooManyLines},
    HeadLimits, HeadScan, Length, Piece, RequestHead,
};

/// What becomes of a head, read in one piece and byte by byte.
fn read(head: &str, limits: HeadLimits) -> Result<Length, HeadError> {
    let scan = |pieces: &mut dyn Iterator<Item = usize>| {
        let mut scan = HeadScan::default();
        let ends: Result<Vec<_>, _> = pieces
            .map(|length| scan.advance(&head.as_bytes()[..length], &limits))
            .collect();
        ends.map(|ends| ends.last().copied().flatten())
    };
    let whole = scan(&mut [head.len()].into_iter());
    assert_eq!(whole, scan(&mut (1..=head.len())));
    assert_eq!(whole?, Some(head.len()));
    let head = RequestHead::read(&head.to_owned().into(), &limits)?;
    Ok(head.length)
}

const WIDE: HeadLimits = HeadLimits {
    bytes: 100_000,
    lines: 1000,
    target: 50_000,
};

#[test]
fn a_head_has_so_many_bytes_and_no_more() {
    let head = "GET / HTTP/1.1\r\nHost: a\r\nx: yyyyyyyy\r\n\r\n";
    let bytes = head.len();
    assert_eq!(read(head, HeadLimits { bytes, ..WIDE }), Ok(Length::Empty));
    let bytes = bytes - 1;
    assert_eq!(read(head, HeadLimits { bytes, ..WIDE }), Err(TooLong));
}

#[test]
fn a_head_has_so_many_lines_and_no_more() {
    let head = "GET / HTTP/1.1\r\nHost: a\r\nx: y\r\nx: y\r\n\r\n";
    assert_eq!(read(head, HeadLimits { lines: 3, ..WIDE }), Ok(Length::Empty));
    assert_eq!(read(head, HeadLimits { lines: 2, ..WIDE }), Err(TooManyLines));
    let endless = HeadLimits {
        lines: usize::MAX,
        ..WIDE
    };
    assert_eq!(read(head, endless), Ok(Length::Empty));
}

#[test]
fn a_target_has_so_many_bytes_and_no_more() {
    let head = "GET /abc HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_eq!(read(head, HeadLimits { target: 4, ..WIDE }), Ok(Length::Empty));
    assert_eq!(read(head, HeadLimits { target: 3, ..WIDE }), Err(TargetTooLong));
    // Longer than a whole head may be: the target is to blame all the same.
    let narrow = HeadLimits {
        bytes: 8,
        lines: 1,
        target: 3,
    };
    assert_eq!(read(head, narrow), Err(TargetTooLong));
    // Longer than anybody can hold.
    let endless = HeadLimits {
        bytes: usize::MAX,
        lines: 1,
        target: usize::MAX,
    };
    let head = |length: usize| format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(length - 1));
    assert_eq!(read(&head(65_534), endless), Ok(Length::Empty));
    assert_eq!(read(&head(65_535), endless), Err(TargetTooLong));
}

#[test]
fn more_lines_than_a_header_map_holds_are_refused() {
    let endless = HeadLimits {
        bytes: usize::MAX,
        lines: usize::MAX,
        ..WIDE
    };
    let lines: String = (0..40_000).map(|at| format!("x{at}: y\r\n")).collect();
    let head = format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n");
    assert_eq!(
        RequestHead::read(&head.into(), &endless).err(),
        Some(TooManyLines)
    );
}

/// The error of a body, if it has one.
fn error(body: &str) -> Option<ChunkError> {
    let (mut chunked, mut buffer) = (Chunked::default(), BytesMut::from(body));
    loop {
        match chunked.decode(&mut buffer) {
            Ok(Some(Piece::Data(_))) => {}
            Ok(Some(Piece::End(_)) | None) => return None,
            Err(error) => return Some(error),
        }
    }
}

#[test]
fn extensions_cost_so_much_and_no_more() {
    let chunk = |length| format!("1;{}\r\nx\r\n", "a".repeat(length));
    assert_eq!(error(&chunk(4_000)), None);
    assert_eq!(error(&chunk(4_200)), Some(ChunkError::Extension));
    let unending = format!("1;{}", "a".repeat(4_200));
    assert_eq!(error(&unending), Some(ChunkError::Extension));
    assert_eq!(error(&chunk(1_000).repeat(16)), None);
    assert_eq!(error(&chunk(1_000).repeat(17)), Some(ChunkError::Extension));
}

#[test]
fn trailers_are_so_many_and_no_more() {
    let trailers = |lines, length| {
        format!(
            "0\r\n{}\r\n",
            format!("x: {}\r\n", "y".repeat(length)).repeat(lines)
        )
    };
    assert_eq!(error(&trailers(64, 1)), None);
    assert_eq!(error(&trailers(65, 1)), Some(ChunkError::Trailer));
    assert_eq!(error(&trailers(5, 3_000)), None);
    assert_eq!(error(&trailers(6, 3_000)), Some(ChunkError::Trailer));
    assert_eq!(error(&trailers(1, 5_000)), Some(ChunkError::Trailer));
}
