//! References to Backends, from routes and from experiments, and the filters on them.

use sluice_intent::{ApiKind, BackendRef, BackendTarget, Filter};

use super::{Reason, Report};
use crate::compile::emit::backend_ref::{self, Lost};

/// Checks the references under `path`, a field that ends in `backendRefs`.
pub(super) fn check(report: &mut Report<'_>, path: &str, references: &[BackendRef]) {
    for (at, reference) in references.iter().enumerate() {
        let field = format!("{path}[{at}]");
        check_one(report, &field, reference.target());
        check_filters(report, &format!("{field}.filters"), &reference.filters);
    }
}

/// Checks the Backends that copies of requests go to.
pub(super) fn check_filters(report: &mut Report<'_>, path: &str, filters: &[Filter]) {
    for (at, filter) in filters.iter().enumerate() {
        if let Filter::RequestMirror(mirror) = filter {
            let field = format!("{path}[{at}].requestMirror.backendRef");
            check_one(report, &field, mirror.backend_ref.target());
        }
    }
}

fn check_one(report: &mut Report<'_>, field: &str, reference: BackendTarget<'_>) {
    match backend_ref::resolve(report.world, &report.resource.id, reference) {
        // What TLS to it lacks is said of the Backend.
        Ok(_) | Err(Lost::Unserved) => {}
        Err(Lost::UnknownKind) => {
            let kind = reference.kind.map_or("Service", ApiKind::as_str);
            let message =
                format!("`{kind}` of this group is not known here; use a Backend of group sluice.dev");
            report.dangling(format!("{field}.kind"), Reason::InvalidKind, message);
        }
        Err(Lost::NotPermitted(id)) => report.not_permitted(field, &id),
        Err(Lost::Missing(id)) => {
            let message = format!("{id} does not exist");
            report.missing(format!("{field}.name"), Reason::BackendNotFound, message);
        }
        Err(Lost::NoPort(port)) => {
            let message = format!("the Backend declares no port {port}");
            report.dangling(format!("{field}.port"), Reason::BackendNotFound, message);
        }
    }
}
