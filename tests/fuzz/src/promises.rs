//! What is true of every snapshot, whatever it was built from and on whichever way.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

use prost::Message;
use sluice_core::{BackendState, Decision, ResourceSet, Snapshot, Update};
use sluice_model::{Class, Digest, HistoryId, Position, Revision, Violation};
use sluice_proto::v1;

use crate::{
    messages::HOSTNAMES,
    requests::{self, Visit},
};

/// The history of all snapshots here.
pub const HISTORY: HistoryId = HistoryId([7; 16]);
const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7));

/// Where `resources` stand as revision `revision`.
pub fn position(revision: u64, resources: &ResourceSet) -> Position {
    Position {
        revision: Revision(revision),
        config: resources.digest(Class::Config),
        runtime: resources.digest(Class::Runtime),
    }
}

/// Applies `update` after it went over the wire.
///
/// # Errors
/// The violations, of which there is at least one.
pub fn receive(held: &Snapshot, update: &Update) -> Result<Snapshot, Vec<Violation>> {
    let bytes = update.to_wire().encode_to_vec();
    let wire = v1::Update::decode(&*bytes);
    let applied = wire.map(|wire| Update::from_wire(wire).and_then(|update| held.apply(&update)));
    match applied {
        Ok(Err(violations)) => {
            assert!(!violations.is_empty(), "a refusal says why");
            Err(violations)
        }
        Ok(Ok(snapshot)) => Ok(snapshot),
        Err(error) => unreachable!("what was encoded does not decode: {error}"),
    }
}

/// Goes from `held` to `target` and checks everything that can be said of it; the new snapshot, or
/// `None` when the target is refused.
///
/// # Panics
/// When a promise is broken.
pub fn step(held: &Snapshot, target: &ResourceSet) -> Option<Snapshot> {
    let goal = position(held.position().revision.0 + 1, target);
    let full = Update::full(HISTORY, goal, target);
    let between = Update::between(HISTORY, (held.position(), held.resources()), (goal, target));
    let scratch = receive(&Snapshot::empty(HISTORY), &full);
    let stepped = receive(held, &between);
    let replaced = receive(held, &full);
    match (scratch, stepped, replaced) {
        (Ok(scratch), Ok(stepped), Ok(replaced)) => {
            for built in [&scratch, &stepped, &replaced] {
                assert_holds(built, target, goal);
            }
            assert_alike(&scratch, &stepped);
            assert_alike(&scratch, &replaced);
            assert_carried(held, &stepped);
            Some(stepped)
        }
        (Err(_), Err(_), Err(_)) => None,
        (scratch, stepped, replaced) => unreachable!(
            "refused on one way and built on another: from nothing {scratch:?}, in a step {stepped:?}, replaced {replaced:?}"
        ),
    }
}

/// `built` is what was sent, by content, digest and encoding.
fn assert_holds(built: &Snapshot, target: &ResourceSet, goal: Position) {
    assert_eq!(built.position(), goal);
    assert_eq!(position(goal.revision.0, built.resources()), goal);
    assert!(built.resources().iter().eq(target.iter()));
    assert_eq!(built.resources().len(), target.len());
    let encode = |resources| Update::full(HISTORY, goal, resources).to_wire().encode_to_vec();
    assert_eq!(encode(built.resources()), encode(target));
    let all = ResourceSet::empty().diff(target);
    assert_eq!(position(goal.revision.0, &ResourceSet::empty().apply(&all)), goal);
    let none = target.apply(&target.diff(&ResourceSet::empty()));
    assert_eq!((none.len(), none.digest(Class::Config)), (0, Digest::EMPTY));

    let rules: BTreeSet<u64> = built.rules().map(|rule| rule.uid).collect();
    assert_eq!(rules.len(), built.rules().count(), "two rules have one number");
    let endpoints = || built.backends().flat_map(|backend| &backend.endpoints);
    let uids: BTreeSet<u64> = endpoints().map(|endpoint| endpoint.uid).collect();
    assert_eq!(uids.len(), endpoints().count(), "two endpoints have one number");
}

