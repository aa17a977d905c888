//! The columns in which each kind is listed.

use sluice_intent::Kind;

use crate::manifest::Manifest;
use crate::table::{NONE, Table, listed};

/// Backends, endpoints or listeners that are named before the rest is only counted.
const NAMED: usize = 3;

/// Resources of `kind` as a table, with their namespaces if they come from several.
pub(crate) fn list(kind: Kind, items: &[Manifest<'_>], namespaces: bool) -> Table {
    let namespace = namespaces.then_some("NAMESPACE");
    let mut table = Table::new(namespace.into_iter().chain(headings(kind).iter().copied()));
    for &item in items {
        let namespace = namespaces.then(|| item.text_or_none("/metadata/namespace"));
        table.row(namespace.into_iter().chain(cells(kind, item)));
    }
    table
}

fn headings(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::GatewayClass => &["NAME", "CONTROLLER", "ACCEPTED"],
        Kind::Gateway => &["NAME", "CLASS", "LISTENERS", "PROGRAMMED"],
        Kind::HTTPRoute => &["NAME", "HOSTNAMES", "GATEWAYS", "RULES", "BACKENDS", "PROGRAMMED"],
        Kind::ReferenceGrant => &["NAME", "FROM", "TO"],
        Kind::BackendTLSPolicy => &["NAME", "TARGETS", "HOSTNAME", "PROGRAMMED"],
        Kind::Secret => &["NAME", "TYPE", "VALUES"],
        Kind::ConfigMap => &["NAME", "VALUES"],
        Kind::Backend => &["NAME", "PROTOCOL", "ENDPOINTS", "PROGRAMMED"],
        Kind::Experiment => &["NAME", "TARGETS", "UNIT", "VARIANTS", "PROGRAMMED"],
        Kind::TrafficPolicy => &["NAME", "TARGETS", "PROGRAMMED"],
        Kind::LintPolicy => &["NAME", "RULES"],
    }
}

fn cells(kind: Kind, item: Manifest<'_>) -> Vec<String> {
    let name = item.text_or_none("/metadata/name");
    let programmed = item.condition("Programmed");
    match kind {
        Kind::GatewayClass => {
            let controller = item.text_or_none("/spec/controllerName");
            vec![name, controller, item.condition("Accepted")]
        }
        Kind::Gateway => {
            let class = item.text_or_none("/spec/gatewayClassName");
            vec![
                name,
                class,
                some_of(item.items("/spec/listeners").map(listener)),
                programmed,
            ]
        }
        Kind::HTTPRoute => vec![
            name,
            item.joined("/spec/hostnames").replace(NONE, "*"),
            listed(
                item.items("/spec/parentRefs")
                    .map(|parent| parent.text_or_none("/name")),
            ),
            item.items("/spec/rules").len().to_string(),
            some_of(distinct(item.items("/spec/rules").flat_map(backend_names))),
            programmed,
        ],
        Kind::ReferenceGrant => {
            let from = |from: Manifest<'_>| {
                format!(
                    "{}/{}",
                    from.text_or_none("/kind"),
                    from.text_or_none("/namespace")
                )
            };
            let to = |to: Manifest<'_>| match to.text("/name") {
                Some(name) => format!("{}/{name}", to.text_or_none("/kind")),
                None => to.text_or_none("/kind"),
            };
            vec![
                name,
                listed(item.items("/spec/from").map(from)),
                listed(item.items("/spec/to").map(to)),
            ]
        }
        Kind::BackendTLSPolicy => {
            let hostname = item.text_or_none("/spec/validation/hostname");
            vec![name, targets(item), hostname, programmed]
        }
        Kind::Secret => vec![name, item.text_or_none("/type"), values(item)],
        Kind::ConfigMap => vec![name, values(item)],
        Kind::TrafficPolicy => vec![name, targets(item), programmed],
        Kind::LintPolicy => vec![name, severities(item)],
        Kind::Backend => {
            let protocol = item.text("/spec/protocol").unwrap_or_else(|| "http".into());
            vec![
                name,
                protocol,
                discovery(item).unwrap_or_else(|| some_of(item.items("/spec/endpoints").map(endpoint))),
                programmed,
            ]
        }
        Kind::Experiment => vec![
            name,
            targets(item),
            unit(item),
            listed(item.items("/spec/variants").map(variant)),
            programmed,
        ],
    }
}

/// What a LintPolicy says of rules.
pub(crate) fn severities(item: Manifest<'_>) -> String {
    let rules = item.pairs("/spec/rules").into_iter();
    listed(rules.map(|(rule, severity)| format!("{rule}={severity}")))
}

/// Names of the values of a Secret or a ConfigMap.
pub(crate) fn values(item: Manifest<'_>) -> String {
    listed(item.pairs("/data").into_iter().map(|(key, _)| key.to_owned()))
}

/// `http:80`, or `http:80/shop.example.com`.
pub(crate) fn listener(listener: Manifest<'_>) -> String {
    let (name, port) = (listener.text_or_none("/name"), listener.text_or_none("/port"));
    match listener.text("/hostname") {
        Some(hostname) => format!("{name}:{port}/{hostname}"),
        None => format!("{name}:{port}"),
    }
}

/// `127.0.0.1:8080`.
pub(crate) fn endpoint(endpoint: Manifest<'_>) -> String {
    let (address, port) = (endpoint.text_or_none("/address"), endpoint.text_or_none("/port"));
    match address.contains(':') {
        true => format!("[{address}]:{port}"),
        false => format!("{address}:{port}"),
    }
}

