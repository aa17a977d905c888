//! What is written is read as it was meant, and bodies in chunks are read as by a reader that sees
//! all of them at once.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod bodies;
mod heads;
mod reference;
