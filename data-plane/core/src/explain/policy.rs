//! What holds for the requests of a rule and of a backend, as an explanation tells it.

use std::time::Duration;

use sluice_model::{Backend, BackendTls, Filters, Outlier, Protocol, SubjectName};

use crate::Matched;
use crate::explanation::{BackendPolicy, OutlierPolicy, RulePolicy, TlsPolicy};

/// Attempts of one request, at most.
const ATTEMPTS: u32 = 2;

impl RulePolicy {
    pub(super) fn of(matched: &Matched<'_>) -> Self {
        let rule = &matched.rule.rule;
        let body_bytes = rule.body_bytes.unwrap_or(matched.listener.limits.body_bytes);
        Self {
            request_timeout_ms: rule.timeouts.request.map(millis),
            backend_request_timeout_ms: rule.timeouts.backend_request.map(millis),
            body_bytes: Some(body_bytes).filter(|bytes| *bytes != u64::MAX),
            attempts: ATTEMPTS,
            filters: named(&rule.filters),
        }
    }
}

impl BackendPolicy {
    pub(super) fn of(backend: &Backend) -> Self {
        Self {
            protocol: match backend.protocol {
                Protocol::Http => "http",
                Protocol::H2c => "h2c",
            },
            tls: backend.tls.as_deref().map(TlsPolicy::of),
            connect_timeout_ms: millis(backend.connect_timeout),
            balancing: "twoChoices",
            outlier: OutlierPolicy::of(&backend.outlier),
        }
    }
}

impl TlsPolicy {
    fn of(tls: &BackendTls) -> Self {
        let name = |name: &SubjectName| match name {
            SubjectName::Dns(name) | SubjectName::Uri(name) => name.to_string(),
        };
        Self {
            sni: tls.sni.as_deref().map(ToOwned::to_owned),
            names: tls.names.iter().map(name).collect(),
            trust: tls.trust.iter().map(ToString::to_string).collect(),
            client_certificate: tls.client_certificate.as_ref().map(ToString::to_string),
        }
    }
}

impl OutlierPolicy {
    fn of(outlier: &Outlier) -> Self {
        Self {
            failures: outlier.failures,
            base_ejection_ms: millis(outlier.base_ejection),
            max_ejection_ms: millis(outlier.max_ejection),
            max_ejected_percent: outlier.max_ejected_percent,
        }
    }
}

/// What is changed for a rule's or a backend's requests, by name.
pub(super) fn named(filters: &Filters) -> Vec<&'static str> {
    let all = [
        ("requestHeaders", !filters.request_headers.is_empty()),
        ("responseHeaders", !filters.response_headers.is_empty()),
        ("rewrite", filters.rewrite.is_some()),
    ];
    all.into_iter()
        .filter(|(_, there)| *there)
        .map(|(name, _)| name)
        .collect()
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
