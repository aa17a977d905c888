//! Heads of requests: refused, or passed on as one request of the same meaning.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    sluice_fuzz::http1::request_head(bytes);
});
