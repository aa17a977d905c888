//! How bad a finding is: what the LintPolicies of its namespace say.

use sluice_intent::{LintRule, LintSeverity, Namespace};

use super::Finding;
use crate::compile::World;

/// What becomes of a finding: what the LintPolicies of its namespace say, or else the default. Whoever is concerned
/// in another namespace may ask for more, and not for less. Of several policies the strictest counts.
pub(super) fn severity(world: &World, finding: &Finding) -> LintSeverity {
    let own = named(world, &finding.resource.namespace, finding.rule);
    let own = own.unwrap_or(finding.rule.default_severity());
    let theirs = finding
        .other
        .as_ref()
        .and_then(|other| named(world, &other.resource.namespace, finding.rule));
    theirs.map_or(own, |theirs| own.max(theirs))
}

fn named(world: &World, namespace: &Namespace, rule: LintRule) -> Option<LintSeverity> {
    let policies = world.lint_policies(namespace);
    policies.filter_map(|policy| policy.rules.get(rule)).max()
}
