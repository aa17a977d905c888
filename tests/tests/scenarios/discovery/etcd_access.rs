//! An etcd that does not let everybody in.

use serde_json::{Value, json};
use sluice_tests::authority::Authority;
use sluice_tests::etcd::{Etcd, EtcdTls};
use sluice_tests::manifest::{HOST, authority, certificate, gateway, route_to};
use sluice_tests::site::{SOON, Site};

use super::{AT_ONCE, discovering, echo, register, served_by, service, told};

fn login(password: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "login"},
        "stringData": {"username": "sluice", "password": password},
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_lets_in_and_a_new_one_is_taken_without_a_restart() {
    let mut etcd = Etcd::start().await.unwrap();
    let (one, other) = (echo("one").await, echo("other").await);
    register(&etcd, "one", one.address);
    etcd.enable_auth("sluice", "s3cret").unwrap();
    let mut discovery = service(&[etcd.url()]);
    discovery["etcd"]["credentialsRef"] = json!({"name": "login"});
    let site = Site::start(1).await.unwrap();
    let route = route_to("shop", HOST, "web");
    site.apply(&[gateway(), login("wrong"), discovering(&discovery), route])
        .await
        .unwrap();
    told(site.rest(), "Unreachable", "cannot log in").await;
    site.apply(&[login("s3cret")]).await.unwrap();
    let address = site.address().await.unwrap();
    served_by(address, "one", SOON).await;
    register(&etcd, "one", other.address);
    served_by(address, "other", AT_ONCE).await;

    // What the user may not read is told, and disturbs nobody else.
    let mut foreign = discovering(&discovery);
    foreign["metadata"]["name"] = "foreign".into();
    foreign["spec"]["discovery"]["etcd"]["service"] = "private/x".into();
    site.apply(&[foreign]).await.unwrap();
    register(&etcd, "one", one.address);
    served_by(address, "one", AT_ONCE).await;
    told(site.rest(), "Discovered", "1 endpoints").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn etcd_is_reached_over_tls_with_a_certificate_and_nobody_else_is_believed() {
    let files = tempfile::tempdir().unwrap();
    let root = Authority::root(files.path(), "etcd-root").unwrap();
    let stranger = Authority::root(files.path(), "stranger").unwrap();
    let server = root.issue("etcd", &["IP:127.0.0.1"]).unwrap();
    let client = root.issue("sluice", &["DNS:sluice.internal"]).unwrap();
    let tls = EtcdTls {
        server,
        client: client.clone(),
        authority: root.file(),
    };
    let etcd = Etcd::with(Some(tls)).await.unwrap();
    let one = echo("one").await;
    register(&etcd, "one", one.address);
    let mut discovery = service(&[etcd.url()]);
    discovery["etcd"]["tls"] = json!({
        "caCertificateRefs": [{"name": "etcd-ca"}],
        "clientCertificateRef": {"name": "etcd-client"},
    });
    let site = Site::start(1).await.unwrap();
    site.apply(&[
        gateway(),
        authority("etcd-ca", &stranger.pem().unwrap(), ""),
        certificate("etcd-client", &client),
        discovering(&discovery),
        route_to("shop", HOST, "web"),
    ])
    .await
    .unwrap();
    told(site.rest(), "Unreachable", "certificate").await;
    site.apply(&[authority("etcd-ca", &root.pem().unwrap(), "")])
        .await
        .unwrap();
    let address = site.address().await.unwrap();
    served_by(address, "one", SOON).await;
}
