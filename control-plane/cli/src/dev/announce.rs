//! What `sluice dev` says once everything takes traffic.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::sample::Sample;

/// What runs, and where.
#[derive(Clone, Debug)]
pub(super) struct Addresses {
    pub(super) data: PathBuf,
    pub(super) admin: SocketAddr,
    pub(super) grpc: SocketAddr,
    pub(super) token: String,
    pub(super) proxies: Vec<ProxyAddresses>,
    pub(super) samples: Vec<Sample>,
}

/// Where one proxy listens.
#[derive(Clone, Debug)]
pub(super) struct ProxyAddresses {
    pub(super) id: String,
    pub(super) admin: SocketAddr,
    pub(super) listeners: Vec<ListenerAddress>,
}

/// Where one listener of a Gateway is bound.
#[derive(Clone, Debug)]
pub(super) struct ListenerAddress {
    /// `NAMESPACE/NAME`.
    pub(super) gateway: String,
    /// Name in its Gateway.
    pub(super) listener: String,
    pub(super) address: SocketAddr,
}

/// The one line for scripts.
pub(super) fn line(addresses: &Addresses) -> Value {
    let listener = |bound: &ListenerAddress| json!({"gateway": bound.gateway, "listener": bound.listener, "address": bound.address});
    let proxy = |proxy: &ProxyAddresses| {
        let listeners: Vec<_> = proxy.listeners.iter().map(listener).collect();
        json!({"id": proxy.id, "admin": proxy.admin, "listeners": listeners})
    };
    json!({
        "admin": format!("http://{}", addresses.admin),
        "token": addresses.token,
        "grpc": addresses.grpc,
        "proxies": addresses.proxies.iter().map(proxy).collect::<Vec<_>>(),
    })
}

/// What runs, and what to try, for people.
pub(super) fn guide(addresses: &Addresses) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        // Writing to a string does not fail.
        let _ = writeln!(text, "  {name:<14}{value}");
    };
    line("data", &addresses.data.display().to_string());
    line(
        "REST",
        &format!("http://{}  (OpenAPI: /openapi.json)", addresses.admin),
    );
    line("gRPC", &addresses.grpc.to_string());
    for sample in &addresses.samples {
        line("upstream", &format!("{} at {}", sample.name, sample.address));
    }
    for proxy in &addresses.proxies {
        let listeners: Vec<_> = proxy
            .listeners
            .iter()
            .map(|bound| format!("{} {} at {}", bound.gateway, bound.listener, bound.address))
            .collect();
        let listeners = if listeners.is_empty() {
            "no listener yet".into()
        } else {
            listeners.join(", ")
        };
        line(
            "proxy",
            &format!("{}: {listeners}; admin http://{}", proxy.id, proxy.admin),
        );
    }
    line("token", &format!("export SLUICE_TOKEN={}", addresses.token));
    if let Some(address) = try_at(addresses) {
        text.push_str("\nTry:\n");
        for request in [
            format!("curl -H 'Host: shop.example.com' http://{address}/"),
            format!("curl -i -H 'Host: shop.example.com' http://{address}/checkout"),
            format!("curl -i -H 'Host: shop.example.com' http://{address}/old/offers"),
        ] {
            let _ = writeln!(text, "  {request}");
        }
    }
    text
}

/// Where the example can be asked, if it runs.
fn try_at(addresses: &Addresses) -> Option<SocketAddr> {
    let listeners = &addresses.proxies.first()?.listeners;
    let bound = listeners.iter().find(|bound| bound.gateway == "default/edge");
    bound
        .filter(|_| !addresses.samples.is_empty())
        .map(|bound| bound.address)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses() -> Addresses {
        let address = |text: &str| text.parse().unwrap();
        let listener = ListenerAddress {
            gateway: "default/edge".into(),
            listener: "http".into(),
            address: address("127.0.0.1:7480"),
        };
        Addresses {
            data: "/data".into(),
            admin: address("127.0.0.1:7400"),
            grpc: address("127.0.0.1:7401"),
            token: "secret".into(),
            proxies: vec![ProxyAddresses {
                id: "dev-1".into(),
                admin: address("127.0.0.1:9101"),
                listeners: vec![listener],
            }],
            samples: vec![Sample {
                name: "catalog",
                address: address("127.0.0.1:7491"),
            }],
        }
    }

    #[test]
    fn the_line_for_scripts_has_every_address() {
        assert_eq!(
            line(&addresses()),
            json!({
                "admin": "http://127.0.0.1:7400", "token": "secret", "grpc": "127.0.0.1:7401",
                "proxies": [{
                    "id": "dev-1", "admin": "127.0.0.1:9101",
                    "listeners": [{"gateway": "default/edge", "listener": "http", "address": "127.0.0.1:7480"}],
                }],
            })
        );
    }

    #[test]
    fn people_are_told_what_to_try_only_where_there_is_something() {
        let with_sample = addresses();
        assert_eq!(guide(&with_sample).matches("curl").count(), 3);
        let without = Addresses {
            samples: Vec::new(),
            ..with_sample
        };
        assert_eq!(guide(&without).matches("curl").count(), 0);
    }
}
