//! Bodies in chunks: refused, or passed on as one body with the same content.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    sluice_fuzz::http1::chunked_body(bytes);
});
