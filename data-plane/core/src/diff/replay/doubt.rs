//! Whether a rule that did not take a request would have, were more known of it.

use sluice_model::{Match, ValueMatch};

use super::Sample;
use crate::{Matched, Snapshot};

/// What a query that was not recorded is called among names of headers.
const QUERY: &str = "?";

/// What is missing to be sure.
#[derive(Clone, Copy, Debug)]
pub(super) enum Doubt<'a> {
    /// The value of this header, which an expression is for, or of which nothing is known.
    Hidden(&'a str),
    /// This header, or `?` for the query, was not looked at.
    Unrecorded(&'a str),
}

/// Looks at the matches on the request's path that come before the one that took it.
pub(super) fn doubt<'a>(
    snapshot: &'a Snapshot,
    port: u16,
    sample: &Sample<'_>,
    taken: Option<Matched<'a>>,
) -> Option<Doubt<'a>> {
    let mut unrecorded = None;
    let request = &sample.request;
    for candidate in snapshot.table.better(port, (request.host, request.path), taken) {
        match missing(candidate.conditions(), sample) {
            Some(hidden @ Doubt::Hidden(_)) => return Some(hidden),
            Some(other) => unrecorded = unrecorded.or(Some(other)),
            None => {}
        }
    }
    unrecorded
}

/// What it would take for all conditions to hold; `None` when one of them surely does not.
fn missing<'m>(wanted: &'m Match, sample: &Sample<'_>) -> Option<Doubt<'m>> {
    let request = &sample.request;
    if wanted
        .method
        .as_ref()
        .is_some_and(|method| method != request.method)
    {
        return None;
    }
    let (mut hidden, mut unrecorded) = (None, None);
    for header in &wanted.headers {
        if request.header_holds(header) {
            continue;
        }
        if sample.unknown.contains(&header.name) {
            hidden = hidden.or(Some(header.name.as_str()));
            continue;
        }
        match (&header.value, sample.hidden.contains(&header.name)) {
            (ValueMatch::Regex(_), true) => hidden = hidden.or(Some(header.name.as_str())),
            (ValueMatch::Exact(_), true) => return None,
            (_, false) if sample.is_recorded(&header.name) => return None,
            (_, false) => unrecorded = unrecorded.or(Some(header.name.as_str())),
        }
    }
    for query in &wanted.query {
        if request.query_holds(query) {
            continue;
        }
        if sample.has_query {
            return None;
        }
        unrecorded = unrecorded.or(Some(QUERY));
    }
    // What is taken as absent keeps it from holding, whatever the hidden values are.
    unrecorded.map(Doubt::Unrecorded).or(hidden.map(Doubt::Hidden))
}
