//! The sections of a description: metadata, what the spec says, conditions, proxies.

use std::fmt::Write as _;

use serde_json::Value;

use super::security;
use super::text::Text;
use crate::columns;
use crate::manifest::Manifest;
use crate::table::{NONE, Table, listed};

/// `resource` in full. `fleet` is the fleet's view, which says who runs it.
pub(super) fn describe(resource: Manifest<'_>, fleet: Manifest<'_>) -> String {
    let mut text = Text::default();
    metadata(&mut text, resource);
    match resource.text("/kind").as_deref() {
        Some("GatewayClass") => text.field("Controller", &resource.text_or_none("/spec/controllerName")),
        Some("Gateway") => gateway(&mut text, resource),
        Some("HTTPRoute") => route(&mut text, resource),
        Some("Backend") => backend(&mut text, resource),
        Some("Experiment") => experiment(&mut text, resource),
        Some("Secret") => security::secret(&mut text, resource),
        Some("ConfigMap") => text.field("Values", &columns::values(resource)),
        Some("BackendTLSPolicy") => security::tls_policy(&mut text, resource),
        Some("TrafficPolicy") => security::traffic_policy(&mut text, resource),
        Some("LintPolicy") => text.field("Rules", &columns::severities(resource)),
        _ => {}
    }
    conditions(&mut text, resource);
    proxies(&mut text, resource, fleet);
    text.into_string()
}

fn metadata(text: &mut Text, resource: Manifest<'_>) {
    text.field("Name", &resource.text_or_none("/metadata/name"));
    text.field("Namespace", &resource.text_or_none("/metadata/namespace"));
    text.field("Kind", &resource.text_or_none("/kind"));
    text.field("API version", &resource.text_or_none("/apiVersion"));
    for (name, pointer) in [
        ("Labels", "/metadata/labels"),
        ("Annotations", "/metadata/annotations"),
    ] {
        let pairs = resource.pairs(pointer).into_iter();
        text.field(name, &listed(pairs.map(|(key, value)| format!("{key}={value}"))));
    }
}

fn gateway(text: &mut Text, gateway: Manifest<'_>) {
    text.field("Class", &gateway.text_or_none("/spec/gatewayClassName"));
    let mut table = Table::new(["NAME", "PORT", "PROTOCOL", "HOSTNAME"]);
    for listener in gateway.items("/spec/listeners") {
        table.row([
            listener.text_or_none("/name"),
            listener.text_or_none("/port"),
            listener.text_or_none("/protocol"),
            listener.text("/hostname").unwrap_or_else(|| "*".into()),
        ]);
    }
    text.table("Listeners", &table);
}

fn route(text: &mut Text, route: Manifest<'_>) {
    text.field("Hostnames", &route.joined("/spec/hostnames").replace(NONE, "*"));
    let parents = route.items("/spec/parentRefs").map(|parent| {
        let gateway = parent.text_or_none("/name");
        match parent.text("/sectionName") {
            Some(section) => format!("{gateway}#{section}"),
            None => gateway,
        }
    });
    text.field("Gateways", &listed(parents));
    for (index, rule) in route.items("/spec/rules").enumerate() {
        let name = rule
            .text("/name")
            .map_or_else(String::new, |name| format!(" {name}"));
        text.heading(&format!("Rule {index}{name}"));
        let matches = rule.items("/matches");
        if matches.len() == 0 {
            text.item("match", "PathPrefix /");
        }
        for condition in matches {
            text.item("match", &condition_line(condition));
        }
        for filter in rule.items("/filters") {
            text.item("filter", &filter_line(filter));
        }
        for (name, limit) in rule.pairs("/timeouts") {
            text.item("timeout", &format!("{name} {limit}"));
        }
        for line in backend_lines(rule) {
            text.item("to", &line);
        }
    }
}

/// `PathPrefix /checkout, GET, header x-beta=1, query v=2`.
fn condition_line(condition: Manifest<'_>) -> String {
    let path_type = condition
        .text("/path/type")
        .unwrap_or_else(|| "PathPrefix".into());
    let path = condition.text("/path/value").unwrap_or_else(|| "/".into());
    let mut line = format!("{path_type} {path}");
    // Writing to a string does not fail.
    if let Some(method) = condition.text("/method") {
        let _ = write!(line, ", {method}");
    }
    for (what, pointer) in [("header", "/headers"), ("query", "/queryParams")] {
        for value in condition.items(pointer) {
            let sign = match value.text("/type").as_deref() {
                Some("RegularExpression") => "~",
                _ => "=",
            };
            let (name, value) = (value.text_or_none("/name"), value.text_or_none("/value"));
            let _ = write!(line, ", {what} {name}{sign}{value}");
        }
    }
    line
}

