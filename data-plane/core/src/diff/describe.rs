//! From a rule of a snapshot to its outcome, with everything that rules and backends add to each other.

use std::{collections::BTreeMap, time::Duration};

use sluice_model::{
    Backend, Filters, HeaderEdit, Listener, Mirror, PathEdit, PathMatch, Protocol, Redirect, Rewrite, Scheme,
    Unit,
};

use super::outcome::{
    Arm, BackendPolicy, ExperimentTerms, Forward, Fraction, HeaderChange, MirrorTerms, Outcome, PathChange,
    RedirectTerms, RewriteTerms, Verdict,
};
use crate::{
    CompiledRule, Snapshot, Target, Weights,
    choose::{Choice, Pick},
    filter,
    target::ExperimentTarget,
};

/// About how many bytes an arm has besides its headers.
const ARM: u64 = 256;
/// Slots of an experiment.
const SLOTS: u64 = sluice_model::SLOTS as u64;

/// What happens to requests that match `rule` by its match `at` and came through `listener`.
pub(crate) fn outcome_of(
    snapshot: &Snapshot,
    rule: &CompiledRule,
    at: usize,
    listener: &Listener,
) -> Outcome {
    let matched = rule.rule.matches.get(at).and_then(|one| match &one.path {
        PathMatch::Prefix(prefix) => Some(&**prefix),
        PathMatch::Exact(_) | PathMatch::Regex(_) => None,
    });
    let filters = &rule.rule.filters;
    let verdict = match &filters.redirect {
        Some(redirect) => Verdict::Redirect(redirect_terms(redirect, filters, matched, listener)),
        None => forward(snapshot, rule, matched),
    };
    Outcome {
        verdict,
        cors: filters.cors.as_ref().map(cors_text),
        body_bytes: rule.rule.body_bytes,
    }
}

/// About how many bytes the outcome of a rule has: every arm repeats what the rule does to headers.
pub(super) fn weight_of(snapshot: &Snapshot, rule: &CompiledRule) -> u64 {
    let filters = &rule.rule.filters;
    let target = rule.target.and_then(|idx| snapshot.target(idx));
    let all = |weights: &Weights| -> u64 {
        let arm = |pick: Pick<'_>| ARM + bytes_of(filters) + bytes_of(pick.filters);
        weights.parts().map(|(pick, _)| arm(pick)).sum()
    };
    let arms = match target.map(AsRef::as_ref) {
        None => 0,
        Some(Target::Split(weights)) => all(weights),
        Some(Target::Experiment(target)) => target.variants.iter().map(all).sum(),
    };
    ARM + bytes_of(filters) + arms
}

fn bytes_of(filters: &Filters) -> u64 {
    let edit = |edit: &HeaderEdit| {
        let fields = edit.set.iter().chain(&edit.add);
        let fields: usize = fields
            .map(|(name, value)| name.as_str().len() + value.len())
            .sum();
        fields + edit.remove.iter().map(|name| name.as_str().len()).sum::<usize>()
    };
    (edit(&filters.request_headers) + edit(&filters.response_headers)) as u64
}

/// What happens to requests on `port` that no rule takes.
pub(super) fn unmatched(snapshot: &Snapshot, port: u16, listener: Option<&Listener>) -> Outcome {
    let verdict = match listener {
        Some(_) => Verdict::NotFound,
        None => match snapshot.listeners().find(|one| one.port == port) {
            None => Verdict::Closed,
            Some(one) if one.tls.is_some() => Verdict::Unserved,
            Some(_) => Verdict::NotFound,
        },
    };
    Outcome::bare(verdict)
}

fn redirect_terms(
    redirect: &Redirect,
    filters: &Filters,
    matched: Option<&str>,
    listener: &Listener,
) -> RedirectTerms {
    let scheme = redirect.scheme.unwrap_or(listener.scheme());
    let implied = redirect.scheme.map(filter::implied_port);
    RedirectTerms {
        status: redirect.status.as_u16(),
        scheme: scheme_text(scheme),
        hostname: redirect.hostname.as_deref().map(Into::into),
        port: redirect.port.or(implied).unwrap_or(listener.port),
        path: redirect.path.as_ref().and_then(|edit| path_change(edit, matched)),
        response_headers: header_changes([&filters.response_headers]),
    }
}

/// `http` or `https`.
pub(crate) fn scheme_text(scheme: Scheme) -> &'static str {
    match scheme {
        Scheme::Http => "http",
        Scheme::Https => "https",
    }
}

