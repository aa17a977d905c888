//! A route's Gateways and Backends.

use sluice_intent::{HttpRouteSpec, ParentRef};
use sluice_model::Code;

use super::{Reason, Report, backend_ref};
use crate::compile::emit::attachment::{Candidate, Denied, candidates};

pub(super) fn check(report: &mut Report<'_>, spec: &HttpRouteSpec) {
    for (at, parent) in spec.parent_refs.iter().enumerate() {
        check_parent(report, &format!("spec.parentRefs[{at}]"), parent);
    }
    if spec.parent_refs.is_empty() {
        let message = "without parentRefs the route attaches to nothing and gets no traffic";
        report.warning(
            "spec.parentRefs",
            Reason::NoMatchingParent,
            Code::Unattached,
            message,
        );
    }
    for (at, rule) in spec.rules.iter().enumerate() {
        backend_ref::check(
            report,
            &format!("spec.rules[{at}].backendRefs"),
            &rule.backend_refs,
        );
        backend_ref::check_filters(report, &format!("spec.rules[{at}].filters"), &rule.filters);
    }
}

fn check_parent(report: &mut Report<'_>, field: &str, parent: &ParentRef) {
    let candidates = match candidates(report.world, &report.resource.id.namespace, parent) {
        Ok(candidates) => candidates,
        Err(Denied::UnknownKind) => {
            return report.dangling(
                format!("{field}.kind"),
                Reason::NoMatchingParent,
                "routes attach to a Gateway",
            );
        }
        Err(Denied::NoGateway(id)) => {
            let message = format!("{id} does not exist");
            return report.missing(format!("{field}.name"), Reason::NoMatchingParent, message);
        }
        Err(Denied::NoListener(id)) => {
            let message = format!("{id} has no such listener");
            return report.dangling(format!("{field}.sectionName"), Reason::NoMatchingParent, message);
        }
        Err(Denied::NoPort(id)) => {
            let message = format!("{id} has no listener on this port");
            return report.dangling(format!("{field}.port"), Reason::NoMatchingParent, message);
        }
    };
    if !candidates.iter().any(Candidate::admits) {
        let message = "no listener's allowedRoutes admits this route here: it attaches to nothing";
        report.warning(field, Reason::NotAllowedByListeners, Code::Unattached, message);
    } else if !candidates
        .iter()
        .any(|one| !one.hostnames(report.resource).is_empty())
    {
        let message = "no hostname is both the route's and a listener's: it attaches to nothing";
        report.warning(
            field,
            Reason::NoMatchingListenerHostname,
            Code::Unattached,
            message,
        );
    }
}