/// Nothing tells the two apart but the numbers that are given out once.
fn assert_alike(one: &Snapshot, other: &Snapshot) {
    assert!(one.listeners().eq(other.listeners()));
    assert!(one.ports().eq(other.ports()));
    assert_eq!(backends(one), backends(other));
    assert_eq!(credentials(one), credentials(other));
    for port in one.ports() {
        assert_eq!(one.port_limits(port), other.port_limits(port));
        for name in HOSTNAMES.map(Some).into_iter().chain([None]) {
            assert_eq!(
                one.tls_listener(port, name),
                other.tls_listener(port, name),
                "{port} {name:?}"
            );
        }
    }
    let rules = |snapshot: &Snapshot| -> Vec<String> {
        snapshot
            .rules()
            .map(|rule| format!("{:?} {:?}", rule.rule, rule.route))
            .collect()
    };
    assert_eq!(rules(one), rules(other));
    let headers = requests::headers();
    for (at, visit) in requests::all(&headers).enumerate() {
        let random = [0, u128::MAX / 2, u128::MAX][at % 3];
        assert_eq!(
            decide(one, visit, random),
            decide(other, visit, random),
            "{visit:?}"
        );
    }
}

/// What happens to a request and what nearly did; live and explained must agree.
fn decide(snapshot: &Snapshot, visit: Visit<'_>, random: u128) -> String {
    let explained = snapshot.explain(Some(visit.port), &visit.view, CLIENT, random);
    if let Some(matched) = snapshot.route(visit.port, &visit.view) {
        let chosen = match &explained.decision {
            Decision::Redirect { rule, .. }
            | Decision::Preflight { rule }
            | Decision::NoBackends { rule }
            | Decision::Split { rule, .. }
            | Decision::Experiment { rule, .. } => rule,
            Decision::NoListener | Decision::NoRoute => unreachable!("{visit:?} is routed and not explained"),
        };
        assert_eq!(chosen.key, matched.rule.rule.key.as_str());
        assert_eq!(chosen.match_index, matched.match_index);
    }
    format!("{explained:?}")
}

/// Keys of certificates, trusts and tickets; of the latter, how many keys they have.
fn credentials(snapshot: &Snapshot) -> BTreeMap<String, usize> {
    let certificates = snapshot
        .certificates()
        .map(|one| (one.key.to_string(), one.chain.len()));
    let trusts = snapshot
        .trusts()
        .map(|one| (one.key.to_string(), one.roots.len()));
    let tickets = snapshot
        .tickets()
        .map(|one| (one.key.to_string(), one.keys.len()));
    certificates.chain(trusts).chain(tickets).collect()
}

fn backends(snapshot: &Snapshot) -> BTreeMap<String, String> {
    let describe = |state: &Arc<BackendState>| {
        let endpoints: Vec<_> = state
            .endpoints
            .iter()
            .map(|one| (one.address, one.weight))
            .collect();
        (
            state.backend.key.to_string(),
            format!("{:?} {endpoints:?}", state.backend),
        )
    };
    snapshot.backends().map(describe).collect()
}

/// An endpoint that stays in its backend keeps its number and its health, a rule its number.
fn assert_carried(before: &Snapshot, after: &Snapshot) {
    let old: BTreeMap<_, _> = before
        .backends()
        .map(|backend| (&backend.backend.key, backend))
        .collect();
    for new in after.backends() {
        for endpoint in &new.endpoints {
            let known = old
                .get(&new.backend.key)
                .into_iter()
                .flat_map(|old| &old.endpoints);
            if let Some(known) = known.into_iter().find(|known| known.address == endpoint.address) {
                assert_eq!(known.uid, endpoint.uid);
                assert!(Arc::ptr_eq(&known.health, &endpoint.health));
            }
        }
    }
    let old: BTreeMap<_, _> = before.rules().map(|rule| (&rule.rule.key, rule.uid)).collect();
    for rule in after.rules() {
        assert!(old.get(&rule.rule.key).is_none_or(|uid| *uid == rule.uid));
    }
}
