//! The example and its sample upstreams.

use std::io;

use serde_json::Value;
use sluice_intent::{Kind, Namespace};
use tokio::net::TcpListener;

use super::failure::StartFailure;
use super::sample;
use crate::client::Client;
use crate::failure::Failure;
use crate::listing;
use crate::source::Sources;

/// The manifests, as they are in the repository.
const MANIFESTS: &str = include_str!("../../../../deploy/examples/shop.yaml");

/// The upstreams that the manifests name, each with the port that is written there.
const UPSTREAMS: [(&str, u16); 3] = [("catalog", 7491), ("checkout", 7492), ("checkout-next", 7493)];

/// Where the upstreams listen.
pub(super) type Listeners = Vec<(&'static str, TcpListener)>;

/// Binds the upstreams for an empty data directory, and makes the manifests fit: a port that is
/// taken is replaced by a free one, so that several `sluice dev` can run side by side.
///
/// # Errors
/// When there is no free port.
pub(super) async fn first_start() -> Result<(Listeners, Sources), StartFailure> {
    let (mut listeners, mut manifests) = (Listeners::new(), MANIFESTS.to_owned());
    for (name, written) in UPSTREAMS {
        let failed = |source: io::Error| StartFailure::Sample { name, source };
        let listener = match sample::bind(written).await {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => sample::bind(0).await,
            bound => bound,
        };
        let listener = listener.map_err(failed)?;
        let bound = listener.local_addr().map_err(failed)?.port();
        manifests = manifests.replace(&endpoint(written), &endpoint(bound));
        listeners.push((name, listener));
    }
    Ok((
        listeners,
        Sources::embedded("deploy/examples/shop.yaml", manifests),
    ))
}

/// Binds the upstreams where the Backends of an earlier start expect them. One that was changed or
/// deleted is the user's now, and one whose port is taken may have been replaced by a server of
/// theirs: both are left alone.
///
/// # Errors
/// When the control plane does not answer.
pub(super) async fn later_start(client: &Client) -> Result<Listeners, Failure> {
    let mut listeners = Listeners::new();
    let backends = listing::resources(client, Kind::Backend, Some(&namespace()), None).await?;
    for (name, _) in UPSTREAMS {
        let expected = backends
            .iter()
            .find(|backend| backend["metadata"]["name"] == name);
        let Some(port) = expected.and_then(loopback_port) else {
            continue;
        };
        match sample::bind(port).await {
            Ok(listener) => listeners.push((name, listener)),
            Err(error) => eprintln!("sample upstream {name} is not started: 127.0.0.1:{port}: {error}"),
        }
    }
    Ok(listeners)
}

/// Where the example lives.
#[expect(clippy::expect_used, reason = "a literal that a test reads")]
pub(super) fn namespace() -> Namespace {
    "default".parse().expect("the name of a namespace")
}

/// An endpoint of the example as it is written in the manifests.
fn endpoint(port: u16) -> String {
    format!("{{ address: 127.0.0.1, port: {port} }}")
}

fn loopback_port(backend: &Value) -> Option<u16> {
    let endpoint = backend.pointer("/spec/endpoints/0")?;
    let port = endpoint["port"]
        .as_u64()
        .and_then(|port| u16::try_from(port).ok());
    port.filter(|_| endpoint["address"] == "127.0.0.1")
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use sluice_intent::Format;

    use super::*;

    #[test]
    fn the_example_is_right_in_itself_and_names_every_upstream_once() {
        let resources = sluice_intent::parse(MANIFESTS.as_bytes(), Format::Yaml, "default").unwrap();
        for (name, port) in UPSTREAMS {
            assert_eq!(MANIFESTS.matches(&endpoint(port)).count(), 1, "{name}");
            let is_this =
                |id: &sluice_intent::ResourceId| id.kind == Kind::Backend && id.name.as_str() == name;
            let backend = resources.iter().find(|resource| is_this(&resource.id)).unwrap();
            assert_eq!(loopback_port(&backend.to_json()), Some(port));
        }
    }

    #[tokio::test]
    async fn a_port_that_is_taken_is_replaced_in_the_manifests() {
        // Whether the written ports are free here or not: what is bound is what is applied.
        let (listeners, sources) = first_start().await.unwrap();
        let resources = sluice_intent::parse(&sources.body(), Format::Yaml, "default").unwrap();
        for (name, listener) in listeners {
            let backend = resources
                .iter()
                .find(|resource| resource.id.name.as_str() == name)
                .unwrap();
            let bound = listener.local_addr().unwrap().port();
            assert_eq!(loopback_port(&backend.to_json()), Some(bound), "{name}");
        }
    }

    #[test]
    fn a_backend_elsewhere_is_not_the_samples() {
        let backend = |address: &str| json!({"spec": {"endpoints": [{"address": address, "port": 80}]}});
        assert_eq!(loopback_port(&backend("127.0.0.1")), Some(80));
        assert_eq!(loopback_port(&backend("10.0.0.1")), None);
        assert_eq!(loopback_port(&json!({})), None);
    }
}
