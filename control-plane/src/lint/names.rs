//! Hostnames of routes that no certificate of their listener is valid for. Those of listeners are looked at
//! where Gateways are checked.

use std::collections::{BTreeMap, BTreeSet};

use sluice_core::claims::Budget;
use sluice_intent::{LintRule, Resource, ResourceId, Spec};
use sluice_tls::Leaf;

use super::finding::{Finding, Spot};
use crate::compile::{Attached, World};

/// Steps that it takes to read a certificate.
const READ: u64 = 100;
/// Names of certificates that are compared with a hostname in one step.
const NAMES: u64 = 8;

/// What the certificates of listeners are valid for, read once for all their routes.
#[derive(Default)]
pub(super) struct Certificates(BTreeMap<(ResourceId, String), Vec<Leaf>>);

impl Certificates {
    fn of(&mut self, world: &World, attached: &Attached<'_>, budget: &mut Budget) -> Option<&[Leaf]> {
        let tls = attached.listener.tls.as_ref()?;
        let place = (attached.gateway.clone(), attached.listener.name.to_string());
        let leaves = self.0.entry(place);
        Some(leaves.or_insert_with(|| {
            budget.spend(READ * tls.certificate_refs.len() as u64);
            world.leaves(attached.gateway, tls)
        }))
    }
}

/// The hostnames of a route for which clients would refuse the connection, and whether all were looked at.
pub(super) fn look(
    world: &World,
    resource: &Resource,
    certificates: &mut Certificates,
    budget: &mut Budget,
) -> (Vec<Finding>, bool) {
    let Spec::HttpRoute(spec) = &resource.spec else {
        return (Vec::new(), true);
    };
    let mut told = BTreeSet::new();
    let mut found = Vec::new();
    if budget.is_spent() {
        return (found, false);
    }
    for attached in world.attached_to(resource) {
        budget.spend(1);
        let Some(leaves) = certificates.of(world, &attached, budget) else {
            continue;
        };
        let names: usize = leaves.iter().map(|leaf| leaf.names.len()).sum();
        let each = 1 + names as u64 / NAMES;
        if !budget.afford(each * attached.hostnames.len() as u64) {
            return (found, false);
        }
        let own = attached
            .listener
            .hostname
            .as_ref()
            .map_or("", |name| name.as_str());
        for name in attached.hostnames.iter().map(ToString::to_string) {
            let is_said_of_gateway = name == own;
            let is_covered = leaves.iter().any(|leaf| leaf.covers(&name));
            if leaves.is_empty() || is_covered || is_said_of_gateway || !told.insert(name.clone()) {
                continue;
            }
            let at = spec.hostnames.iter().position(|one| one.as_str() == name);
            let field = at.map_or_else(
                || "spec.hostnames".to_owned(),
                |at| format!("spec.hostnames[{at}]"),
            );
            let gateway = Spot {
                resource: attached.gateway.clone(),
                field: listener_field(world, &attached),
                about: attached.listener.name.to_string(),
            };
            let message = format!(
                "no certificate of listener {} of {} is valid for {name}: clients will refuse the connection; \
                 add one to its certificateRefs",
                attached.listener.name, attached.gateway
            );
            let finding = Finding::new(LintRule::Uncovered, &resource.id, field, message);
            found.push(finding.about(name).beside(gateway));
        }
    }
    (found, true)
}

/// Where the listener stands in its Gateway.
fn listener_field(world: &World, attached: &Attached<'_>) -> String {
    let gateway = world.get(attached.gateway).map(|gateway| &gateway.resource.spec);
    let at = match gateway {
        Some(Spec::Gateway(spec)) => spec
            .listeners
            .iter()
            .position(|one| one.name == attached.listener.name),
        _ => None,
    };
    at.map_or_else(String::new, |at| {
        format!("spec.listeners[{at}].tls.certificateRefs")
    })
}