/// `None` when the path stays as it is.
fn path_change(edit: &PathEdit, matched: Option<&str>) -> Option<PathChange> {
    match edit {
        PathEdit::Full(path) => Some(PathChange::Full {
            path: path.to_string(),
        }),
        PathEdit::Prefix(replacement) => {
            let matched = matched?;
            let replacement = replacement.strip_suffix('/').unwrap_or(replacement);
            (matched != replacement).then(|| PathChange::Prefix {
                matched: matched.into(),
                replacement: replacement.into(),
            })
        }
    }
}

fn forward(snapshot: &Snapshot, rule: &CompiledRule, matched: Option<&str>) -> Verdict {
    let of_rule = Context {
        snapshot,
        filters: &rule.rule.filters,
        matched,
    };
    let target = rule.target.and_then(|idx| snapshot.target(idx));
    let (arms, experiment) = match target.map(AsRef::as_ref) {
        None => return Verdict::NoBackends,
        Some(Target::Split(weights)) => (of_rule.arms(weights, None), None),
        Some(Target::Experiment(target)) => (of_rule.variants(target), Some(experiment_terms(target))),
    };
    // Where every request gets 500 it does not matter from which arm.
    if arms.iter().all(|arm| arm.backend.is_none()) {
        return Verdict::NoBackends;
    }
    let millis = |limit: Option<Duration>| limit.map(whole_millis);
    Verdict::Forward(Box::new(Forward {
        arms,
        experiment,
        request_timeout_ms: millis(rule.rule.timeouts.request),
        backend_request_timeout_ms: millis(rule.rule.timeouts.backend_request),
    }))
}

/// What all arms of a rule have in common.
struct Context<'a> {
    snapshot: &'a Snapshot,
    filters: &'a Filters,
    matched: Option<&'a str>,
}

impl Context<'_> {
    fn variants(&self, target: &ExperimentTarget) -> Vec<Arm> {
        let shares = target.experiment.slots.shares(target.variants.len());
        let can_be_asked_for = target.experiment.override_header.is_some();
        let all = target.experiment.variants.iter().zip(&target.variants);
        let mut arms: Vec<Arm> = all
            .zip(shares)
            .filter(|(_, share)| can_be_asked_for || *share > 0)
            .flat_map(|((variant, weights), share)| self.arms(weights, Some((&variant.name, share))))
            .collect();
        arms.sort_unstable();
        arms
    }

    /// The arms of `weights`, which get all requests, or those of a variant with so many slots.
    fn arms(&self, weights: &Weights, variant: Option<(&str, u16)>) -> Vec<Arm> {
        let slots = variant.map_or(SLOTS, |(_, slots)| u64::from(slots));
        let name = variant.map(|(name, _)| name);
        let total = weights.total();
        let share = |part: u64| Fraction::new(part * slots, total * SLOTS);
        if total == 0 {
            return vec![nowhere(name, Fraction::new(slots, SLOTS))];
        }
        // The same arm written twice is one with both weights.
        let mut parts: BTreeMap<Arm, u64> = BTreeMap::new();
        for (pick, part) in weights.parts().filter(|(_, part)| *part > 0) {
            *parts.entry(self.arm(pick, name)).or_default() += part;
        }
        let weighed = |(arm, part)| Arm {
            share: share(part),
            ..arm
        };
        parts.into_iter().map(weighed).collect()
    }

    fn arm(&self, pick: Pick<'_>, variant: Option<&str>) -> Arm {
        let state = match pick.choice {
            Choice::Backend(idx) => self.snapshot.backend(idx),
            Choice::Dangling | Choice::None => None,
        };
        let none = Fraction::new(0, 1);
        let Some(state) = state else {
            return nowhere(variant, none);
        };
        let (rule, own) = (self.filters, pick.filters);
        let rewrite = filter::rewrite(rule, own).map(|rewrite| rewrite_terms(rewrite, self.matched));
        Arm {
            variant: variant.map(Into::into),
            backend: Some(state.backend.key.to_string()),
            share: none,
            request_headers: header_changes([&rule.request_headers, &own.request_headers]),
            response_headers: header_changes([&rule.response_headers, &own.response_headers]),
            rewrite: rewrite.filter(|terms| terms.hostname.is_some() || terms.path.is_some()),
            mirrors: mirror_terms(rule.mirrors.iter().chain(&own.mirrors)),
            policy: Some(policy(&state.backend)),
        }
    }
}

