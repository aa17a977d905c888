//! Filters of a rule, and of single backends of it.

use sluice_intent::{
    Cors, Filter, HeaderModifier, HttpHeader, PathModifier, RequestMirror, RequestRedirect, ResourceId,
    Scheme, UrlRewrite,
};
use sluice_proto::v1;

use super::backend_ref;
use crate::compile::World;

/// Writes the filters of `from` into `rule`; each type but mirrors is there at most once.
pub(super) fn fill(world: &World, from: &ResourceId, rule: &mut v1::Rule, filters: &[Filter]) {
    for filter in filters {
        match filter {
            Filter::RequestHeaderModifier(edit) => rule.request_headers = Some(header_edit(edit)),
            Filter::ResponseHeaderModifier(edit) => rule.response_headers = Some(header_edit(edit)),
            Filter::RequestRedirect(redirect) => rule.redirect = Some(wire_redirect(redirect)),
            Filter::UrlRewrite(rewrite) => rule.rewrite = Some(wire_rewrite(rewrite)),
            Filter::RequestMirror(written) => rule.mirrors.push(mirror(world, from, written)),
            Filter::Cors(written) => rule.cors = Some(cors(written)),
        }
    }
}

/// The filters of one backend; none when it has none. Those that only a whole rule can have were
/// refused before.
pub(super) fn of_backend(world: &World, from: &ResourceId, filters: &[Filter]) -> Option<v1::BackendFilters> {
    let mut rule = v1::Rule::default();
    fill(world, from, &mut rule, filters);
    (!filters.is_empty()).then_some(v1::BackendFilters {
        request_headers: rule.request_headers,
        response_headers: rule.response_headers,
        rewrite: rule.rewrite,
        mirrors: rule.mirrors,
    })
}

/// A mirror whose Backend cannot be had stays, and sends nothing.
fn mirror(world: &World, from: &ResourceId, written: &RequestMirror) -> v1::Mirror {
    let (numerator, denominator) = match (written.percent, &written.fraction) {
        (Some(percent), _) => (u32::from(percent), 100),
        (None, Some(fraction)) => (fraction.numerator, fraction.denominator()),
        (None, None) => (1, 1),
    };
    v1::Mirror {
        backend: backend_ref::key(world, from, written.backend_ref.target()),
        numerator,
        denominator,
    }
}

/// What is left out of `maxAge` is 5 s (Gateway API, HTTPCORSFilter).
fn cors(written: &Cors) -> v1::Cors {
    fn texts<T: ToString>(all: &[T]) -> Vec<String> {
        all.iter().map(ToString::to_string).collect()
    }
    v1::Cors {
        allow_origins: texts(&written.allow_origins),
        allow_credentials: written.allow_credentials.unwrap_or(false),
        allow_methods: texts(&written.allow_methods),
        allow_headers: texts(&written.allow_headers),
        expose_headers: texts(&written.expose_headers),
        max_age_s: written.max_age.unwrap_or(5),
    }
}

fn header_edit(edit: &HeaderModifier) -> v1::HeaderEdit {
    let header = |header: &HttpHeader| v1::Header {
        name: header.name.to_string(),
        value: header.value.to_string(),
    };
    v1::HeaderEdit {
        set: edit.set.iter().map(header).collect(),
        add: edit.add.iter().map(header).collect(),
        remove: edit.remove.iter().map(ToString::to_string).collect(),
    }
}

fn wire_redirect(redirect: &RequestRedirect) -> v1::Redirect {
    let scheme = match redirect.scheme {
        Some(Scheme::Http) => "http",
        Some(Scheme::Https) => "https",
        None => "",
    };
    v1::Redirect {
        scheme: scheme.to_owned(),
        hostname: redirect
            .hostname
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
        path: redirect.path.as_ref().map(path_edit),
        port: redirect.port.unwrap_or(0).into(),
        status: redirect.status_code.unwrap_or_default().code().into(),
    }
}

fn wire_rewrite(rewrite: &UrlRewrite) -> v1::Rewrite {
    v1::Rewrite {
        hostname: rewrite
            .hostname
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
        path: rewrite.path.as_ref().map(path_edit),
    }
}

fn path_edit(modifier: &PathModifier) -> v1::PathEdit {
    let edit = match modifier {
        PathModifier::ReplaceFullPath(path) => v1::path_edit::Edit::Full(path.to_string()),
        PathModifier::ReplacePrefixMatch(path) => v1::path_edit::Edit::Prefix(path.to_string()),
    };
    v1::PathEdit { edit: Some(edit) }
}
