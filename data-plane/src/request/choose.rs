//! Choose: what the rule does with the request, and which backend takes it.

use std::sync::Arc;

use http::{HeaderName, HeaderValue, Uri, header::ORIGIN, uri::PathAndQuery};
use sluice_core::{
    BackendState, Choice, CompiledRule, Matched, MirrorTarget, RequestView, Snapshot, Target, cors, filter,
};
use sluice_http1::HeadError;
use sluice_model::{Cors, Filters, Rule, Scheme};

use super::{Reason, exchange::Exchange, respond::Answer, url::Url};
use crate::{live::Pinned, tls::Dial};

/// What a rule does with a request.
pub(super) enum Action<'s> {
    /// It is answered here.
    Answer(Answer),
    Forward(Plan<'s>),
}

/// Everything that is decided about a request before it is sent.
pub(super) struct Plan<'s> {
    pub(super) rule: &'s Rule,
    pub(super) backend: &'s BackendState,
    /// How connections to it are secured, if they are.
    pub(super) dial: Option<&'s Arc<Dial>>,
    /// Changes for this backend's requests alone, after the rule's.
    pub(super) filters: &'s Filters,
    /// What pages of other origins may do, and the origin that asks.
    /// Boxed, as few rules have it and every request has this plan.
    pub(super) cors: Option<(&'s Cors, Option<Box<HeaderValue>>)>,
    /// Who else gets a copy.
    pub(super) mirrors: Vec<Arc<BackendState>>,
    /// What the client speaks.
    pub(super) scheme: Scheme,
    /// What replaces the path, normalised; `None` when it was so already.
    path: Option<PathAndQuery>,
    /// Tells the upstream which variant this is.
    pub(super) variant: Option<(&'s HeaderName, HeaderValue)>,
    /// Keeps the client on its variant.
    pub(super) cookie: Option<HeaderValue>,
    /// The prefix that the request matched.
    prefix: Option<String>,
}

/// Answers a preflight, applies the matched rule's redirect, or finds its backend.
///
/// # Errors
/// When the request's share of the rule leads nowhere.
pub(super) fn choose<'s>(
    exchange: &mut Exchange,
    snapshot: &'s Pinned,
    matched: &Matched<'s>,
    view: &RequestView<'_>,
) -> Result<Action<'s>, Reason> {
    let compiled: &'s _ = matched.rule;
    let rule = &compiled.rule;
    let scheme = matched.listener.scheme();
    if let Some(cors) = &rule.filters.cors
        && let Some(headers) = cors::preflight(cors, view.method, view.headers)
    {
        exchange.routed(compiled, None);
        return Ok(Action::Answer(Answer::Preflight(headers)));
    }
    if let Some(redirect) = &rule.filters.redirect {
        exchange.routed(compiled, None);
        let port = matched.listener.port;
        let location = filter::redirect_location(redirect, view, matched.prefix(), port, scheme);
        // Every part of it was checked: the rule's when it was read, the request's when it was normalised.
        let location = HeaderValue::try_from(location).map_err(|_| Reason::BadPath)?;
        let edit = rule.filters.response_headers.clone();
        return Ok(Action::Answer(Answer::Redirect {
            status: redirect.status,
            location,
            edit,
        }));
    }
    let target = compiled
        .target
        .and_then(|idx| snapshot.target(idx))
        .map(|target| &**target);
    let (weights, variant, cookie) = match target {
        None => {
            exchange.routed(compiled, None);
            return Err(Reason::NoBackends);
        }
        Some(Target::Split(weights)) => {
            exchange.routed(compiled, None);
            (weights, None, None)
        }
        Some(Target::Experiment(target)) => {
            let choice = target.variant(view, exchange.client(), || exchange.random_id());
            exchange.routed(compiled, Some((choice.variant_index, choice.name)));
            let name = target.experiment.upstream_header.as_ref();
            let variant = name.zip(exchange.variant_value());
            (choice.weights, variant, choice.issue_cookie)
        }
    };
    let pick = weights.choose(exchange.random());
    let backend = match pick.choice {
        Choice::Backend(idx) => snapshot.backend(idx).ok_or(Reason::DanglingBackend)?,
        Choice::Dangling => return Err(Reason::DanglingBackend),
        Choice::None => return Err(Reason::NoBackends),
    };
    Ok(Action::Forward(Plan {
        rule,
        backend,
        dial: snapshot.security(&backend.backend)?,
        filters: pick.filters,
        cors: rule
            .filters
            .cors
            .as_ref()
            .map(|cors| (cors, view.headers.get(ORIGIN).cloned().map(Box::new))),
        mirrors: mirrors(exchange, snapshot, compiled, pick.mirrors),
        scheme,
        path: None,
        variant,
        cookie,
        prefix: needs_prefix(rule, pick.filters)
            .then(|| matched.prefix().map(Into::into))
            .flatten(),
    }))
}

fn needs_prefix(rule: &Rule, backend: &Filters) -> bool {
    filter::rewrite(&rule.filters, backend).is_some_and(|rewrite| rewrite.path.is_some())
}

/// The backends that get a copy of this request.
fn mirrors(
    exchange: &Exchange,
    snapshot: &Snapshot,
    rule: &CompiledRule,
    backend: &[MirrorTarget],
) -> Vec<Arc<BackendState>> {
    let drawn = rule
        .mirrors
        .iter()
        .chain(backend)
        .filter(|one| one.draws(exchange.random()));
    drawn
        .filter_map(|one| snapshot.backend(one.backend?).cloned())
        .collect()
}

impl Plan<'_> {
    /// The plan with the path that the upstream gets: normalised, and rewritten if the rule says so.
    ///
    /// # Errors
    /// When that is too long for a target: another path than the one that was matched must not go out.
    pub(super) fn with_target(mut self, written: &Uri, url: &Url<'_>) -> Result<Self, Reason> {
        let rewrite = filter::rewrite(&self.rule.filters, self.filters);
        let edit = rewrite.and_then(|rewrite| rewrite.path.as_ref());
        let path = match edit {
            Some(edit) => filter::rewrite_path(edit, &url.path, self.prefix.as_deref()),
            None => std::borrow::Cow::Borrowed(&*url.path),
        };
        if *path != *written.path() {
            let text = match url.query {
                Some(query) => [&*path, "?", query].concat(),
                None => path.into_owned(),
            };
            self.path = Some(PathAndQuery::try_from(text).map_err(|_| HeadError::TargetTooLong)?);
        }
        Ok(self)
    }

    /// Path and query for the upstream.
    pub(super) fn path_and_query(&self, uri: &Uri) -> PathAndQuery {
        let written = || uri.path_and_query().cloned();
        self.path
            .clone()
            .or_else(written)
            .unwrap_or(PathAndQuery::from_static("/"))
    }

    /// Whether `uri` can be sent as it is: origin-form, and already normal.
    pub(super) fn keeps(&self, uri: &Uri) -> bool {
        self.path.is_none() && uri.authority().is_none()
    }
}
