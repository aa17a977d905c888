//! A change that is taken, and one that is refused.

use reqwest::{Method, StatusCode};
use serde_json::json;
use sluice_tests::client::served_by;
use sluice_tests::manifest::{HOST, LISTENER, backend, gateway, gateway_on, list, route, route_to};
use sluice_tests::rest::Change;
use sluice_tests::site::{SOON, Site};
use sluice_tests::upstream::Upstream;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_moves_traffic_and_its_receipt_counts_the_whole_fleet() {
    let (old, new) = (
        Upstream::echo("old").await.unwrap(),
        Upstream::echo("new").await.unwrap(),
    );
    let site = Site::start(2).await.unwrap();
    let backends = [backend("old", &[old.address]), backend("new", &[new.address])];
    site.apply(&backends).await.unwrap();
    let first = site
        .apply(&[gateway(), route_to("shop", HOST, "old")])
        .await
        .unwrap();
    for index in 0..2 {
        let address = site.address_of(index).await.unwrap();
        assert_eq!(served_by(address, HOST).await.unwrap(), "old");
    }

    let second = site.apply(&[route_to("shop", HOST, "new")]).await.unwrap();
    assert_eq!(second.revision, first.revision + 1);
    let updated = Change {
        kind: "HTTPRoute".into(),
        name: "shop".into(),
        action: "updated".into(),
    };
    assert_eq!(second.changes, [updated]);
    for index in 0..2 {
        let address = site.address_of(index).await.unwrap();
        assert_eq!(served_by(address, HOST).await.unwrap(), "new");
    }

    let receipt = site.rest().receipt(second.revision, SOON).await.unwrap();
    assert_eq!((receipt.fleet, receipt.applied), (2, 2));
    assert_eq!((receipt.refused.len(), receipt.pending.len()), (0, 0));
    let ms = receipt.applied_ms.unwrap();
    assert!(0.0 < ms.p50 && ms.p50 <= ms.p95 && ms.p95 <= ms.p99 && ms.p99 <= ms.max);
    for (index, proxy) in site.fleet_of(2).await.unwrap().iter().enumerate() {
        let address = site.address_of(index).await.unwrap().to_string();
        assert_eq!(proxy["revision"], second.revision, "{proxy}");
        let bound = &proxy["listeners"][0];
        assert_eq!(bound["address"], address, "{proxy}");
        assert!(bound.to_string().contains("edge"), "{LISTENER}: {proxy}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_change_tells_every_violation_and_leaves_everything_as_it_was() {
    let upstream = Upstream::echo("web").await.unwrap();
    let site = Site::start(1).await.unwrap();
    let web = backend("web", &[upstream.address]);
    let applied = site
        .apply(&[gateway(), web, route_to("shop", HOST, "web")])
        .await
        .unwrap();
    let before = site.proxies[0].config().await.unwrap();

    // Fields of another shape than the kind's.
    let mut bad_backend = backend("api", &[upstream.address]);
    bad_backend["spec"]["endpoints"][0]["port"] = json!(70_000);
    let bad_rules = json!([{"backendRefs": [{"name": "web", "weight": "ten"}], "retries": 3}]);
    refused(
        &site,
        &[bad_backend, route("shop", "-bad-.example.com", &bad_rules)],
        &[
            ("Backend/default/api", "spec.endpoints[0].port"),
            ("HTTPRoute/default/shop", "spec.hostnames[0]"),
            ("HTTPRoute/default/shop", "spec.rules[0].backendRefs[0].weight"),
            ("HTTPRoute/default/shop", "spec.rules[0].retries"),
        ],
    )
    .await;

    // Values that contradict themselves or each other.
    let bad_rules = json!([
        {"matches": [{"path": {"type": "PathPrefix", "value": "no-slash"}}], "backendRefs": [{"name": "web"}]},
        {"timeouts": {"request": "1s", "backendRequest": "2s"}, "backendRefs": [{"name": "web"}]},
    ]);
    let twice = gateway_on(&[("http", 80, None), ("http", 81, None)]);
    refused(
        &site,
        &[route("shop", HOST, &bad_rules), twice],
        &[
            ("HTTPRoute/default/shop", "spec.rules[0].matches[0].path.value"),
            ("HTTPRoute/default/shop", "spec.rules[1].timeouts.backendRequest"),
            ("Gateway/default/edge", "spec.listeners[1].name"),
        ],
    )
    .await;

    // References and conflicts, judged on the state after the change.
    let two = json!([
        {"backendRefs": [{"name": "web"}]},
        {"matches": [{"path": {"value": "/a"}}], "backendRefs": [{"name": "web"}, {"name": "nowhere"}]},
    ]);
    let mut rival = gateway_on(&[("one", 80, None)]);
    rival["metadata"]["name"] = json!("rival");
    let mut lost = route_to("lost", HOST, "web");
    lost["spec"]["parentRefs"][0]["name"] = json!("nobody");
    let references = [route("shop", HOST, &two), rival, lost];
    refused(
        &site,
        &references,
        &[
            ("HTTPRoute/default/shop", "spec.rules[1].backendRefs[1]"),
            ("Gateway/default/rival", "spec.listeners[0]"),
            ("HTTPRoute/default/lost", "spec.parentRefs[0]"),
        ],
    )
    .await;

    // Deleting what is still referenced.
    let path = "/v1/namespaces/default/backends/web";
    let answer = site.rest().send(Method::DELETE, path, None).await.unwrap();
    assert!(answer.status.is_client_error(), "{answer:?}");
    assert_eq!(answer.violations().unwrap()[0].code, "inUse", "{answer:?}");

    let head = site
        .rest()
        .send(Method::GET, "/v1/revisions", None)
        .await
        .unwrap();
    assert_eq!(head.body["items"][0]["revision"], applied.revision, "{head:?}");
    let after = site.proxies[0].config().await.unwrap();
    assert_eq!(after, before);
    let address = site.address().await.unwrap();
    assert_eq!(served_by(address, HOST).await.unwrap(), "web");
}

/// Applies what must be refused, and looks for these resources and fields among the violations.
async fn refused(site: &Site, manifests: &[serde_json::Value], expected: &[(&str, &str)]) {
    let body = list(manifests);
    let answer = site
        .rest()
        .send(Method::POST, "/v1/apply", Some(&body))
        .await
        .unwrap();
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{answer:?}");
    let violations = answer.violations().unwrap();
    for (resource, field) in expected {
        assert!(
            violations
                .iter()
                .any(|told| told.resource == *resource && told.field.starts_with(field)),
            "{resource} {field} is not among {violations:#?}"
        );
    }
    assert_eq!(violations.len(), expected.len(), "{violations:#?}");
}
