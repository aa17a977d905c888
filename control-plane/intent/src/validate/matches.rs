//! Conditions of one match.

use sluice_model::Code;

use super::{Distinct, Regexes};
use crate::grammar::{is_field_value, is_path_text};
use crate::httproute::{Match, PathMatchType, ValueMatch, ValueMatchType};
use crate::report::{Report, quoted};

/// Longest value of a query parameter, in characters; the schema bounds headers only.
const MAX_QUERY_VALUE: usize = 1024;
/// What an exact path or a prefix must not contain: it is matched after normalisation, which leaves none of it.
const FORBIDDEN_WITHIN: [&str; 6] = ["//", "/./", "/../", "%2f", "%2F", "#"];
const FORBIDDEN_AT_END: [&str; 2] = ["/..", "/."];

pub(super) fn validate_match(condition: &Match, regexes: &mut Regexes, report: &mut Report<'_>) {
    report.field("path", |report| {
        report.field("value", |report| match condition.path() {
            (PathMatchType::RegularExpression, pattern) => regexes.check(pattern, report),
            (PathMatchType::Exact | PathMatchType::PathPrefix, path) => validate_path(path, report),
        });
    });
    let mut headers = Distinct::new();
    report.each("headers", &condition.headers, |report, header| {
        if headers.repeats(header.name.as_str().to_ascii_lowercase()) {
            report.add_in(
                "name",
                Code::Duplicate,
                format_args!("`{}` has a condition already", header.name),
            );
        }
        validate_value(header, regexes, report);
        if header.match_type.unwrap_or_default() == ValueMatchType::Exact && !is_field_value(&header.value) {
            let message = format!("{} cannot be the value of a header", quoted(&header.value));
            report.add_in("value", Code::Invalid, message);
        }
    });
    let mut parameters = Distinct::new();
    report.each("queryParams", &condition.query_params, |report, parameter| {
        if parameters.repeats(parameter.name.as_str()) {
            report.add_in(
                "name",
                Code::Duplicate,
                format_args!("`{}` has a condition already", parameter.name),
            );
        }
        validate_value(parameter, regexes, report);
        if parameter.value.chars().nth(MAX_QUERY_VALUE).is_some() {
            let message = format!("must have at most {MAX_QUERY_VALUE} characters");
            report.add_in("value", Code::OutOfRange, message);
        }
    });
}

fn validate_path(path: &str, report: &mut Report<'_>) {
    if !path.starts_with('/') {
        report.add(
            Code::Invalid,
            format_args!("{} must begin with `/`", quoted(path)),
        );
    }
    for part in FORBIDDEN_WITHIN.into_iter().filter(|part| path.contains(part)) {
        report.add(
            Code::Invalid,
            format_args!("{} must not contain `{part}`", quoted(path)),
        );
    }
    for part in FORBIDDEN_AT_END.into_iter().filter(|part| path.ends_with(part)) {
        report.add(
            Code::Invalid,
            format_args!("{} must not end in `{part}`", quoted(path)),
        );
    }
    if !path.contains('#') && !is_path_text(path) {
        let message =
            "must have only what a path may have (RFC 3986): no query, and all else percent-encoded";
        report.add(Code::Invalid, format_args!("{} {message}", quoted(path)));
    }
}

fn validate_value(condition: &ValueMatch, regexes: &mut Regexes, report: &mut Report<'_>) {
    if condition.match_type == Some(ValueMatchType::RegularExpression) {
        report.field("value", |report| regexes.check(&condition.value, report));
    }
}
