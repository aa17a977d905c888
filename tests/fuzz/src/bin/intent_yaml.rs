//! Bytes that claim to be manifests: refused with violations, or read, and then what is written of
//! them reads back as the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sluice_intent::{Format, Resource, parse};

fuzz_target!(|bytes: &[u8]| run(bytes));

fn run(bytes: &[u8]) {
    for format in [Format::Auto, Format::Yaml, Format::Json] {
        match parse(bytes, format, "default") {
            Ok(resources) => assert_reads_back(&resources),
            Err(violations) => assert!(!violations.is_empty(), "a refusal says why"),
        }
    }
}

fn assert_reads_back(resources: &[Resource]) {
    let written: Vec<String> = resources
        .iter()
        .map(|resource| resource.to_json_revealed().to_string())
        .collect();
    let written = written.join("\n");
    for format in [Format::Auto, Format::Json] {
        let again = parse(written.as_bytes(), format, "elsewhere");
        assert_eq!(again.as_deref(), Ok(resources), "{written}");
    }
}
