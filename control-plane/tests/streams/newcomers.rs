//! What a proxy is sent that was not there before, when the newest is no good.

use std::time::Duration;

use sluice_control::store::{KeyRing, Store};
use sluice_control::{Config, Control, Running};
use sluice_model::Revision;

use crate::proxy::Proxy;
use crate::site::{PATIENCE, applied, backend, config, write};

#[tokio::test]
async fn a_newcomer_starts_at_what_was_good_also_after_a_restart_of_the_control_plane() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", directory.path().join("control.db").display());
    let on_file = || Config {
        database_urls: vec![url.clone()],
        ..config()
    };
    let control = Control::start(on_file()).await.unwrap();
    let mut old = Proxy::join(control.grpc, "old", 1).await;
    old.step().await;
    write(&control, backend("one")).await;
    old.step().await;
    applied(&control, Revision(1), 1).await;
    write(&control, backend("two")).await;
    assert_eq!(old.refuse().await, 2);

    let starts_at_the_good_one = async |control: &Running, id: &str| {
        let mut newcomer = Proxy::join(control.grpc, id, 2).await;
        newcomer.step().await;
        assert_eq!(newcomer.snapshot.position().revision, Revision(1), "{id}");
        // From there it goes on like all, and may find that the newest is no good.
        assert_eq!(newcomer.refuse().await, 2, "{id}");
        newcomer
    };
    let _second = starts_at_the_good_one(&control, "second").await;
    let history = control.live().published().version.history;
    let store = Store::open(std::slice::from_ref(&url), KeyRing::default())
        .await
        .unwrap();
    let stored = async {
        let mut pause = tokio::time::interval(Duration::from_millis(20));
        while store.fallbacks(history).await.unwrap().is_empty() {
            pause.tick().await;
        }
    };
    tokio::time::timeout(PATIENCE, stored)
        .await
        .expect("stored in time");
    store.close().await;
    control.shutdown().await;

    let control = Control::start(on_file()).await.unwrap();
    let _third = starts_at_the_good_one(&control, "third").await;
    control.shutdown().await;
}

#[tokio::test]
async fn a_newcomer_that_refuses_what_is_newest_is_sent_what_others_accepted_before() {
    let control = Control::start(config()).await.unwrap();
    let mut old = Proxy::join(control.grpc, "old", 1).await;
    old.step().await;
    for (number, name) in [(1, "one"), (2, "two")] {
        write(&control, backend(name)).await;
        old.step().await;
        applied(&control, Revision(number), 1).await;
    }
    let mut newcomer = Proxy::join(control.grpc, "new", 2).await;
    assert_eq!(newcomer.refuse().await, 2, "all of the fleet run it");
    newcomer.step().await;
    assert_eq!(newcomer.snapshot.position().revision, Revision(1));
    let receipt = |revision| {
        let (published, now) = (control.live().published(), tokio::time::Instant::now());
        control.fleet().receipt(Revision(revision), &published, now)
    };
    let accepted = async {
        let mut pause = tokio::time::interval(Duration::from_millis(20));
        while receipt(1).applied < 2 {
            pause.tick().await;
        }
    };
    tokio::time::timeout(PATIENCE, accepted).await.expect("accepted");
    assert_eq!(receipt(2).refused_count, 1, "it runs what is before that");
    write(&control, backend("three")).await;
    for proxy in [&mut old, &mut newcomer] {
        proxy.step().await;
        assert_eq!(proxy.snapshot.position().revision, Revision(3));
    }
    applied(&control, Revision(3), 2).await;
    control.shutdown().await;
}
