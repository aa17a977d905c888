//! Copies, cross-origin requests, and the filters of one backend.

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::{Value, json};
use sluice_core::{Difference, Entry, RequestView, ResourceSet, Snapshot};
use sluice_proto::v1;

use crate::{
    CLIENT,
    world::{full, key},
};

fn mirror(backend: &str, numerator: u32) -> v1::Mirror {
    v1::Mirror {
        backend: backend.into(),
        numerator,
        denominator: 4,
    }
}

fn split() -> v1::Split {
    let rewrite = v1::Rewrite {
        hostname: "new.example".into(),
        path: None,
    };
    let filters = v1::BackendFilters {
        rewrite: Some(rewrite),
        mirrors: vec![mirror("", 1)],
        ..Default::default()
    };
    v1::Split {
        backends: vec![v1::WeightedBackend {
            backend: "backend/default/web".into(),
            weight: 1,
            filters: Some(filters),
        }],
    }
}

fn snapshot() -> Snapshot {
    let listener = v1::Listener {
        port: 80,
        protocol: v1::listener::Protocol::Http.into(),
        ..Default::default()
    };
    let backend = v1::Backend {
        protocol: v1::backend::Protocol::Http.into(),
        ..Default::default()
    };
    let route = v1::Route {
        creation_revision: 1,
        attachments: vec![v1::Attachment {
            listener: "listener/default/edge/http".into(),
            hostnames: vec![String::new()],
        }],
    };
    let rule = v1::Rule {
        target: "split/default/shop/all".into(),
        mirrors: vec![mirror("backend/default/web", 3)],
        cors: Some(v1::Cors {
            allow_origins: vec!["https://a.example".into()],
            ..Default::default()
        }),
        ..Default::default()
    };
    let upserts = vec![
        Entry::new(key("listener/default/edge/http"), &listener),
        Entry::new(key("backend/default/web"), &backend),
        Entry::new(key("route/default/shop"), &route),
        Entry::new(key("split/default/shop/all"), &split()),
        Entry::new(key("rule/default/shop/all"), &rule),
    ];
    let difference = Difference {
        upserts,
        removals: vec![],
    };
    full(&ResourceSet::empty().apply(&difference), 1)
}

fn explain(method: &Method, headers: &[(&'static str, &'static str)]) -> Value {
    let header = |&(name, value): &(&'static str, &'static str)| {
        (HeaderName::from_static(name), HeaderValue::from_static(value))
    };
    let headers: HeaderMap = headers.iter().map(header).collect();
    let request = RequestView {
        method,
        host: "shop.example",
        path: "/",
        query: None,
        headers: &headers,
    };
    serde_json::to_value(snapshot().explain(Some(80), &request, CLIENT, 0)).unwrap()
}

#[test]
fn copies_and_the_filters_of_a_backend_are_told_where_they_apply() {
    let told = explain(&Method::GET, &[("origin", "https://b.example")]);
    assert_eq!(told["listener"], "listener/default/edge/http");
    assert_eq!(
        told["mirrors"],
        json!([{"backend": "backend/default/web", "percent": 75.0}])
    );
    assert_eq!(
        told["cors"],
        json!({"origin": "https://b.example", "allowed": false})
    );
    let outlier = json!({
        "failures": 5, "baseEjectionMs": 30_000, "maxEjectionMs": 300_000, "maxEjectedPercent": 50,
    });
    let expected = json!([{
        "backend": "backend/default/web", "percent": 100.0, "endpoints": 0,
        "policy": {
            "protocol": "http", "connectTimeoutMs": 5_000, "balancing": "twoChoices", "outlier": outlier,
        },
        "filters": ["rewrite"], "mirrors": [{"percent": 25.0}],
    }]);
    assert_eq!(told["decision"]["backends"], expected);
    assert_eq!(told["policy"], json!({"bodyBytes": 1_073_741_824, "attempts": 2}));
}

#[test]
fn a_preflight_is_answered_and_not_sent_on() {
    let asks = [
        ("origin", "https://a.example"),
        ("access-control-request-method", "PUT"),
    ];
    let told = explain(&Method::OPTIONS, &asks);
    assert_eq!(told["decision"]["outcome"], "preflight");
    assert_eq!(told["cors"]["allowed"], true);
    assert_eq!(
        explain(&Method::OPTIONS, &asks[..1])["decision"]["outcome"],
        "split"
    );
}
