//! Filters of one rule, or of one backend of it.

use sluice_model::Code;

use super::{Distinct, check_unmanaged};
use crate::filter::{Filter, FilterType, HeaderModifier, HttpHeader, RequestMirror};
use crate::report::Report;

/// Reports what is wrong with the field `filters` of what is being looked at: a rule.
pub(super) fn validate_filters(filters: &[Filter], report: &mut Report<'_>) {
    let rewrites = filters
        .iter()
        .any(|filter| filter.filter_type() == FilterType::UrlRewrite);
    let mut types = Distinct::new();
    report.each("filters", filters, |report, filter| {
        let filter_type = filter.filter_type();
        if filter_type != FilterType::RequestMirror && types.repeats(filter_type) {
            let message = format!("`{}` may stand once in a list", filter_type.as_str());
            report.add_in("type", Code::Duplicate, message);
        }
        if rewrites && filter_type == FilterType::RequestRedirect {
            report.add(Code::Conflict, "a redirect does not go with a URLRewrite");
        }
        report.field(filter_type.field(), |report| match filter {
            Filter::RequestHeaderModifier(edit) | Filter::ResponseHeaderModifier(edit) => {
                validate_headers(edit, report);
            }
            Filter::RequestMirror(mirror) => validate_mirror(mirror, report),
            Filter::RequestRedirect(_) | Filter::UrlRewrite(_) | Filter::Cors(_) => {}
        });
    });
}

/// The same for a single backend, which the request has been given to already.
pub(super) fn validate_backend_filters(filters: &[Filter], report: &mut Report<'_>) {
    validate_filters(filters, report);
    report.each("filters", filters, |report, filter| {
        let answers = matches!(
            filter.filter_type(),
            FilterType::RequestRedirect | FilterType::Cors
        );
        if answers {
            let message = format!(
                "`{}` belongs to the rule: it answers before a backend is chosen",
                filter.filter_type().as_str()
            );
            report.add_in("type", Code::Conflict, message);
        }
    });
}

fn validate_mirror(mirror: &RequestMirror, report: &mut Report<'_>) {
    let Some(fraction) = mirror.fraction else { return };
    if mirror.percent.is_some() {
        report.add_in("fraction", Code::Conflict, "does not go with `percent`");
    }
    if fraction.numerator > fraction.denominator() {
        let message = format!("is more than the {} of the denominator", fraction.denominator());
        report.field("fraction", |report| {
            report.add_in("numerator", Code::OutOfRange, message);
        });
    }
}

fn validate_headers(edit: &HeaderModifier, report: &mut Report<'_>) {
    for (list, headers) in [("set", &edit.set), ("add", &edit.add)] {
        let mut names = Distinct::new();
        report.each(list, headers, |report, HttpHeader { name, .. }| {
            report.field("name", |report| validate_name(name.as_str(), &mut names, report));
        });
    }
    let mut names = Distinct::new();
    report.each("remove", &edit.remove, |report, name| {
        validate_name(name.as_str(), &mut names, report);
    });
}

fn validate_name(name: &str, names: &mut Distinct<String>, report: &mut Report<'_>) {
    if names.repeats(name.to_ascii_lowercase()) {
        report.add(
            Code::Duplicate,
            format_args!("`{name}` stands in the list already"),
        );
    }
    check_unmanaged(name, report);
}
