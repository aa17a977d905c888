//! Messages that two parsers have read in two ways, or could: what is made of each, whole and cut at
//! every byte.

mod bodies;
mod connection;
mod fields;
mod limits;
mod requests;
mod responses;
mod targets;

use connection::{Pieces, Seen};

/// A message, or several, with what is to be made of them.
struct Case {
    /// What it is, or tries.
    what: &'static str,
    bytes: &'static [u8],
    /// In order; the last may be a refusal.
    seen: &'static [Seen],
}

const fn case(what: &'static str, bytes: &'static [u8], seen: &'static [Seen]) -> Case {
    Case { what, bytes, seen }
}

/// The same is seen however the bytes are cut: not at all, in two at each place, and each on its own.
fn check(cases: &[Case], read: impl Fn(Pieces<'_>) -> Vec<Seen>) {
    for Case { what, bytes, seen } in cases {
        assert_eq!(read(&mut [*bytes].into_iter()), *seen, "{what}, whole");
        for cut in 1..bytes.len() {
            let (first, second) = bytes.split_at(cut);
            assert_eq!(
                read(&mut [first, second].into_iter()),
                *seen,
                "{what}, cut at {cut}"
            );
        }
        assert_eq!(read(&mut bytes.chunks(1)), *seen, "{what}, byte by byte");
    }
}
