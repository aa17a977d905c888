//! What the README says about discovery goes as written.

use std::path::Path;

use http::Method;
use sluice_tests::etcd::Etcd;
use sluice_tests::manifest::{HOST, gateway, route_to};
use sluice_tests::process::{Process, command};
use sluice_tests::site::{SOON, Site};

use super::{echo, served_by, told};

/// The blocks of the section about discovery: the manifest, and the commands.
fn blocks() -> (String, String) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let readme = std::fs::read_to_string(file).unwrap();
    let (_, section) = readme.split_once("### Endpoints that are discovered").unwrap();
    let block = |tag: &str| {
        let (_, rest) = section.split_once(&format!("```{tag}\n")).unwrap();
        rest.split_once("```").unwrap().0.to_owned()
    };
    (block("yaml"), block("console").replace("$ ", ""))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_registers_itself_as_the_readme_says() {
    let (manifest, commands) = blocks();
    let etcd = Etcd::start().await.unwrap();
    let one = echo("one").await;
    let site = Site::start(1).await.unwrap();
    let here = manifest.replace("http://127.0.0.1:2379", &etcd.url());
    assert_ne!(here, manifest);
    let apply = site.rest().request(Method::POST, "/v1/apply");
    let applied = apply.header("content-type", "application/yaml").body(here).send();
    let applied = applied.await.unwrap();
    assert!(applied.status().is_success(), "{}", applied.text().await.unwrap());
    site.apply(&[gateway(), route_to("shop", HOST, "web")])
        .await
        .unwrap();

    let here = commands.replace("10.0.0.7:8080", &one.address.to_string());
    assert_ne!(here, commands);
    let mut shell = command("bash");
    shell.args(["-euc", &here]);
    shell.env("ETCDCTL_API", "3").env("ETCDCTL_ENDPOINTS", etcd.url());
    let registered = Process::spawn("the commands of the README", shell).unwrap();
    served_by(site.address().await.unwrap(), "one", SOON).await;
    drop(registered);
    told(site.rest(), "Discovered", "0 endpoints").await;
}
