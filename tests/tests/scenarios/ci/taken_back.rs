//! What the fleet does not take, and what becomes of it.

use anyhow::ensure;
use sluice_proto::v1::{Update, Violation};
use sluice_tests::eventually::eventually;
use sluice_tests::fake_proxy::{FakeProxy, revision};
use sluice_tests::forge::Forge;
use sluice_tests::manifest::{backend, list};
use sluice_tests::site::{SOON, Site};

use super::checkout::{Checkout, Place};
use super::{live, newest};
use crate::postgres::head;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_fleet_does_not_take_in_time_is_taken_back() {
    let (site, forge) = (Site::start(1).await.unwrap(), Forge::start(0).await.unwrap());
    let rest = site.rest();
    let checkout = Checkout::new(Place::GitHub, rest).await;
    assert_eq!(checkout.run("deliver", rest, &forge, &[]).await.code, Some(0));
    let before = live(rest).await;

    // A proxy that says nothing: half of the fleet takes the change, and that is not enough.
    let _deaf = FakeProxy::join(site.control.grpc, "deaf").await.unwrap();
    checkout.write("more", &[backend("more", &[])]);
    let all = [("SLUICE_WAIT", "1s"), ("SLUICE_QUORUM", "1")];
    let late = checkout.run("deliver", rest, &forge, &all).await;
    assert_eq!(late.code, Some(3), "{late:?}");
    assert!(
        late.stderr
            .contains("revision 2 is taken back: 3 has the content of 1"),
        "{late:?}"
    );
    assert_eq!((live(rest).await, newest(rest).await), (before, 3));

    let half = [("SLUICE_WAIT", "20s"), ("SLUICE_QUORUM", "0.5")];
    let enough = checkout.run("deliver", rest, &forge, &half).await;
    assert_eq!(enough.code, Some(0), "{enough:?}");
}

fn violation() -> Violation {
    Violation {
        resource: "listener/default/edge/http".into(),
        field: "port".into(),
        code: "local".into(),
        message: "in use".into(),
    }
}

/// A proxy that refuses one revision and takes all others.
async fn refuse(mut proxy: FakeProxy, refused: u64) {
    let is_refused = |update: &Update| revision(update) == refused;
    // The stream ends with the site.
    while let Ok(update) = proxy.update().await {
        let said = match is_refused(&update) {
            true => proxy.nack(&update, violation()).await,
            false => proxy.ack(&update).await,
        };
        if said.is_err() {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_proxy_refuses_is_taken_back_unless_others_have_gone_on() {
    let (site, forge) = (Site::start(1).await.unwrap(), Forge::start(0).await.unwrap());
    let rest = site.rest();
    let checkout = Checkout::new(Place::GitLab, rest).await;
    let picky = FakeProxy::join(site.control.grpc, "picky").await.unwrap();
    let picky = tokio::spawn(refuse(picky, 2));
    let all = [("SLUICE_WAIT", "10s"), ("SLUICE_QUORUM", "1")];
    assert_eq!(checkout.run("deliver", rest, &forge, &all).await.code, Some(0));
    let before = live(rest).await;
    checkout.write("more", &[backend("more", &[])]);
    let refused = checkout.run("deliver", rest, &forge, &all).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("refused by picky"), "{refused:?}");
    assert!(
        refused
            .stdout
            .contains("backend/more deleted\nrevision 3\n2 of 2 proxies"),
        "{refused:?}"
    );
    assert_eq!(live(rest).await, before);
    picky.abort();

    // Somebody writes while the fleet is waited for: that is not taken back, and neither is ours.
    let mut last = FakeProxy::join(site.control.grpc, "last").await.unwrap();
    let held = last.update().await.unwrap();
    last.ack(&held).await.unwrap();
    let theirs = async {
        let written = eventually("ours is written", SOON, async || {
            let head = head(rest).await?;
            ensure!(head == 4, "{head}");
            Ok(())
        });
        written.await.unwrap();
        let ours = last.update().await.unwrap();
        rest.apply(&list(&[backend("theirs", &[])]), "").await.unwrap();
        // This is what ends the wait.
        last.nack(&ours, violation()).await.unwrap();
    };
    let slow = [("SLUICE_WAIT", "5m"), ("SLUICE_QUORUM", "1")];
    let (stands, ()) = tokio::join!(checkout.run("deliver", rest, &forge, &slow), theirs);
    assert_eq!(stands.code, Some(4), "{stands:?}");
    assert!(
        stands
            .stderr
            .contains("revision 4 stands: it could not be taken back"),
        "{stands:?}"
    );
    assert_eq!(newest(rest).await, 5);
}
