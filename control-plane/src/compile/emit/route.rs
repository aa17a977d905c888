//! An HTTPRoute: where it is served, its rules, and a split for each rule that has backends.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Write as _;

use prost::Message;
use sluice_core::Entry;
use sluice_intent::{Duration, HttpRouteSpec, Resource, ResourceId, Rule};
use sluice_model::{Digest, Key, Kind};
use sluice_proto::v1;

use super::attachment::{Candidate, candidates};
use super::{entry, experiment, filters, limits, matches, split};
use crate::compile::World;
use crate::compile::intent::Intent;

/// Bytes of the hash in the id of a rule without a name. Two rules of one route (16 at most) that
/// share it are told apart by a number.
const HASH_BYTES: usize = 6;

pub(super) fn entries(world: &World, intent: &Intent, spec: &HttpRouteSpec) -> Vec<Entry> {
    let id = &intent.resource.id;
    let (namespace, name) = (id.namespace.as_str(), id.name.as_str());
    let route = v1::Route {
        creation_revision: intent.created.0,
        attachments: attachments(world, &intent.resource, spec),
    };
    let mut entries: Vec<_> = entry(Kind::Route, &[namespace, name], &route)
        .into_iter()
        .collect();
    // Without rules, there is one that takes every request (Gateway API, HTTPRouteSpec.rules).
    let rules = match spec.rules.as_slice() {
        [] => Cow::Owned(vec![Rule::default()]),
        rules => Cow::Borrowed(rules),
    };
    let mut ids = RuleIds::default();
    for (index, rule) in (0u32..).zip(rules.iter()) {
        let matches = matches::wire(&rule.matches);
        let segments = [namespace, name, &ids.next(rule, &matches)];
        let target = target(world, id, rule, &segments);
        let mut message = v1::Rule {
            index,
            matches,
            target: target
                .as_ref()
                .map(|target| target.key.to_string())
                .unwrap_or_default(),
            request_timeout_ms: rule
                .timeouts
                .and_then(|limits| limits.request)
                .map_or(0, Duration::as_millis),
            backend_request_timeout_ms: rule
                .timeouts
                .and_then(|limits| limits.backend_request)
                .map_or(0, Duration::as_millis),
            body_bytes: limits::of_rule(world, id, rule.name.as_ref()),
            ..v1::Rule::default()
        };
        filters::fill(world, id, &mut message, &rule.filters);
        entries.extend(target.and_then(|target| target.split));
        entries.extend(entry(Kind::Rule, &segments, &message));
    }
    entries
}

/// Where a rule's requests go.
struct Target {
    key: Key,
    /// The wire resource, unless it is another's: an experiment.
    split: Option<Entry>,
}

/// An experiment on the rule, or else a split over its backends; nothing when it has none.
fn target(world: &World, route: &ResourceId, rule: &Rule, segments: &[&str]) -> Option<Target> {
    let mut experiments = experiment::experiments_on(world, route);
    let on_rule = experiments.find(|(_, spec)| {
        spec.target_refs
            .iter()
            .any(|one| one.name == route.name && experiment::targets(one, rule))
    });
    let redirects = rule
        .filters
        .iter()
        .any(|filter| matches!(filter, sluice_intent::Filter::RequestRedirect(_)));
    match on_rule {
        _ if redirects => None,
        Some((id, _)) => {
            let key = Key::new(Kind::Experiment, &[id.namespace.as_str(), id.name.as_str()]).ok()?;
            Some(Target { key, split: None })
        }
        None if rule.backend_refs.is_empty() => None,
        None => {
            let backends = split::weighted(world, route, &rule.backend_refs);
            let split = entry(Kind::Split, segments, &v1::Split { backends })?;
            Some(Target {
                key: split.key.clone(),
                split: Some(split),
            })
        }
    }
}

/// Every listener that takes the route, once, with the hostnames both have, in order of key.
fn attachments(world: &World, route: &Resource, spec: &HttpRouteSpec) -> Vec<v1::Attachment> {
    let mut attachments: Vec<v1::Attachment> = Vec::new();
    for parent in &spec.parent_refs {
        let candidates = candidates(world, &route.id.namespace, parent)
            .into_iter()
            .flatten();
        for candidate in candidates.filter(Candidate::is_served) {
            let hostnames = candidate.hostnames(route);
            let gateway = candidate.gateway;
            let segments = [
                gateway.namespace.as_str(),
                gateway.name.as_str(),
                candidate.listener.name.as_str(),
            ];
            let Ok(key) = Key::new(Kind::Listener, &segments) else {
                continue;
            };
            // Two parentRefs may name one listener; it always has the same hostnames then.
            let known = attachments
                .iter()
                .any(|attachment| attachment.listener == key.as_str());
            if !hostnames.is_empty() && !known {
                let hostnames = hostnames.iter().map(ToString::to_string).collect();
                attachments.push(v1::Attachment {
                    listener: key.to_string(),
                    hostnames,
                });
            }
        }
    }
    attachments.sort_by(|a, b| a.listener.cmp(&b.listener));
    attachments
}

/// Gives each rule of a route an identity that does not depend on where it stands: its name, or a
/// hash of its matches. `_` is in no name, so the two cannot meet.
#[derive(Default)]
struct RuleIds {
    used: HashMap<String, u32>,
}

impl RuleIds {
    fn next(&mut self, rule: &Rule, matches: &[v1::Match]) -> String {
        if let Some(name) = &rule.name {
            return name.to_string();
        }
        let rule = v1::Rule {
            matches: matches.to_vec(),
            ..v1::Rule::default()
        };
        let digest = Digest::of(&rule.encode_to_vec());
        let mut id = String::from("_");
        for byte in &digest.0[..HASH_BYTES] {
            // Writing to a string does not fail.
            let _ = write!(id, "{byte:02x}");
        }
        let count = self.used.entry(id.clone()).or_default();
        *count += 1;
        match *count {
            1 => id,
            again => format!("{id}-{again}"),
        }
    }
}
