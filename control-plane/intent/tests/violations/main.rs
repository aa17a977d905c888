//! What is refused, and how: manifests, and exactly the violations they are told of.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod backend;
mod experiment;
mod filters;
mod gateway;
mod httproute;
mod input;
mod metadata;
mod policies;
mod secret;
mod tls;

use sluice_intent::{Format, parse};

/// The violations of an input, each as `resource field code`, without a field `resource code`.
fn violations(input: &str) -> Vec<String> {
    let told = parse(input.as_bytes(), Format::Auto, "default")
        .err()
        .unwrap_or_default();
    told.iter()
        .map(|violation| {
            assert!(
                !violation.message.is_empty() && !violation.message.contains('\n'),
                "{violation}"
            );
            [
                violation.resource.as_str(),
                violation.field.as_str(),
                violation.code.as_str(),
            ]
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join(" ")
        })
        .collect()
}

/// Holds each spec, written in YAML flow style, to its violations: `field code`, in order.
fn check_specs(api_version: &str, kind: &str, cases: &[(&str, &[&str])]) {
    for (spec, expected) in cases {
        let input = format!("apiVersion: {api_version}\nkind: {kind}\nmetadata: {{name: x}}\nspec: {spec}\n");
        let expected: Vec<_> = expected
            .iter()
            .map(|line| format!("{kind}/default/x {line}"))
            .collect();
        assert_eq!(violations(&input), expected, "{spec}");
    }
}
