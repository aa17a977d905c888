//! What is probably not meant: rules that get no requests or somebody else's, splits over nothing, what nobody
//! uses, names without a certificate.
//!
//! What is wrong in itself is found where a world is made, and refused there whatever the linter is told
//! ([`World::change`]). The rules here are those of [`LintRule`]; how bad what they find is, LintPolicies
//! say. A file has one idea of what to look for. Looking at everything costs what everything costs ([`lint_world`]);
//! a write is judged by what it touches ([`judge`]).

mod around;
mod change;
mod claims;
mod earlier;
mod finding;
mod idle;
mod names;
mod severity;
mod splits;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use sluice_core::claims::Budget;
use sluice_intent::{LintRule, Resource, ResourceId};
use sluice_model::{HistoryId, Revision, Violation};

use crate::compile::{Action, Change, Changed, DanglingRefs, World};

pub use change::{Author, judge};
pub use finding::{Lint, Severity, Site};

use finding::Finding;
use names::Certificates;
use severity::Severities;

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "LintReport")]
pub struct Report {
    /// What is refused, then what is probably not meant.
    pub items: Vec<Lint>,
    /// What was not looked at, in words; nothing when everything was.
    pub notes: Vec<String>,
}

/// One of the rules, for those who want to know which there are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Told {
    /// The code of what it finds, and its name in a LintPolicy.
    pub code: &'static str,
    /// What becomes of that where no LintPolicy names it.
    pub severity: &'static str,
    /// What it finds.
    pub summary: &'static str,
}

/// Every rule.
pub fn rules() -> Vec<Told> {
    let told = |rule: LintRule| Told {
        code: rule.code().as_str(),
        severity: rule.default_severity().as_str(),
        summary: rule.summary(),
    };
    LintRule::ALL.map(told).into()
}

/// What would be said of these resources if they were all there is, at `now` since 1970.
pub fn lint(resources: Vec<Resource>, now: Duration) -> Report {
    let world = World::empty(HistoryId([0; 16])).at(now);
    let changes: Vec<_> = resources.into_iter().map(Change::Put).collect();
    match world.change(changes, Revision(1), DanglingRefs::Refuse) {
        Err(violations) => Report::refused(violations),
        Ok(changed) => lint_world(&changed.world),
    }
}

/// What is to be said of a whole world.
pub fn lint_world(world: &World) -> Report {
    let mut found = claims::look(world);
    let mut certificates = Certificates::default();
    // All of them are looked at, however many there are; requests that show what is wrong may come to an end.
    let (mut requests, mut names) = (Budget::new(Budget::TABLE), Budget::new(u64::MAX));
    for intent in world.iter() {
        let resource = &intent.resource;
        let own = splits::look(world, resource, &mut requests);
        found.findings.extend(own);
        let (own, _) = names::look(world, resource, &mut certificates, &mut names);
        found.findings.extend(own);
        let warnings = world.warnings(intent);
        found
            .findings
            .extend(warnings.into_iter().filter_map(Finding::of_warning));
    }
    found.findings.extend(idle::look(world));
    found.report(world)
}

/// What is to be said of a world after a change, of what the change touched and who is in its way.
pub fn lint_changed(changed: &Changed) -> Report {
    let touched: BTreeSet<String> = touched(changed).map(ToString::to_string).collect();
    let concerns = |lint: &Lint| {
        let other = lint
            .other
            .as_ref()
            .is_some_and(|other| touched.contains(&other.resource));
        other || touched.contains(&lint.resource)
    };
    let mut report = lint_world(&changed.world);
    report.items.retain(concerns);
    report
}

/// What a change left other than it was.
fn touched(changed: &Changed) -> impl Iterator<Item = &ResourceId> {
    let there = changed.actions.iter();
    let there = there.filter(|(_, action)| matches!(action, Action::Created | Action::Updated));
    there.map(|(id, _)| id)
}

/// Looks at resources, one after the other.
struct Looking<'a> {
    world: &'a World,
    certificates: Certificates,
}

impl<'a> Looking<'a> {
    fn at(world: &'a World) -> Self {
        Self {
            world,
            certificates: Certificates::default(),
        }
    }

    /// What is said of one resource by itself and what it refers to, and whether that is all.
    fn of_resource(&mut self, resource: &Resource, budget: &mut Budget) -> (Vec<Finding>, bool) {
        let mut found = splits::look(self.world, resource, budget);
        let (names, is_complete) = names::look(self.world, resource, &mut self.certificates, budget);
        found.extend(names);
        (found, is_complete)
    }
}

/// What was found, before it is weighed.
#[derive(Debug, Default)]
struct Found {
    findings: Vec<Finding>,
    /// What does not build.
    broken: Vec<Violation>,
    notes: Vec<String>,
}

impl Found {
    fn report(self, world: &World) -> Report {
        let mut report = Report::refused(self.broken);
        let mut severities = Severities::of(world);
        let weighed = self.findings.into_iter();
        let weighed = weighed.filter_map(|finding| {
            let severity = Severity::told(severities.weigh(&finding))?;
            Some(finding.lint(severity))
        });
        report.items.extend(weighed);
        report.items.sort_by(|one, other| one.place().cmp(&other.place()));
        report.items.dedup();
        report.notes = self.notes;
        report
    }
}

impl Report {
    /// The report of what is refused.
    pub fn refused(violations: Vec<Violation>) -> Self {
        let items = violations.into_iter().map(Lint::refused);
        Self {
            items: items.collect(),
            notes: Vec::new(),
        }
    }
}