/// `RequestRedirect path.replacePrefixMatch=/ statusCode=301`: the type and every value.
fn filter_line(filter: Manifest<'_>) -> String {
    let mut line = filter.text_or_none("/type");
    for (name, value) in filter.0.as_object().into_iter().flatten() {
        if name != "type" {
            leaves(value, "", &mut line);
        }
    }
    line
}

/// Adds every value in `value` with its path. Headers are written as such.
fn leaves(value: &Value, path: &str, line: &mut String) {
    let below = |name: &str| {
        if path.is_empty() {
            name.to_owned()
        } else {
            format!("{path}.{name}")
        }
    };
    // Writing to a string does not fail.
    match value {
        Value::Object(members) => match (members.get("name"), members.get("value")) {
            (Some(Value::String(name)), Some(Value::String(value))) => {
                let _ = write!(line, " {path} {name}: {value}");
            }
            _ => members
                .iter()
                .for_each(|(name, value)| leaves(value, &below(name), line)),
        },
        Value::Array(items) => items.iter().for_each(|item| leaves(item, path, line)),
        Value::String(text) => drop(write!(line, " {path}={text}")),
        other => drop(write!(line, " {path}={other}")),
    }
}

/// `catalog weight 90 (90.0%)`, one line for each backend.
fn backend_lines(owner: Manifest<'_>) -> Vec<String> {
    let weight = |backend: Manifest<'_>| {
        let weight = backend.0.pointer("/weight").and_then(Value::as_u64);
        weight.unwrap_or(1)
    };
    let total: u64 = owner.items("/backendRefs").map(weight).sum();
    let backends = owner.items("/backendRefs");
    let several = backends.len() > 1;
    backends
        .map(|backend| {
            let name = backend.text_or_none("/name");
            let (weight, share) = (
                weight(backend),
                100.0 * weight(backend) as f64 / total.max(1) as f64,
            );
            match several {
                true => format!("{name} weight {weight} ({share:.1}%)"),
                false => name,
            }
        })
        .collect()
}

fn backend(text: &mut Text, backend: Manifest<'_>) {
    let or = |pointer: &str, default: &str| backend.text(pointer).unwrap_or_else(|| default.into());
    text.field("Protocol", &or("/spec/protocol", "http"));
    if let Some(timeout) = backend.text("/spec/connectTimeout") {
        text.field("Connect", &timeout);
    }
    if let Some(discovery) = columns::discovery(backend) {
        return text.field("Discovery", &discovery);
    }
    let mut table = Table::new(["ENDPOINT", "WEIGHT"]);
    for endpoint in backend.items("/spec/endpoints") {
        let weight = endpoint.text("/weight").unwrap_or_else(|| "1".into());
        table.row([columns::endpoint(endpoint), weight]);
    }
    text.table("Endpoints", &table);
}

fn experiment(text: &mut Text, experiment: Manifest<'_>) {
    text.field(
        "Targets",
        &listed(experiment.items("/spec/targetRefs").map(columns::target)),
    );
    text.field("Unit", &columns::unit(experiment));
    text.field("Override", &experiment.text_or_none("/spec/override/header"));
    text.field("Upstream", &experiment.text_or_none("/spec/upstreamHeader"));
    let mut table = Table::new(["VARIANT", "SHARE", "BACKENDS"]);
    for variant in experiment.items("/spec/variants") {
        table.row([
            variant.text_or_none("/name"),
            format!("{}%", variant.text_or_none("/share")),
            listed(backend_lines(variant)),
        ]);
    }
    text.table("Variants", &table);
}

fn conditions(text: &mut Text, resource: Manifest<'_>) {
    let mut table = Table::new(["TYPE", "STATUS", "REASON", "MESSAGE"]);
    for condition in resource.items("/status/conditions") {
        table.row(["/type", "/status", "/reason", "/message"].map(|pointer| condition.text_or_none(pointer)));
    }
    text.table("Conditions", &table);
}

