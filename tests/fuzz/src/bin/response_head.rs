//! Heads of answers: refused, or passed on as one answer of the same meaning.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    sluice_fuzz::http1::response_head(bytes);
});
