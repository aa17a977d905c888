//! Variants of one Experiment against each other.

use sluice_model::Code;

use super::filters::validate_backend_filters;
use super::targets::{named, validate_targets};
use super::{Distinct, check_unmanaged};
use crate::experiment::{ExperimentSpec, Variant};
use crate::kind::Kind;
use crate::report::Report;
use crate::share::Share;

pub(super) fn validate(spec: &ExperimentSpec, report: &mut Report<'_>) {
    validate_targets(&spec.target_refs, &[named(Kind::HTTPRoute)], report);
    validate_variants(&spec.variants, report);
    if let Some(name) = &spec.upstream_header {
        report.field("upstreamHeader", |report| check_unmanaged(name.as_str(), report));
    }
}

fn validate_variants(variants: &[Variant], report: &mut Report<'_>) {
    let total: u32 = variants
        .iter()
        .map(|variant| u32::from(variant.share.basis_points()))
        .sum();
    if total != Share::WHOLE {
        let percent = f64::from(total) / 100.0;
        report.add_in(
            "variants",
            Code::Invalid,
            format_args!("shares add up to {percent}, not to 100"),
        );
    }
    let mut names = Distinct::new();
    report.each("variants", variants, |report, variant| {
        if names.repeats(&variant.name) {
            let message = format!("another variant is called `{}` already", variant.name);
            report.add_in("name", Code::Duplicate, message);
        }
        report.each("backendRefs", &variant.backend_refs, |report, backend| {
            validate_backend_filters(&backend.filters, report);
        });
    });
}
