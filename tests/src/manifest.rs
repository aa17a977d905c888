//! Manifests that scenarios apply, in the shortest form a user could write.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::authority::Identity;

/// Port that [`gateway`] names; `--port-map 80=0` moves it.
pub const PORT: u16 = 80;

/// Port of [`https_gateway`]; `--port-map 443=0` moves it.
pub const TLS_PORT: u16 = 443;

/// The hostname that scenarios use when one is enough.
pub const HOST: &str = "shop.example.com";

/// Key of the one listener of [`gateway`].
pub const LISTENER: &str = "listener/default/edge/http";

/// The Gateway `edge`: one HTTP listener for every hostname.
pub fn gateway() -> Value {
    gateway_on(&[("http", PORT, None)])
}

/// The Gateway `edge` with these listeners: name, port and hostname.
pub fn gateway_on(listeners: &[(&str, u16, Option<&str>)]) -> Value {
    let listeners: Vec<_> = listeners
        .iter()
        .map(|(name, port, hostname)| match hostname {
            Some(hostname) => {
                json!({"name": name, "port": port, "protocol": "HTTP", "hostname": hostname})
            }
            None => json!({"name": name, "port": port, "protocol": "HTTP"}),
        })
        .collect();
    json!({
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "Gateway",
        "metadata": {"name": "edge"},
        "spec": {"gatewayClassName": "sluice", "listeners": listeners},
    })
}

/// A Backend with these endpoints, all else left to its default.
pub fn backend(name: &str, endpoints: &[SocketAddr]) -> Value {
    backend_with(name, endpoints, &json!({}))
}

/// A Backend with these endpoints and further fields of its `spec`.
pub fn backend_with(name: &str, endpoints: &[SocketAddr], fields: &Value) -> Value {
    let endpoints: Vec<_> = endpoints
        .iter()
        .map(|endpoint| json!({"address": endpoint.ip(), "port": endpoint.port()}))
        .collect();
    let mut spec = fields.clone();
    spec["endpoints"] = Value::Array(endpoints);
    json!({
        "apiVersion": "sluice.dev/v1",
        "kind": "Backend",
        "metadata": {"name": name},
        "spec": spec,
    })
}

/// An HTTPRoute of the Gateway `edge` for `hostname` with these rules (a JSON array).
pub fn route(name: &str, hostname: &str, rules: &Value) -> Value {
    json!({
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": name},
        "spec": {"parentRefs": [{"name": "edge"}], "hostnames": [hostname], "rules": rules},
    })
}

/// An HTTPRoute that sends everything for `hostname` to `backend`.
pub fn route_to(name: &str, hostname: &str, backend: &str) -> Value {
    route(
        name,
        hostname,
        &json!([{"name": "all", "backendRefs": [{"name": backend}]}]),
    )
}

/// A Secret with the certificate and key of `identity`.
pub fn certificate(name: &str, identity: &Identity) -> Value {
    let data = json!({"tls.crt": identity.chain, "tls.key": identity.key});
    secret(name, "kubernetes.io/tls", &data)
}

/// A Secret with the authority `pem` and, if it is not empty, a revocation list.
pub fn authority(name: &str, pem: &str, crl: &str) -> Value {
    let mut data = json!({"ca.crt": pem});
    if !crl.is_empty() {
        data["ca.crl"] = crl.into();
    }
    secret(name, "Opaque", &data)
}

fn secret(name: &str, secret_type: &str, data: &Value) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name},
        "type": secret_type,
        "stringData": data,
    })
}

/// The Gateway `edge` with HTTPS listeners on [`TLS_PORT`]: name, hostname and `tls`.
pub fn https_gateway(listeners: &[(&str, &str, Value)]) -> Value {
    let mut gateway = gateway();
    let https = |(name, hostname, tls): &(&str, &str, Value)| json!({"name": name, "port": TLS_PORT, "protocol": "HTTPS", "hostname": hostname, "tls": tls});
    gateway["spec"]["listeners"] = listeners.iter().map(https).collect();
    gateway
}

/// Many documents as one.
pub fn list(items: &[Value]) -> Value {
    json!({"apiVersion": "v1", "kind": "List", "items": items})
}
