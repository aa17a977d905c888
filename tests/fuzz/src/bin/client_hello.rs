//! The first bytes of a TLS connection: no handshake, or one for the name that stands in them.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    sluice_fuzz::tls::client_hello(bytes);
});
