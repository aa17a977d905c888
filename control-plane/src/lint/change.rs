//! What a change brings along: warnings that ride with the answer, and errors that refuse it.
//!
//! Judged is what the change touches and what is around it ([`around`]), so it costs what the change costs. Told is
//! what concerns what was touched, and of other resources what the change brought about. Where there is more around
//! it than is looked at, a warning of its own says so.
//!
//! All of it shares one budget ([`Budget`]), so that no write holds the writer for long, whatever it is like: two thirds
//! of it for what there is after the change, and all that is left for what there was before. What cannot be looked
//! at any more is not judged; what was found refuses a change all the same.

use std::collections::{BTreeMap, BTreeSet};

use sluice_core::claims::Budget;
use sluice_intent::{LintSeverity, ResourceId};
use sluice_model::{Code, Violation};

use super::finding::{Finding, Identity};
use super::severity::Severities;
use super::{around, idle, touched};
use crate::compile::{Action, Changed, World};

/// Steps for a write that changes little; and for each rule of what it touches, up to as many for all: some 300 ms, and
/// half a second whatever the rules are like (`the_largest_write_is_looked_at_in_less_than_a_moment`, in release).
const STEPS: u64 = 400_000;
const STEPS_OF_RULE: u64 = 400;
const MAX_STEPS: u64 = 2_000_000;

/// Who makes a change.
#[derive(Clone, Copy)]
pub struct Author<'a> {
    /// Whether it may be refused for what a LintPolicy calls an error; else that is a warning.
    pub may_be_refused: bool,
    /// Which resources of others they may read.
    pub sees: &'a dyn Fn(&ResourceId) -> bool,
}

/// The same change with what the linter warns of; `before` is the world that it changes.
///
/// # Errors
/// What refuses it: what it brings about and a LintPolicy calls an error, but for what is there for nothing.
pub fn judge(before: &World, mut changed: Changed, author: Author<'_>) -> Result<Changed, Vec<Violation>> {
    let mut budget = budget(&changed);
    let (found, mut warnings) = found(before, &mut changed, &mut budget);
    let own: BTreeSet<&ResourceId> = touched(&changed).collect();
    let is_own = |id: &ResourceId| own.contains(id);
    let concerns = |one: &Finding| {
        is_own(&one.resource) || one.other.as_ref().is_some_and(|other| is_own(&other.resource))
    };
    let worlds = [before, &changed.world];
    let mut judged = Judged::of(worlds, found, author.may_be_refused, concerns, &mut budget);
    let mut changes = changed.actions.iter();
    let first = changes.find(|(_, action)| *action != Action::Unchanged);
    let first = first.map(|(id, _)| id);
    let sees = |id: &ResourceId| is_own(id) || (author.sees)(id);
    let told = |one: Finding| match first {
        Some(first) => one.told_to(&sees, first).violation(),
        None => one.violation(),
    };
    let refused = std::mem::take(&mut judged.refused);
    if !refused.is_empty() {
        return Err(refused.into_iter().map(told).collect());
    }
    warnings.extend(judged.told.into_iter().map(told));
    warnings.extend(first.filter(|_| !judged.is_complete).map(unjudged));
    changed.warnings = warnings;
    Ok(changed)
}

/// What may be done about a change.
fn budget(changed: &Changed) -> Budget {
    let rules = touched(changed).map(|id| changed.world.rule_keys(id).count() as u64);
    let steps = STEPS.saturating_add(rules.sum::<u64>().saturating_mul(STEPS_OF_RULE));
    Budget::new(steps.min(MAX_STEPS))
}

/// All that is found, and the warnings that are none of the linter's.
fn found(before: &World, changed: &mut Changed, budget: &mut Budget) -> (around::Looked, Vec<Violation>) {
    let mut looked = budget.keeping(3, |budget| around::look(before, changed, budget));
    let mut warnings = Vec::new();
    for warning in std::mem::take(&mut changed.warnings) {
        match Finding::of_warning(warning.clone()) {
            Some(finding) => looked.findings.push(finding),
            None => warnings.push(warning),
        }
    }
    (looked, warnings)
}

/// What is to be said of a change.
struct Judged {
    refused: Vec<Finding>,
    told: Vec<Finding>,
    is_complete: bool,
}

impl Judged {
    fn of(
        [before, world]: [&World; 2],
        found: around::Looked,
        may_refuse: bool,
        concerns: impl Fn(&Finding) -> bool,
        budget: &mut Budget,
    ) -> Self {
        let mut severities = Severities::of(world);
        let weigh = |finding: Finding| (severities.weigh(&finding), finding);
        let weighed = found.findings.into_iter().map(weigh);
        let weighed: Vec<_> = weighed
            .filter(|(severity, _)| *severity != LintSeverity::Off)
            .collect();
        let is_error = |severity: LintSeverity, one: &Finding| {
            may_refuse && severity == LintSeverity::Error && !idle::is_about(one.rule)
        };
        // What was there before refuses nothing, and is told only to those who touch it.
        let doubtful = weighed
            .iter()
            .filter(|(severity, one)| is_error(*severity, one) || !concerns(one));
        let doubtful: Vec<&Finding> = doubtful.map(|(_, finding)| finding).collect();
        let news = News::of(before, world, &doubtful, budget);
        let mut judged = Self {
            refused: Vec::new(),
            told: Vec::new(),
            is_complete: found.is_complete && news.is_complete,
        };
        let mut pairs = BTreeSet::new();
        for (severity, finding) in weighed {
            let is_new = news.has(&finding);
            if is_new && is_error(severity, &finding) {
                judged.refused.push(finding);
            } else if (is_new || concerns(&finding))
                && (finding.witness.is_none() || pairs.insert(finding.pair()))
            {
                judged.told.push(finding);
            }
        }
        judged
    }
}

/// What a change brings about.
struct News {
    identities: BTreeSet<Identity>,
    is_complete: bool,
}

impl News {
    /// Those of `findings` of which there were fewer before. What cannot be known is none of them.
    fn of(before: &World, world: &World, findings: &[&Finding], budget: &mut Budget) -> Self {
        if findings.is_empty() {
            return Self {
                identities: BTreeSet::new(),
                is_complete: true,
            };
        }
        let known = around::known(before, world, findings, budget);
        let mut count: BTreeMap<Identity, isize> = BTreeMap::new();
        for finding in findings {
            *count.entry(finding.identity()).or_default() += 1;
        }
        for finding in &known.findings {
            *count.entry(finding.identity()).or_default() -= 1;
        }
        count.retain(|identity, more| *more > 0 && !known.unknown.contains(identity));
        Self {
            identities: count.into_keys().collect(),
            is_complete: known.unknown.is_empty(),
        }
    }

    fn has(&self, finding: &Finding) -> bool {
        self.identities.contains(&finding.identity())
    }
}

/// That there is more than was looked at.
fn unjudged(id: &ResourceId) -> Violation {
    let message = "not everything around this change was judged by the rules of the linter, for there is more than a \
                   write looks at: `sluice lint --live` looks at all of it";
    Violation::new(id.to_string(), "", Code::Unjudged, message)
}
