//! Who belongs to the fleet, and asking it what it would do.

use reqwest::{Method, StatusCode};
use serde_json::json;
use sluice_proto::WIRE_VERSION;
use sluice_proto::v1::Hello;
use sluice_tests::client::{get, send};
use sluice_tests::eventually::eventually;
use sluice_tests::fake_proxy::{FakeProxy, revision};
use sluice_tests::manifest::{HOST, backend, gateway, route, route_to};
use sluice_tests::site::{SOON, Site};
use sluice_tests::upstream::Upstream;

async fn join(site: &Site, instance: u8) -> FakeProxy {
    let hello = Hello {
        proxy_id: "twin".into(),
        wire_version: WIRE_VERSION,
        instance: vec![instance; 16],
        ..Hello::default()
    };
    let mut twin = FakeProxy::say_hello(site.control.grpc, hello).await.unwrap();
    let held = twin.update().await.unwrap();
    twin.ack(&held).await.unwrap();
    twin
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_processes_with_one_id_the_newer_counts_and_the_fleet_view_warns() {
    let site = Site::start(0).await.unwrap();
    let mut older = join(&site, 1).await;
    assert_eq!(site.fleet_of(1).await.unwrap()[0]["warnings"], json!([]));
    let mut newer = join(&site, 2).await;
    let fleet = site.fleet_of(1).await.unwrap();
    assert_ne!(fleet[0]["warnings"], json!([]), "{fleet:?}");
    assert!(older.update().await.is_err(), "the older one is still served");
    let applied = site.rest().apply(&gateway(), "").await.unwrap();
    let update = newer.update().await.unwrap();
    assert_eq!(revision(&update), applied.revision);
}

/// A proxy that vanished counts for its lease; who knows better need not wait.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_that_is_gone_for_good_can_be_forgotten() {
    let site = Site::start(0).await.unwrap();
    drop(join(&site, 1).await);
    eventually("its end is noticed", SOON, async || {
        let fleet = site.fleet_of(1).await?;
        anyhow::ensure!(fleet[0]["connected"] == false, "{fleet:?}");
        Ok(())
    })
    .await
    .unwrap();
    let forgotten = site
        .rest()
        .send(Method::DELETE, "/v1/fleet/twin", None)
        .await
        .unwrap();
    assert!(forgotten.status.is_success(), "{forgotten:?}");
    assert_eq!(site.fleet_of(0).await.unwrap().len(), 0);
    let again = site
        .rest()
        .send(Method::DELETE, "/v1/fleet/twin", None)
        .await
        .unwrap();
    assert_eq!(again.status, StatusCode::NOT_FOUND, "{again:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_explanation_says_what_the_proxy_does_now_and_did_before() {
    let upstream = Upstream::echo("web").await.unwrap();
    let site = Site::start(1).await.unwrap();
    let web = backend("web", &[upstream.address]);
    let before = site
        .apply(&[gateway(), web, route_to("shop", HOST, "web")])
        .await
        .unwrap();
    let moved = json!([{"name": "moved", "filters": [
        {"type": "RequestRedirect", "requestRedirect": {"hostname": "new.example.com"}},
    ]}]);
    site.apply(&[route("shop", HOST, &moved)]).await.unwrap();
    let explain = async |asked: serde_json::Value| {
        let answer = site
            .rest()
            .send(Method::POST, "/v1/explain", Some(&asked))
            .await
            .unwrap();
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        answer.body
    };

    let url = format!("http://{HOST}/a");
    let now = explain(json!({"method": "GET", "url": url})).await;
    let answer = send(site.address().await.unwrap(), get(HOST, "/a"))
        .await
        .unwrap();
    assert_eq!(now["decision"]["outcome"], "redirect", "{now}");
    assert_eq!(now["decision"]["status"], answer.status.as_u16(), "{now}");
    assert_eq!(now["decision"]["location"], answer.header("location"), "{now}");

    let then = explain(json!({"method": "GET", "url": url, "revision": before.revision})).await;
    assert_eq!(then["decision"]["outcome"], "split", "{then}");
    assert!(
        then["decision"].to_string().contains("backend/default/web"),
        "{then}"
    );
}
