//! What a policy or an experiment is attached to.

use sluice_model::Code;

use super::Distinct;
use crate::experiment::TargetRef;
use crate::kind::{CORE_GROUP, Kind};
use crate::report::Report;

/// A Service means the Backend of that name.
pub(super) const SERVICE: (&str, &str) = (CORE_GROUP, "Service");

/// Reports targets of other kinds than these, and those that stand twice.
pub(super) fn validate_targets(targets: &[TargetRef], kinds: &[(&str, &str)], report: &mut Report<'_>) {
    let mut distinct = Distinct::new();
    report.each("targetRefs", targets, |report, target| {
        validate_kind(target, kinds, report);
        if distinct.repeats((&target.kind, &target.name, &target.section_name)) {
            report.add(
                Code::Duplicate,
                format_args!("`{}` is a target already", target.name),
            );
        }
    });
}

/// Group and kind as targets name them.
pub(super) const fn named(kind: Kind) -> (&'static str, &'static str) {
    (kind.group(), kind.as_str())
}

fn validate_kind(target: &TargetRef, kinds: &[(&str, &str)], report: &mut Report<'_>) {
    let Some((group, _)) = kinds.iter().find(|(_, kind)| *kind == target.kind.as_str()) else {
        let names: Vec<_> = kinds.iter().map(|(_, kind)| format!("`{kind}`")).collect();
        let message = format!("must be {}, not `{}`", names.join(" or "), target.kind);
        return report.add_in("kind", Code::Invalid, message);
    };
    if target
        .group
        .as_ref()
        .is_some_and(|written| written.as_str() != *group)
    {
        report.add_in("group", Code::Invalid, format_args!("must be `{group}`"));
    }
}
