//! What a change brings along: warnings that ride with the answer, and errors that refuse it.
//!
//! Judged is what the change touches: its routes among those that stand at the same places, its splits, its
//! names. So it costs what the change costs. What only a look at everything shows is left to [`lint_world`]:
//! matches that several others cover together, captures by routes that were there before, what nobody uses.
//!
//! [`lint_world`]: super::lint_world

use std::collections::{BTreeMap, BTreeSet};

use sluice_intent::{Kind, LintRule, LintSeverity, ResourceId};
use sluice_model::{Key, Violation};

use super::{Certificates, Finding, claims, of_resource, severity, touched};
use crate::compile::{Changed, World};

/// What two findings have in common that are the same, before and after a change.
type Identity = (LintRule, ResourceId, Option<ResourceId>);

/// The same change with what the linter warns of; `before` is the world that it changes. With `may_refuse` it is
/// refused for what it brings about and a LintPolicy calls an error; else that is a warning.
///
/// # Errors
/// What refuses it.
pub fn judge(before: &World, mut changed: Changed, may_refuse: bool) -> Result<Changed, Vec<Violation>> {
    let ids: Vec<&ResourceId> = touched(&changed).collect();
    let mut findings = of_change(&changed.world, &ids);
    let mut warnings = Vec::new();
    for warning in std::mem::take(&mut changed.warnings) {
        match Finding::of_warning(warning.clone()) {
            Some(finding) => findings.push(finding),
            None => warnings.push(warning),
        }
    }
    let weigh = |finding: Finding| (severity(&changed.world, &finding), finding);
    let weighed: Vec<(LintSeverity, Finding)> = findings.into_iter().map(weigh).collect();
    if may_refuse {
        let errors: Vec<&Finding> = of_severity(&weighed, LintSeverity::Error).collect();
        let refused = brought_about(before, &errors, &touched(&changed).collect::<Vec<_>>());
        if !refused.is_empty() {
            return Err(refused);
        }
    }
    let told = weighed
        .into_iter()
        .filter(|(severity, _)| *severity != LintSeverity::Off);
    warnings.extend(told.map(|(_, finding)| finding.violation()));
    changed.warnings = warnings;
    Ok(changed)
}

/// What is found about resources that are touched, apart from what the check says of them.
fn of_change(world: &World, ids: &[&ResourceId]) -> Vec<Finding> {
    let resources = ids.iter().filter_map(|id| world.get(id));
    let mut certificates = Certificates::default();
    let mut found: Vec<Finding> = resources
        .flat_map(|intent| of_resource(world, &intent.resource, &mut certificates))
        .collect();
    let routes = ids.iter().filter(|id| id.kind == Kind::HTTPRoute);
    let rules: BTreeSet<Key> = routes.flat_map(|id| world.rule_keys(id)).cloned().collect();
    if !rules.is_empty() {
        found.extend(claims::of_rules(world, &rules));
    }
    found
}

fn of_severity(weighed: &[(LintSeverity, Finding)], wanted: LintSeverity) -> impl Iterator<Item = &Finding> {
    let found = weighed.iter().filter(move |(severity, _)| *severity == wanted);
    found.map(|(_, finding)| finding)
}

/// Those of `errors` of which there were fewer before.
fn brought_about(before: &World, errors: &[&Finding], touched: &[&ResourceId]) -> Vec<Violation> {
    if errors.is_empty() {
        return Vec::new();
    }
    let mut known: BTreeMap<Identity, usize> = BTreeMap::new();
    let concerned: BTreeSet<&ResourceId> = errors.iter().map(|error| &error.resource).collect();
    let concerned = concerned.into_iter().filter_map(|id| before.get(id));
    let warned = concerned.flat_map(|intent| before.warnings(intent));
    let warned = warned.filter_map(Finding::of_warning);
    for finding in of_change(before, touched).into_iter().chain(warned) {
        *known.entry(finding.identity()).or_default() += 1;
    }
    let mut now: BTreeMap<Identity, Vec<&Finding>> = BTreeMap::new();
    for &error in errors {
        now.entry(error.identity()).or_default().push(error);
    }
    let is_new = |(identity, found): &(Identity, Vec<&Finding>)| {
        found.len() > known.get(identity).copied().unwrap_or_default()
    };
    let new = now.into_iter().filter(is_new).flat_map(|(_, found)| found);
    new.map(|finding| finding.clone().violation()).collect()
}
