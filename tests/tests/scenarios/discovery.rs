//! Endpoints that are found: in etcd, where services register themselves, and in the DNS.

mod dns;
mod etcd;
mod etcd_access;
mod etcd_away;
mod readme;
mod replicas;

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::ensure;
use http::StatusCode;
use serde_json::{Value, json};
use sluice_tests::client::{get, send};
use sluice_tests::etcd::Etcd;
use sluice_tests::eventually::eventually;
use sluice_tests::manifest::{HOST, gateway, route_to};
use sluice_tests::rest::Rest;
use sluice_tests::site::{SOON, Site};
use sluice_tests::upstream::Upstream;

/// What a change of endpoints may take, with room for a busy machine.
const AT_ONCE: Duration = Duration::from_secs(5);

/// The Backend `web` with this discovery.
fn discovering(discovery: &Value) -> Value {
    json!({
        "apiVersion": "sluice.dev/v1",
        "kind": "Backend",
        "metadata": {"name": "web"},
        "spec": {"discovery": discovery},
    })
}

/// The service `services/web` of these members.
fn service(urls: &[String]) -> Value {
    json!({"etcd": {"endpoints": urls, "service": "services/web"}})
}

/// A site whose traffic goes to what `discovery` finds.
async fn site(discovery: &Value, control: &[&str]) -> Site {
    let site = Site::controlled(1, None, &[], control).await.unwrap();
    let all = [gateway(), discovering(discovery), route_to("shop", HOST, "web")];
    site.apply(&all).await.unwrap();
    site
}

/// Registers `endpoint` under `key` as the documentation says.
fn register(etcd: &Etcd, key: &str, endpoint: SocketAddr) {
    let value = json!({"Addr": endpoint.to_string()}).to_string();
    etcd.ctl(&["put", &format!("services/web/{key}"), &value])
        .unwrap();
}

/// Waits until the upstream of this name answers.
async fn served_by(address: SocketAddr, name: &str, within: Duration) {
    eventually(&format!("{name} answers"), within, async || {
        let answer = send(address, get(HOST, "/")).await?;
        ensure!(answer.status == StatusCode::OK, "{}", answer.status);
        let upstream = answer.echo()?.upstream;
        ensure!(upstream == name, "{upstream} answers");
        Ok(())
    })
    .await
    .unwrap();
}

/// Waits until there is nobody to ask.
async fn served_by_nobody(address: SocketAddr) {
    eventually("nobody answers", SOON, async || {
        let status = send(address, get(HOST, "/")).await?.status;
        ensure!(status == StatusCode::SERVICE_UNAVAILABLE, "{status}");
        Ok(())
    })
    .await
    .unwrap();
}

/// The condition `Discovered` of the Backend `web`: its reason and its message.
async fn condition(rest: &Rest) -> anyhow::Result<(String, String)> {
    let path = "/v1/namespaces/default/backends/web";
    let answer = rest.send(reqwest::Method::GET, path, None).await?;
    let conditions = answer.body["status"]["conditions"].as_array().cloned();
    let of_discovery = |condition: &&Value| condition["type"] == "Discovered";
    let conditions = conditions.unwrap_or_default();
    let found = conditions.iter().find(of_discovery);
    let text = |name: &str| {
        found
            .and_then(|found| found[name].as_str())
            .unwrap_or_default()
            .to_owned()
    };
    Ok((text("reason"), text("message")))
}

/// Waits for this reason and message.
async fn told(rest: &Rest, reason: &str, part: &str) {
    told_within(rest, reason, part, SOON).await;
}

/// As [`told`], with the time it may take.
async fn told_within(rest: &Rest, reason: &str, part: &str, within: Duration) {
    eventually("the condition tells", within, async || {
        let (is, message) = condition(rest).await?;
        ensure!(is == reason && message.contains(part), "{is}: {message}");
        Ok(())
    })
    .await
    .unwrap();
}

async fn revision(rest: &Rest) -> u64 {
    let answer = rest
        .send(reqwest::Method::GET, "/v1/revisions", None)
        .await
        .unwrap();
    answer.body["items"][0]["revision"].as_u64().unwrap()
}

async fn echo(name: &str) -> Upstream {
    Upstream::echo(name).await.unwrap()
}
