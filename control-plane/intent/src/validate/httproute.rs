//! Rules of one HTTPRoute: the rules that the Gateway API states in CEL.

use sluice_model::Code;

use super::filters::{validate_backend_filters, validate_filters};
use super::matches::validate_match;
use super::{Distinct, Regexes};
use crate::filter::{Filter, FilterType, PathModifier};
use crate::httproute::{HttpRouteSpec, PathMatchType, Rule};
use crate::kind::{GATEWAY_GROUP, Kind};
use crate::names::{ApiGroup, ApiKind, Namespace, SectionName};
use crate::report::Report;

/// Most matches of all rules together.
const MAX_MATCHES: usize = 128;

pub(super) fn validate(
    spec: &HttpRouteSpec,
    namespace: &Namespace,
    regexes: &mut Regexes,
    report: &mut Report<'_>,
) {
    validate_parents(spec, namespace, report);
    // A rule without matches has the one that takes every request.
    let matches: usize = spec.rules.iter().map(|rule| rule.matches.len().max(1)).sum();
    if matches > MAX_MATCHES {
        let message = format!("must have at most {MAX_MATCHES} matches in all, not {matches}");
        report.add_in("rules", Code::OutOfRange, message);
    }
    let mut names = Distinct::new();
    report.each("rules", &spec.rules, |report, rule| {
        if let Some(name) = &rule.name
            && names.repeats(name)
        {
            report.add_in(
                "name",
                Code::Duplicate,
                format_args!("another rule is called `{name}` already"),
            );
        }
        report.each("matches", &rule.matches, |report, condition| {
            validate_match(condition, regexes, report);
        });
        validate_rule(rule, report);
    });
}

/// A parent may be named twice only by different listeners or ports.
fn validate_parents(spec: &HttpRouteSpec, namespace: &Namespace, report: &mut Report<'_>) {
    let mut parents = Distinct::new();
    report.each("parentRefs", &spec.parent_refs, |report, parent| {
        let same = (
            parent.group.as_ref().map_or(GATEWAY_GROUP, ApiGroup::as_str),
            parent
                .kind
                .as_ref()
                .map_or(Kind::Gateway.as_str(), ApiKind::as_str),
            parent.namespace.as_ref().unwrap_or(namespace),
            &parent.name,
            parent.section_name.as_ref().map(SectionName::as_str),
            parent.port,
        );
        if parents.repeats(same) {
            report.add(
                Code::Duplicate,
                format_args!("`{}` is a parent already", parent.name),
            );
        }
    });
}

fn validate_rule(rule: &Rule, report: &mut Report<'_>) {
    validate_filters(&rule.filters, report);
    validate_prefix_replacement(rule, &rule.filters, report);
    report.each("backendRefs", &rule.backend_refs, |report, backend| {
        validate_backend_filters(&backend.filters, report);
        validate_prefix_replacement(rule, &backend.filters, report);
    });
    let redirects = rule
        .filters
        .iter()
        .any(|filter| filter.filter_type() == FilterType::RequestRedirect);
    if redirects && !rule.backend_refs.is_empty() {
        report.add_in(
            "backendRefs",
            Code::Conflict,
            "does not go with a RequestRedirect filter",
        );
    }
    let timeouts = rule.timeouts.unwrap_or_default();
    if let (Some(request), Some(backend)) = (timeouts.request, timeouts.backend_request)
        && !request.is_zero()
        && backend > request
    {
        report.field("timeouts", |report| {
            let message = format!("{backend} is longer than the {request} of `request`");
            report.add_in("backendRequest", Code::Invalid, message);
        });
    }
}

/// A prefix can be replaced only where every match has one.
fn validate_prefix_replacement(rule: &Rule, filters: &[Filter], report: &mut Report<'_>) {
    if rule
        .matches
        .iter()
        .all(|condition| condition.path().0 == PathMatchType::PathPrefix)
    {
        return;
    }
    report.each("filters", filters, |report, filter| {
        if matches!(filter.path(), Some(PathModifier::ReplacePrefixMatch(_))) {
            report.field(filter.filter_type().field(), |report| {
                let message = "`ReplacePrefixMatch` needs a PathPrefix in every match of the rule";
                report.add_in("path", Code::Conflict, message);
            });
        }
    });
}