/// `etcd services/shop`, `dns shop.internal`; `None` for a Backend that says itself where it is.
pub(crate) fn discovery(backend: Manifest<'_>) -> Option<String> {
    let service = backend
        .text("/spec/discovery/etcd/service")
        .map(|service| format!("etcd {service}"));
    service.or_else(|| {
        let name = backend.text("/spec/discovery/dns/name")?;
        Some(format!("dns {name}"))
    })
}

/// `cookie uid`; `clientIP` has no name.
pub(crate) fn unit(experiment: Manifest<'_>) -> String {
    let named = experiment.pairs("/spec/unit");
    match named.first() {
        Some((unit, name)) => format!("{unit} {name}"),
        None if experiment.0.pointer("/spec/unit/clientIP").is_some() => "clientIP".into(),
        None => NONE.into(),
    }
}

fn targets(item: Manifest<'_>) -> String {
    listed(item.items("/spec/targetRefs").map(target))
}

/// `HTTPRoute/shop`, or `HTTPRoute/shop#checkout` for one rule.
pub(crate) fn target(target: Manifest<'_>) -> String {
    let route = format!(
        "{}/{}",
        target.text_or_none("/kind"),
        target.text_or_none("/name")
    );
    match target.text("/sectionName") {
        Some(section) => format!("{route}#{section}"),
        None => route,
    }
}

fn variant(variant: Manifest<'_>) -> String {
    format!(
        "{} {}%",
        variant.text_or_none("/name"),
        variant.text_or_none("/share")
    )
}

fn backend_names(rule: Manifest<'_>) -> impl Iterator<Item = String> {
    rule.items("/backendRefs")
        .map(|backend| backend.text_or_none("/name"))
}

fn distinct(names: impl Iterator<Item = String>) -> impl ExactSizeIterator<Item = String> {
    let mut seen: Vec<String> = Vec::new();
    for name in names {
        if !seen.contains(&name) {
            seen.push(name);
        }
    }
    seen.into_iter()
}

fn some_of(items: impl ExactSizeIterator<Item = String>) -> String {
    let more = items.len().saturating_sub(NAMED);
    let named = listed(items.take(NAMED));
    match more {
        0 => named,
        more => format!("{named} + {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn routes_are_listed_with_what_they_match_and_where_they_lead() {
        let refs = |names: &[&str]| names.iter().map(|name| json!({"name": name})).collect::<Vec<_>>();
        let route = json!({
            "kind": "HTTPRoute", "metadata": {"name": "shop", "namespace": "default"},
            "spec": {
                "parentRefs": refs(&["edge"]),
                "rules": [{"backendRefs": refs(&["a", "b"])}, {"backendRefs": refs(&["b", "c", "d", "e"])}],
            },
            "status": {"conditions": [{"type": "Programmed", "status": "True"}]},
        });
        assert_eq!(
            list(Kind::HTTPRoute, &[Manifest(&route)], true).to_string(),
            "NAMESPACE   NAME   HOSTNAMES   GATEWAYS   RULES   BACKENDS         PROGRAMMED\n\
             default     shop   *           edge       2       a,b,c + 2 more   True\n"
        );
    }

    #[test]
    fn an_experiment_is_listed_with_its_unit_and_shares() {
        let experiment = |unit: serde_json::Value| {
            json!({
                "metadata": {"name": "pay"},
                "spec": {
                    "targetRefs": [{"kind": "HTTPRoute", "name": "shop", "sectionName": "pay"}],
                    "unit": unit,
                    "variants": [{"name": "a", "share": 87.5}, {"name": "b", "share": 12.5}],
                },
            })
        };
        let (cookie, ip) = (
            experiment(json!({"cookie": "uid"})),
            experiment(json!({"clientIP": {}})),
        );
        assert_eq!(
            list(Kind::Experiment, &[Manifest(&cookie), Manifest(&ip)], false).to_string(),
            "NAME   TARGETS              UNIT         VARIANTS          PROGRAMMED\n\
             pay    HTTPRoute/shop#pay   cookie uid   a 87.5%,b 12.5%   <none>\n\
             pay    HTTPRoute/shop#pay   clientIP     a 87.5%,b 12.5%   <none>\n"
        );
    }

    #[test]
    fn a_backend_is_listed_with_where_it_is_or_who_knows() {
        let backend = |spec: serde_json::Value| json!({"metadata": {"name": "a"}, "spec": spec});
        let written = backend(json!({"endpoints": [{"address": "::1", "port": 80}]}));
        let etcd = backend(json!({"discovery": {"etcd": {"service": "services/a"}}}));
        let dns = backend(json!({"discovery": {"dns": {"name": "a.internal", "port": 80}}}));
        let all = [Manifest(&written), Manifest(&etcd), Manifest(&dns)];
        assert_eq!(
            list(Kind::Backend, &all, false).to_string(),
            "NAME   PROTOCOL   ENDPOINTS         PROGRAMMED\n\
             a      http       [::1]:80          <none>\n\
             a      http       etcd services/a   <none>\n\
             a      http       dns a.internal    <none>\n"
        );
    }

    #[test]
    fn a_resource_of_an_unknown_shape_still_has_a_line() {
        for kind in Kind::ALL {
            let odd = json!({"spec": {"listeners": 7, "endpoints": [[]], "rules": [null]}});
            assert_eq!(list(kind, &[Manifest(&odd)], true).to_string().lines().count(), 2);
        }
    }
}
