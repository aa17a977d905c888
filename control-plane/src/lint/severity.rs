//! How bad a finding is: what the LintPolicies of its namespace say.

use std::collections::BTreeMap;

use sluice_intent::{LintRule, LintSeverity, Namespace};

use super::Finding;
use crate::compile::World;

/// What the LintPolicies of a world say, each namespace's read once for each rule.
pub(super) struct Severities<'a> {
    world: &'a World,
    known: BTreeMap<(Namespace, LintRule), Option<LintSeverity>>,
}

impl<'a> Severities<'a> {
    pub(super) fn of(world: &'a World) -> Self {
        Self {
            world,
            known: BTreeMap::new(),
        }
    }

    /// What becomes of a finding: what the LintPolicies of its namespace say, or else the default. Whoever is
    /// concerned in another namespace may ask for more, and not for less. Of several policies the strictest counts.
    pub(super) fn weigh(&mut self, finding: &Finding) -> LintSeverity {
        let own = self.named(&finding.resource.namespace, finding.rule);
        let own = own.unwrap_or(finding.rule.default_severity());
        let other = finding.other.as_ref();
        let theirs = other.and_then(|other| self.named(&other.resource.namespace, finding.rule));
        theirs.map_or(own, |theirs| own.max(theirs))
    }

    fn named(&mut self, namespace: &Namespace, rule: LintRule) -> Option<LintSeverity> {
        let world = self.world;
        let known = self.known.entry((namespace.clone(), rule));
        *known.or_insert_with(|| {
            let policies = world.lint_policies(namespace);
            policies.filter_map(|policy| policy.rules.get(rule)).max()
        })
    }
}
