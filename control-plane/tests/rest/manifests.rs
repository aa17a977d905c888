//! Manifests that the tests write.

use serde_json::{Value, json};

pub(crate) fn list(items: &[Value]) -> Value {
    json!({"apiVersion": "v1", "kind": "List", "items": items})
}

pub(crate) fn backend(name: &str, port: u16) -> Value {
    json!({
        "apiVersion": "sluice.dev/v1", "kind": "Backend", "metadata": {"name": name},
        "spec": {"endpoints": [{"address": "127.0.0.1", "port": port}]},
    })
}

pub(crate) fn labelled(mut manifest: Value, labels: Value) -> Value {
    manifest["metadata"]["labels"] = labels;
    manifest
}

pub(crate) fn gateway() -> Value {
    json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": {"name": "edge"},
        "spec": {
            "gatewayClassName": "sluice",
            "listeners": [{"name": "http", "port": 80, "protocol": "HTTP"}],
        },
    })
}

/// Everything under `/` to `backend`.
pub(crate) fn route(name: &str, backend: &str) -> Value {
    json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": {"name": name},
        "spec": {
            "parentRefs": [{"name": "edge"}],
            "hostnames": ["shop.example.com"],
            "rules": [{"backendRefs": [{"name": backend}]}],
        },
    })
}

/// A gateway, a backend and a route to it.
pub(crate) fn shop() -> Vec<Value> {
    vec![gateway(), backend("web", 8080), route("shop", "web")]
}
