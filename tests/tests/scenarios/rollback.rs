//! Old content as a new revision.

use reqwest::Method;
use sluice_tests::client::served_by;
use sluice_tests::manifest::{HOST, backend, gateway, route_to};
use sluice_tests::site::Site;
use sluice_tests::upstream::Upstream;

const ROUTE: &str = "/v1/namespaces/default/httproutes/zeta";

/// Of two routes that match alike, the older one wins; a route that was deleted and came back is
/// the younger one, until a rollback to the time before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollback_is_a_new_revision_that_restores_traffic_and_the_age_of_routes() {
    let (first, second) = (
        Upstream::echo("first").await.unwrap(),
        Upstream::echo("second").await.unwrap(),
    );
    let site = Site::start(1).await.unwrap();
    let backends = [
        backend("first", &[first.address]),
        backend("second", &[second.address]),
    ];
    site.apply(&backends).await.unwrap();
    let zeta = route_to("zeta", HOST, "first");
    site.apply(&[gateway(), zeta.clone()]).await.unwrap();
    let both = site.apply(&[route_to("alpha", HOST, "second")]).await.unwrap();
    let address = site.address().await.unwrap();
    assert_eq!(served_by(address, HOST).await.unwrap(), "first");

    let deleted = site.rest().send(Method::DELETE, ROUTE, None).await.unwrap();
    assert!(deleted.status.is_success(), "{deleted:?}");
    let again = site.apply(&[zeta]).await.unwrap();
    assert_eq!(again.revision, both.revision + 2);
    assert_eq!(served_by(address, HOST).await.unwrap(), "second");

    let path = format!("/v1/revisions/{}/rollback?wait=20s&quorum=1", both.revision);
    let back = site.rest().send(Method::POST, &path, None).await.unwrap();
    assert!(back.status.is_success(), "{back:?}");
    assert_eq!(back.body["revision"], again.revision + 1);
    assert_eq!(back.body["receipt"]["applied"], 1, "{back:?}");
    assert_eq!(served_by(address, HOST).await.unwrap(), "first");

    // And forward again: a rollback can be rolled back.
    let path = format!("/v1/revisions/{}/rollback?wait=20s&quorum=1", again.revision);
    let forward = site.rest().send(Method::POST, &path, None).await.unwrap();
    assert_eq!(forward.body["revision"], again.revision + 2, "{forward:?}");
    assert_eq!(served_by(address, HOST).await.unwrap(), "second");
}
