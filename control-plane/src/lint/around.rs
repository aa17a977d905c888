//! What is found about what a change touches, and around it: about what can tell the difference though it was not
//! touched. Costs what the change costs, no more than its budget.

use std::collections::BTreeSet;

use sluice_core::claims::Budget;
use sluice_intent::{Kind, LintRule, ResourceId};
use sluice_model::Key;

use super::earlier::{self, Known};
use super::{Finding, Looking, claims, idle};
use crate::compile::{Action, Changed, World};

/// Resources that are looked at though they were not touched.
const MAX_AROUND: usize = 2_000;
/// Steps that it takes to look at one of them.
const RESOURCE: u64 = 20;

/// What was found, and whether everything was looked at.
#[derive(Debug, Default)]
pub(super) struct Looked {
    pub(super) findings: Vec<Finding>,
    pub(super) is_complete: bool,
}

/// What is found about a change of `before`, apart from what the check says of it.
pub(super) fn look(before: &World, changed: &Changed, budget: &mut Budget) -> Looked {
    let world = &changed.world;
    let around = Around::of(before, changed);
    let mut looked = Looked {
        findings: Vec::new(),
        is_complete: around.is_complete,
    };
    budget.part(4, |budget| around.each(world, &mut looked, budget));
    let idle = around.idle(before, world);
    looked
        .findings
        .extend(idle.iter().filter_map(|id| idle::of(world, id)));
    let routes = around.touched.iter().filter(|id| id.kind == Kind::HTTPRoute);
    let rules: BTreeSet<Key> = routes.flat_map(|id| world.rule_keys(id)).cloned().collect();
    let clashes = claims::of_change(before, world, &rules, budget);
    looked.findings.extend(clashes.findings);
    looked.is_complete &= clashes.is_complete;
    looked
}

/// What was found about the same before: about everything that one of `findings` in `world` is about.
pub(super) fn known(before: &World, world: &World, findings: &[&Finding], budget: &mut Budget) -> Known {
    let others = findings.iter().filter_map(|finding| finding.other.as_ref());
    let others = others.map(|other| &other.resource);
    let ids: BTreeSet<&ResourceId> = findings
        .iter()
        .map(|finding| &finding.resource)
        .chain(others)
        .collect();
    let mut looking = Looking::at(before);
    let mut known = budget.part(2, |budget| earlier::known(before, world, findings, budget));
    let mut doubtful: BTreeSet<&ResourceId> = BTreeSet::new();
    for intent in ids.iter().filter_map(|id| before.get(id)) {
        let (own, is_complete) = looking.of_resource(&intent.resource, budget);
        known.findings.extend(own);
        if !is_complete {
            doubtful.insert(&intent.resource.id);
        }
        let warnings = before.warnings(intent).into_iter();
        known.findings.extend(warnings.filter_map(Finding::of_warning));
    }
    let idle = ids.iter().filter_map(|id| idle::of(before, id));
    known.findings.extend(idle);
    let unknown = findings
        .iter()
        .filter(|finding| finding.rule == LintRule::Uncovered && doubtful.contains(&finding.resource));
    known.unknown.extend(unknown.map(|finding| finding.identity()));
    known
}

/// What a change has to do with.
struct Around<'a> {
    /// Made or changed.
    touched: BTreeSet<&'a ResourceId>,
    /// Taken away.
    gone: BTreeSet<&'a ResourceId>,
    /// Routes and experiments to which what they hang on has become something else.
    beside: BTreeSet<&'a ResourceId>,
    is_complete: bool,
}

impl<'a> Around<'a> {
    fn of(before: &World, changed: &'a Changed) -> Self {
        let with = |wanted: &[Action]| {
            let actions = changed.actions.iter();
            let those = actions.filter(|(_, action)| wanted.contains(action));
            those.map(|(id, _)| id).collect::<BTreeSet<_>>()
        };
        let touched = with(&[Action::Created, Action::Updated]);
        let gone = with(&[Action::Deleted]);
        // What certificates there are, and whether a listener has them, may have changed with these.
        let is_credential =
            |id: &&&ResourceId| matches!(id.kind, Kind::Secret | Kind::ConfigMap | Kind::ReferenceGrant);
        let has_credentials = touched.iter().chain(&gone).any(|id| is_credential(&id));
        let affected = || changed.affected.iter().map(|id| &**id);
        let gateways = affected().filter(|id| id.kind == Kind::Gateway);
        let gateways = gateways.filter(|id| has_credentials || touched.contains(id));
        let routes = gateways.flat_map(|id| changed.world.routes_of(id));
        let compiled = affected().filter(|id| matches!(id.kind, Kind::HTTPRoute | Kind::Experiment));
        let mut beside = BTreeSet::new();
        let mut is_complete = true;
        for id in compiled.chain(routes).filter(|id| !touched.contains(id)) {
            if beside.len() == MAX_AROUND && !beside.contains(id) {
                is_complete = false;
                break;
            }
            if before.get(id).is_some() {
                beside.insert(id);
            }
        }
        Self {
            touched,
            gone,
            beside,
            is_complete,
        }
    }

    /// Looks at what was touched, and at what is beside it as long as there is anything left.
    fn each(&self, world: &World, looked: &mut Looked, budget: &mut Budget) {
        let mut looking = Looking::at(world);
        for (ids, is_own) in [(&self.touched, true), (&self.beside, false)] {
            for intent in ids.iter().filter_map(|id| world.get(id)) {
                if !is_own && !budget.afford(RESOURCE) {
                    looked.is_complete = false;
                    return;
                }
                let (own, is_complete) = looking.of_resource(&intent.resource, budget);
                looked.findings.extend(own);
                looked.is_complete &= is_complete;
            }
        }
    }

    /// What may have become idle, or is new and idle.
    fn idle(&self, before: &World, world: &World) -> BTreeSet<ResourceId> {
        let changed = || self.touched.iter().chain(&self.gone).copied();
        let mut ids = before.orphans(world, changed());
        ids.extend(self.touched.iter().copied().cloned());
        let routes = changed().chain(self.beside.iter().copied());
        ids.extend(routes.flat_map(|id| before.parents(id)));
        ids
    }
}
