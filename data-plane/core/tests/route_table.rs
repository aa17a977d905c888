//! The route table against a reference that looks at every rule and sorts.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod world;

use std::cmp::Reverse;

use proptest::prelude::*;
use sluice_core::{CompiledRule, RequestView, Snapshot};
use sluice_model::{Hostname, Key, PathMatch};
use world::{Request, full, request, step, world};

/// The rule the Gateway API says takes the request, found the slow way.
fn reference(snapshot: &Snapshot, request: &Request) -> Option<(Key, Key, usize)> {
    let view = request.view();
    let listener = snapshot
        .listeners()
        .filter(|listener| listener.port == request.port && listener.hostname.matches(request.host))
        .min_by_key(|listener| specificity(&listener.hostname))?;
    let mut best = Vec::new();
    for rule in snapshot.rules() {
        let attached = rule
            .route
            .attachments
            .iter()
            .filter(|to| to.listener == listener.key);
        for hostname in attached
            .flat_map(|to| &to.hostnames)
            .filter(|name| name.matches(request.host))
        {
            for at in 0..rule.rule.matches.len() {
                if let Some(rank) = rank(rule, at, &view) {
                    best.push(((specificity(hostname), rank), rule.rule.key.clone(), at));
                }
            }
        }
    }
    best.sort();
    let (_, rule, at) = best.into_iter().next()?;
    Some((listener.key.clone(), rule, at))
}

/// Smaller is more specific: exact, then the longest wildcard, then any.
fn specificity(hostname: &Hostname) -> (u8, Reverse<usize>) {
    match hostname {
        Hostname::Exact(_) => (0, Reverse(0)),
        Hostname::Wildcard(suffix) => (1, Reverse(suffix.len())),
        Hostname::Any => (2, Reverse(0)),
    }
}

type Rank = (
    (u8, Reverse<usize>),
    bool,
    Reverse<usize>,
    Reverse<usize>,
    u64,
    String,
    u32,
    usize,
);

fn rank(rule: &CompiledRule, at: usize, request: &RequestView<'_>) -> Option<Rank> {
    let one = &rule.rule.matches[at];
    let path = match &one.path {
        PathMatch::Exact(path) if **path == *request.path => (0, Reverse(0)),
        PathMatch::Prefix(prefix) => {
            let rest = request.path.strip_prefix(&**prefix)?;
            (rest.is_empty() || rest.starts_with('/')).then_some((1, Reverse(prefix.len())))?
        }
        PathMatch::Regex(regex) if regex.is_match(request.path) => (2, Reverse(0)),
        PathMatch::Exact(_) | PathMatch::Regex(_) => return None,
    };
    let method = one.method.as_ref().is_none_or(|method| method == request.method);
    let headers = one.headers.iter().all(|header| {
        request
            .header(&header.name)
            .is_some_and(|value| header.value.matches(&value))
    });
    let query = one.query.iter().all(|query| {
        request
            .query(&query.name)
            .is_some_and(|value| query.value.matches(&value))
    });
    (method && headers && query).then(|| {
        let counts = (Reverse(one.headers.len()), Reverse(one.query.len()));
        let age = rule.route.creation_revision;
        let name = rule.route.key.owner().to_owned();
        (
            path,
            one.method.is_none(),
            counts.0,
            counts.1,
            age,
            name,
            rule.rule.index,
            at,
        )
    })
}

fn found(snapshot: &Snapshot, request: &Request) -> Option<(Key, Key, usize)> {
    let matched = snapshot.route(request.port, &request.view())?;
    Some((
        matched.listener.key.clone(),
        matched.rule.rule.key.clone(),
        matched.match_index,
    ))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_table_finds_what_the_gateway_api_says(
        world in world(), requests in prop::collection::vec(request(), 20),
    ) {
        let snapshot = full(&world.resources(), 1);
        for request in requests {
            prop_assert_eq!(found(&snapshot, &request), reference(&snapshot, &request), "{:?}", request);
        }
    }

    #[test]
    fn a_snapshot_built_in_steps_answers_like_one_built_at_once(
        worlds in prop::collection::vec(world(), 1..5), requests in prop::collection::vec(request(), 20),
    ) {
        let mut grown = full(&worlds[0].resources(), 1);
        for (revision, world) in (2..).zip(&worlds) {
            let resources = world.resources();
            let before: Vec<_> = requests.iter().map(|request| found(&grown, request)).collect();
            let next = step(&grown, &resources, revision);
            let scratch = full(&resources, revision);
            prop_assert_eq!(next.position(), scratch.position());
            for (request, before) in requests.iter().zip(before) {
                prop_assert_eq!(found(&next, request), found(&scratch, request), "{:?}", request);
                prop_assert_eq!(found(&grown, request), before, "the old snapshot changed: {:?}", request);
            }
            grown = next;
        }
    }
}
