//! Updates that are not what they claim to be.

use sluice_core::Update;
use sluice_model::HistoryId;
use sluice_proto::v1::{self, proxy_message};
use sluice_tests::client::served_by;
use sluice_tests::fake_control::FakeControl;
use sluice_tests::manifest::{HOST, LISTENER};
use sluice_tests::site::SOON;
use sluice_tests::upstream::Upstream;

use crate::snapshot::{acked, at, full, table};

const HISTORY: [u8; 16] = [1; 16];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_corrupt_update_is_refused_whole_and_the_last_good_one_keeps_serving() {
    let (old, new) = (
        Upstream::echo("old").await.unwrap(),
        Upstream::echo("new").await.unwrap(),
    );
    let mut control = FakeControl::start().await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let proxy = control
        .proxy(directory.path(), &["--workers", "1"])
        .await
        .unwrap();
    let mut stream = control.subscribed(HISTORY).await.unwrap();
    assert_eq!(stream.hello.proxy_id, "edge-1");

    let first = table(old.address);
    stream.update(full(HISTORY, 1, &first)).await.unwrap();
    acked(&mut stream, 1).await;
    let address = proxy.listening(LISTENER, 1, SOON).await.unwrap();
    assert_eq!(served_by(address, HOST).await.unwrap(), "old");

    let second = table(new.address);
    let good = Update::between(
        HistoryId(HISTORY),
        (at(1, &first), &first),
        (at(2, &second), &second),
    )
    .to_wire();
    for (what, update) in corruptions(&good) {
        stream.update(update).await.unwrap();
        let proxy_message::Body::Nack(nack) = stream.next().await.unwrap() else {
            panic!("{what}: not refused");
        };
        assert!(!nack.violations.is_empty() && !nack.retrying, "{what}: {nack:?}");
        assert_eq!(served_by(address, HOST).await.unwrap(), "old", "{what}");
        assert_eq!(proxy.config().await.unwrap().revision, 1, "{what}");
    }

    stream.update(good).await.unwrap();
    acked(&mut stream, 2).await;
    assert_eq!(served_by(address, HOST).await.unwrap(), "new");
}

/// The good update with one thing wrong each.
fn corruptions(good: &v1::Update) -> Vec<(&'static str, v1::Update)> {
    let with = |change: fn(&mut v1::Update)| {
        let mut update = good.clone();
        change(&mut update);
        update
    };
    vec![
        (
            "a body that was changed",
            with(|update| {
                let mut body = update.upserts[0].body.to_vec();
                body.push(0);
                update.upserts[0].body = body.into();
            }),
        ),
        (
            "a hash that is another body's",
            with(|update| update.upserts[0].hash = vec![1; 16]),
        ),
        (
            "a resource that is missing",
            with(|update| update.upserts.clear()),
        ),
        (
            "a digest that was changed",
            with(|update| update.target.as_mut().unwrap().runtime_digest[0] ^= 1),
        ),
        (
            "a resource that needs a newer reader",
            with(|update| update.upserts[0].min_wire = 1_000),
        ),
        (
            "a kind that nobody knows",
            with(|update| update.upserts[0].key = "sluice/default/web".into()),
        ),
    ]
}
