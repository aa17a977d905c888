//! An experiment's routes and Backends, and other experiments on the same rules.

use sluice_intent::{ExperimentSpec, Rule, Spec, TargetRef};
use sluice_model::Code;

use super::{Reason, Report, backend_ref};
use crate::compile::emit::experiment::{experiments_on, targets};
use crate::compile::reference;

pub(super) fn check(report: &mut Report<'_>, spec: &ExperimentSpec) {
    for (at, target) in spec.target_refs.iter().enumerate() {
        check_target(report, &format!("spec.targetRefs[{at}]"), target);
    }
    for (at, variant) in spec.variants.iter().enumerate() {
        backend_ref::check(
            report,
            &format!("spec.variants[{at}].backendRefs"),
            &variant.backend_refs,
        );
    }
}

fn check_target(report: &mut Report<'_>, field: &str, target: &TargetRef) {
    let id = reference::route(&target.name, &report.resource.id.namespace);
    let Some(Spec::HttpRoute(route)) = report.world.resource(&id).map(|route| &route.spec) else {
        let message = format!("{id} does not exist");
        return report.missing(format!("{field}.name"), Reason::TargetNotFound, message);
    };
    let is_target = |rule: &&Rule| targets(target, rule);
    if target.section_name.is_some() && !route.rules.iter().any(|rule| is_target(&rule)) {
        return report.dangling(
            format!("{field}.sectionName"),
            Reason::TargetNotFound,
            format!("{id} has no rule of this name"),
        );
    }
    let own = &report.resource.id;
    let rival = experiments_on(report.world, &id).find(|(other, spec)| {
        let theirs = |rule: &&Rule| {
            spec.target_refs
                .iter()
                .any(|one| one.name == target.name && targets(one, rule))
        };
        **other != *own && route.rules.iter().any(|rule| is_target(&rule) && theirs(&rule))
    });
    if let Some((other, _)) = rival {
        let message = format!("{other} is an experiment on the same rule");
        report.wrong(field, Code::Conflict, message);
    }
}