/// A proxy runs the resource as it is now when its revision is not below the resource's own.
fn proxies(text: &mut Text, resource: Manifest<'_>, fleet: Manifest<'_>) {
    let number = |of: Manifest<'_>, pointer: &str| of.text(pointer).and_then(|text| text.parse::<u64>().ok());
    let Some(changed) = number(resource, "/metadata/resourceVersion") else {
        return;
    };
    let mut table = Table::new(["PROXY", "STATE", "REVISION", "RUNS THIS"]);
    for proxy in fleet.items("/proxies") {
        let runs = number(proxy, "/revision").is_some_and(|revision| revision >= changed);
        table.row([
            proxy.text_or_none("/id"),
            proxy.text_or_none("/state"),
            proxy.text_or_none("/revision"),
            if runs { "yes".into() } else { "no".into() },
        ]);
    }
    text.field("Revision", &changed.to_string());
    text.table("Proxies", &table);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_route_is_described_with_its_rules_conditions_and_proxies() {
        let route = json!({
            "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
            "metadata": {"name": "shop", "namespace": "default", "labels": {"team": "shop"}, "resourceVersion": "7"},
            "spec": {
                "parentRefs": [{"name": "edge", "sectionName": "http"}],
                "hostnames": ["shop.example.com"],
                "rules": [
                    {
                        "name": "beta",
                        "matches": [{
                            "path": {"type": "Exact", "value": "/a"}, "method": "GET",
                            "headers": [{"name": "x-beta", "value": "1"}],
                            "queryParams": [{"name": "v", "type": "RegularExpression", "value": "2.*"}],
                        }],
                        "filters": [
                            {"type": "URLRewrite", "urlRewrite": {"path": {"replacePrefixMatch": "/", "type": "ReplacePrefixMatch"}}},
                            {"type": "RequestHeaderModifier", "requestHeaderModifier": {"remove": ["x-a"], "set": [{"name": "x-b", "value": "1"}]}},
                        ],
                        "backendRefs": [{"name": "a", "weight": 3}, {"name": "b"}],
                        "timeouts": {"request": "5s"},
                    },
                    {"backendRefs": [{"name": "a"}]},
                ],
            },
            "status": {"conditions": [{"type": "Accepted", "status": "True", "reason": "Accepted", "message": "fine"}]},
        });
        let fleet = json!({"proxies": [
            {"id": "edge-1", "state": "live", "revision": 7},
            {"id": "edge-2", "state": "live", "revision": 6},
        ]});
        assert_eq!(
            describe(Manifest(&route), Manifest(&fleet)),
            "Name:         shop\n\
             Namespace:    default\n\
             Kind:         HTTPRoute\n\
             API version:  gateway.networking.k8s.io/v1\n\
             Labels:       team=shop\n\
             Annotations:  <none>\n\
             Hostnames:    shop.example.com\n\
             Gateways:     edge#http\n\
             Rule 0 beta:\n  \
               match    Exact /a, GET, header x-beta=1, query v~2.*\n  \
               filter   URLRewrite path.replacePrefixMatch=/ path.type=ReplacePrefixMatch\n  \
               filter   RequestHeaderModifier remove=x-a set x-b: 1\n  \
               timeout  request 5s\n  \
               to       a weight 3 (75.0%)\n  \
               to       b weight 1 (25.0%)\n\
             Rule 1:\n  \
               match    PathPrefix /\n  \
               to       a\n\
             Conditions:\n  \
               TYPE       STATUS   REASON     MESSAGE\n  \
               Accepted   True     Accepted   fine\n\
             Revision:     7\n\
             Proxies:\n  \
               PROXY    STATE   REVISION   RUNS THIS\n  \
               edge-1   live    7          yes\n  \
               edge-2   live    6          no\n"
        );
    }

    #[test]
    fn every_kind_has_its_own_section_and_an_odd_shape_is_no_error() {
        for (kind, section) in [
            ("Gateway", "Listeners:"),
            ("Backend", "Endpoints:"),
            ("Experiment", "Variants:"),
            ("GatewayClass", "Controller:"),
            ("Secret", "Values:"),
            ("BackendTLSPolicy", "Server name:"),
            ("TrafficPolicy", "Limits:"),
            ("LintPolicy", "Rules:"),
        ] {
            let odd = json!({"kind": kind, "spec": 1, "metadata": []});
            let text = describe(Manifest(&odd), Manifest(&json!(null)));
            assert!(text.contains(section), "{text}");
        }
    }
}
