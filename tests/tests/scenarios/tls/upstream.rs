//! TLS to an nginx behind the proxy: whom it trusts, by which name, and what it shows.

use serde_json::{Value, json};
use sluice_tests::authority::Authority;
use sluice_tests::client::{Answer, get, send};
use sluice_tests::manifest::{HOST, authority, backend, certificate, gateway, route_to};
use sluice_tests::nginx::Nginx;
use sluice_tests::site::Site;

/// The name in nginx's certificate.
const NAME: &str = "web.internal.example";

fn policy(hostname: &str, names: &[&str], ca: &str) -> Value {
    let names: Vec<_> = names
        .iter()
        .map(|name| json!({"type": "Hostname", "hostname": name}))
        .collect();
    let mut validation =
        json!({"hostname": hostname, "caCertificateRefs": [{"kind": "Secret", "group": "", "name": ca}]});
    if !names.is_empty() {
        validation["subjectAltNames"] = names.into();
    }
    json!({
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "BackendTLSPolicy",
        "metadata": {"name": "web"},
        "spec": {
            "targetRefs": [{"group": "sluice.dev", "kind": "Backend", "name": "web"}],
            "validation": validation,
        },
    })
}

struct Behind {
    site: Site,
    nginx: Nginx,
}

impl Behind {
    async fn start(directory: &std::path::Path) -> Self {
        let root = Authority::root(directory, "root").unwrap();
        let strangers = Authority::root(directory, "strangers").unwrap();
        let web = root.issue("web", &[&format!("DNS:{NAME}")]).unwrap();
        let proxy = root.issue("proxy", &[]).unwrap();
        let nginx = Nginx::with_tls(&web, &root.file()).await.unwrap();
        let site = Site::start(1).await.unwrap();
        site.apply(&[
            authority("root", &root.pem().unwrap(), ""),
            authority("strangers", &strangers.pem().unwrap(), ""),
            certificate("proxy", &proxy),
            gateway(),
            backend("web", &[nginx.https]),
            route_to("shop", HOST, "web"),
        ])
        .await
        .unwrap();
        Self { site, nginx }
    }

    /// The answer once these manifests hold.
    async fn with(&self, manifests: &[Value]) -> Answer {
        self.site.apply(manifests).await.unwrap();
        let address = self.site.address().await.unwrap();
        send(address, get(HOST, "/tls")).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upstream_is_reached_only_with_the_certificate_that_the_policy_asks_for() {
    let directory = tempfile::tempdir().unwrap();
    let behind = Behind::start(directory.path()).await;
    let right = behind.with(&[policy(NAME, &[], "root")]).await;
    assert_eq!(
        (right.status.as_u16(), &*right.body),
        (200, format!("{NAME} NONE ").as_bytes())
    );
    for (what, policy) in [
        ("another name", policy("other.example", &[], "root")),
        (
            "another alternative name",
            policy(NAME, &["other.example"], "root"),
        ),
        ("another authority", policy(NAME, &[], "strangers")),
    ] {
        let refused = behind.with(&[policy]).await;
        assert_eq!(refused.status, 502, "{what}: {refused:?}");
        assert_eq!(refused.reason().unwrap(), "upstream_tls", "{what}");
    }
    let either = behind
        .with(&[policy("sent.example", &["other.example", NAME], "root")])
        .await;
    assert_eq!(either.body, "sent.example NONE ");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backend_shows_its_own_certificate_when_asked() {
    let directory = tempfile::tempdir().unwrap();
    let behind = Behind::start(directory.path()).await;
    let mut web = backend("web", &[behind.nginx.https]);
    web["spec"]["tls"] = json!({
        "hostname": NAME,
        "caCertificateRefs": [{"name": "root"}],
        "clientCertificateRef": {"name": "proxy"},
    });
    let shown = behind.with(&[web]).await;
    assert_eq!(shown.body, format!("{NAME} SUCCESS CN=proxy"));
}
