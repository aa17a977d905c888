//! What only the whole can show to be wrong: references that lead nowhere, listeners in each
//! other's way, experiments on the same rule.

mod backend_ref;
mod experiment;
mod finding;
mod gateway;
mod policy;
mod route;
mod secret;
mod secret_ref;

use sluice_intent::{Resource, ResourceId, Spec};
use sluice_model::{Code, Violation};

pub use finding::{Doubt, Reason};
pub(super) use finding::{Finding, Severity};

use super::World;

/// Everything to be said about `resource` in `world`.
pub(super) fn findings(world: &World, resource: &Resource) -> Vec<Finding> {
    let mut report = Report {
        world,
        resource,
        found: Vec::new(),
    };
    match &resource.spec {
        Spec::Gateway(spec) => gateway::check(&mut report, spec),
        Spec::HttpRoute(spec) => route::check(&mut report, spec),
        Spec::Backend(spec) => policy::check_backend(&mut report, spec),
        Spec::Experiment(spec) => experiment::check(&mut report, spec),
        Spec::Secret(spec) => secret::check(&mut report, spec),
        Spec::ConfigMap(spec) => secret::check_config_map(&mut report, spec),
        Spec::BackendTlsPolicy(spec) => policy::check_backend_tls(&mut report, spec),
        Spec::TrafficPolicy(spec) => policy::check_traffic(&mut report, spec),
        Spec::GatewayClass(_) | Spec::ReferenceGrant(_) | Spec::LintPolicy(_) => {}
    }
    report.found
}

/// Whether `new` may take the place of `old`.
pub(super) fn succession(old: &Resource, new: &Resource) -> Result<(), Vec<Violation>> {
    let (Spec::Secret(before), Spec::Secret(after)) = (&old.spec, &new.spec) else {
        return Ok(());
    };
    let told = |(field, message)| Violation::new(new.id.to_string(), field, Code::Conflict, message);
    let wrong: Vec<_> = secret::kept(before, after).map(told).collect();
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(wrong),
    }
}

/// What is found about one resource.
struct Report<'a> {
    world: &'a World,
    resource: &'a Resource,
    found: Vec<Finding>,
}

impl Report<'_> {
    /// Never allowed.
    fn wrong(&mut self, field: impl Into<String>, code: Code, message: impl Into<String>) {
        self.add(Severity::Wrong, Reason::Invalid, field, code, message);
    }

    /// A resource that is referred to does not exist.
    fn missing(&mut self, field: impl Into<String>, reason: Reason, message: impl Into<String>) {
        self.add(Severity::Missing, reason, field, reason.code(), message);
    }

    /// What is referred to exists, but cannot be had.
    fn dangling(&mut self, field: impl Into<String>, reason: Reason, message: impl Into<String>) {
        self.add(Severity::Dangling, reason, field, reason.code(), message);
    }

    /// A reference into another namespace that nothing there permits.
    fn not_permitted(&mut self, field: &str, to: &ResourceId) {
        let message = format!(
            "no ReferenceGrant in namespace {} permits a reference to {to}",
            to.namespace
        );
        self.dangling(format!("{field}.namespace"), Reason::RefNotPermitted, message);
    }

    /// Allowed, but probably not meant.
    fn warning(&mut self, field: impl Into<String>, reason: Reason, code: Code, message: impl Into<String>) {
        self.add(Severity::Warning, reason, field, code, message);
    }

    fn add(
        &mut self,
        severity: Severity,
        reason: Reason,
        field: impl Into<String>,
        code: Code,
        message: impl Into<String>,
    ) {
        let violation = Violation::new(self.resource.id.to_string(), field, code, message);
        let doubt = Doubt { violation, reason };
        self.found.push(Finding { severity, doubt });
    }
}
