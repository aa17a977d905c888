//! Refusals by a proxy.

use std::time::Duration;

use reqwest::Method;
use sluice_proto::v1::Violation;
use sluice_tests::fake_proxy::{FakeProxy, revision};
use sluice_tests::manifest::{backend, gateway};
use sluice_tests::site::{SOON, Site};

/// Long enough for a loop that sends again to show itself.
const QUIET: Duration = Duration::from_secs(1);

fn violation() -> Violation {
    Violation {
        resource: "backend/default/web".into(),
        field: "protocol".into(),
        code: "unsupported".into(),
        message: "too new for this proxy".into(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_revision_is_sent_once_and_the_receipt_says_who_refused_it_and_why() {
    let site = Site::start(1).await.unwrap();
    let mut fake = FakeProxy::join(site.control.grpc, "fake").await.unwrap();
    let held = fake.update().await.unwrap();
    fake.ack(&held).await.unwrap();
    site.fleet_of(2).await.unwrap();

    let refused = site.rest().apply(&gateway(), "").await.unwrap();
    let update = fake.update().await.unwrap();
    assert_eq!(
        (revision(&update), &update.base),
        (refused.revision, &held.target)
    );
    fake.nack(&update, violation()).await.unwrap();

    let path = format!("/v1/revisions/{}/receipt?wait=20s&quorum=0.5", refused.revision);
    let receipt = site.rest().send(Method::GET, &path, None).await.unwrap().body;
    assert_eq!(receipt["fleet"], 2, "{receipt}");
    assert_eq!(receipt["applied"], 1, "{receipt}");
    let receipt = site.rest().receipt(refused.revision, SOON).await.unwrap();
    assert_eq!(receipt.pending, [""; 0], "{receipt:?}");
    assert_eq!(receipt.refused.len(), 1, "{receipt:?}");
    assert_eq!(receipt.refused[0].proxy, "fake");
    let told = &receipt.refused[0].violations;
    assert_eq!(
        (&*told[0].resource, &*told[0].code),
        ("backend/default/web", "unsupported")
    );

    fake.quiet(QUIET).await.unwrap();
    // The next revision starts from what is held, over what was refused.
    let next = site.rest().apply(&backend("web", &[]), "").await.unwrap();
    let update = fake.update().await.unwrap();
    assert_eq!((revision(&update), &update.base), (next.revision, &held.target));
    fake.ack(&update).await.unwrap();
    let receipt = site.rest().receipt(next.revision, SOON).await.unwrap();
    assert_eq!((receipt.applied, receipt.refused.len()), (2, 0), "{receipt:?}");
    // Ahead of the refused revision counts as having it.
    let receipt = site.rest().receipt(refused.revision, SOON).await.unwrap();
    assert_eq!(receipt.applied, 2, "{receipt:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_proxy_gets_the_latest_and_not_what_lies_between() {
    let site = Site::start(0).await.unwrap();
    let mut slow = FakeProxy::join(site.control.grpc, "slow").await.unwrap();
    let held = slow.update().await.unwrap();
    slow.ack(&held).await.unwrap();
    site.fleet_of(1).await.unwrap();
    site.rest().apply(&gateway(), "").await.unwrap();
    let first = slow.update().await.unwrap();
    let mut last = 0;
    for number in 0..20 {
        let spare = backend(&format!("spare-{number}"), &[]);
        last = site.rest().apply(&spare, "").await.unwrap().revision;
    }
    slow.ack(&first).await.unwrap();
    let second = slow.update().await.unwrap();
    assert_eq!((revision(&second), &second.base), (last, &first.target));
    assert_eq!(second.upserts.len(), 40, "{second:?}");
}