fn nowhere(variant: Option<&str>, share: Fraction) -> Arm {
    Arm {
        variant: variant.map(Into::into),
        backend: None,
        share,
        request_headers: Vec::new(),
        response_headers: Vec::new(),
        rewrite: None,
        mirrors: Vec::new(),
        policy: None,
    }
}

fn rewrite_terms(rewrite: &Rewrite, matched: Option<&str>) -> RewriteTerms {
    let hostname = rewrite.hostname.as_ref();
    RewriteTerms {
        hostname: hostname.map(|host| String::from_utf8_lossy(host.as_bytes()).into_owned()),
        path: rewrite.path.as_ref().and_then(|edit| path_change(edit, matched)),
    }
}

fn mirror_terms<'a>(mirrors: impl Iterator<Item = &'a Mirror>) -> Vec<MirrorTerms> {
    let terms = |mirror: &Mirror| {
        Some(MirrorTerms {
            backend: mirror.backend.as_ref()?.to_string(),
            share: Fraction::new(mirror.numerator.into(), mirror.denominator.into()),
        })
    };
    let mut all: Vec<_> = mirrors
        .filter_map(terms)
        .filter(|mirror| !mirror.share.is_zero())
        .collect();
    all.sort_unstable();
    all
}

/// What `edits`, one after the other, come to for each header: set, add, remove, and again.
fn header_changes<const N: usize>(edits: [&HeaderEdit; N]) -> Vec<HeaderChange> {
    let mut changes: BTreeMap<&str, (bool, Vec<String>)> = BTreeMap::new();
    for edit in edits {
        for (name, value) in &edit.set {
            changes.insert(name.as_str(), (true, vec![text(value.as_bytes())]));
        }
        for (name, value) in &edit.add {
            changes
                .entry(name.as_str())
                .or_default()
                .1
                .push(text(value.as_bytes()));
        }
        for name in &edit.remove {
            changes.insert(name.as_str(), (true, Vec::new()));
        }
    }
    let change = |(name, (replaced, values)): (&str, _)| HeaderChange {
        name: name.to_owned(),
        replaced,
        values,
    };
    changes.into_iter().map(change).collect()
}

/// Bytes past ASCII are kept apart, so that different values are different texts.
fn text(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

fn policy(backend: &Backend) -> BackendPolicy {
    let outlier = &backend.outlier;
    BackendPolicy {
        protocol: match backend.protocol {
            Protocol::Http => "http",
            Protocol::H2c => "h2c",
        },
        connect_timeout_ms: whole_millis(backend.connect_timeout),
        outlier_failures: outlier.failures,
        base_ejection_ms: whole_millis(outlier.base_ejection),
        max_ejection_ms: whole_millis(outlier.max_ejection),
        max_ejected_percent: outlier.max_ejected_percent,
        tls: backend.tls.as_ref().map(|tls| format!("{tls:?}")),
    }
}

/// As they travel.
fn whole_millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn cors_text(cors: &sluice_model::Cors) -> String {
    let mut origins: Vec<String> = cors
        .allow_origins
        .iter()
        .map(|origin| format!("{origin:?}"))
        .collect();
    origins.sort_unstable();
    origins.dedup();
    format!(
        "origins [{}], credentials {}, methods {:?}, headers {:?}, exposes {:?}, for {:?}",
        origins.join(", "),
        cors.allow_credentials,
        cors.allow_methods,
        cors.allow_headers,
        cors.expose_headers,
        cors.max_age
    )
}

fn experiment_terms(target: &ExperimentTarget) -> ExperimentTerms {
    let experiment = &target.experiment;
    let name = |at: u16| {
        let variant = experiment.variants.get(usize::from(at));
        variant.map_or_else(String::new, |variant| variant.name.to_string())
    };
    ExperimentTerms {
        key: experiment.key.to_string(),
        unit: match &experiment.unit {
            Unit::Cookie(name) => format!("cookie {name}"),
            Unit::Header(name) => format!("header {name}"),
            Unit::Query(name) => format!("query {name}"),
            Unit::ClientIp => "client IP".into(),
        },
        salt: experiment.salt.to_string(),
        override_header: experiment.override_header.as_ref().map(ToString::to_string),
        upstream_header: experiment.upstream_header.as_ref().map(ToString::to_string),
        slots: experiment
            .slots
            .runs()
            .map(|(length, owner)| (length, name(owner)))
            .collect(),
    }
}
