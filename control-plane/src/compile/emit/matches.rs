//! Conditions of a rule.

use sluice_intent::{Match, PathMatchType, ValueMatch, ValueMatchType};
use sluice_proto::v1;

/// The matches as they travel; the one that takes every request when there are none.
pub(super) fn wire(matches: &[Match]) -> Vec<v1::Match> {
    match matches {
        [] => vec![condition(&Match::default())],
        matches => matches.iter().map(condition).collect(),
    }
}

fn condition(written: &Match) -> v1::Match {
    let (kind, value) = written.path();
    let kind = match kind {
        PathMatchType::Exact => v1::path_match::Kind::Exact,
        PathMatchType::PathPrefix => v1::path_match::Kind::Prefix,
        PathMatchType::RegularExpression => v1::path_match::Kind::Regex,
    };
    v1::Match {
        path: Some(v1::PathMatch {
            kind: kind.into(),
            value: value.to_owned(),
        }),
        method: written
            .method
            .map(|method| method.as_str().to_owned())
            .unwrap_or_default(),
        headers: written.headers.iter().map(value_match).collect(),
        query: written.query_params.iter().map(value_match).collect(),
    }
}

fn value_match(written: &ValueMatch) -> v1::ValueMatch {
    v1::ValueMatch {
        name: written.name.to_string(),
        value: written.value.clone(),
        regex: written.match_type.unwrap_or_default() == ValueMatchType::RegularExpression,
    }
}
