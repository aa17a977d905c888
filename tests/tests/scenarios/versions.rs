//! A proxy or a control plane of a release that knew nothing of commits.

use sluice_model::{CommitId, CommitSeal, HistoryId};
use sluice_proto::v1::{Hello, Update, control_message};
use sluice_tests::client::served_by;
use sluice_tests::fake_control::FakeControl;
use sluice_tests::fake_proxy::{FakeProxy, revision};
use sluice_tests::manifest::{HOST, LISTENER, backend, gateway, list};
use sluice_tests::site::{SOON, Site};
use sluice_tests::upstream::Upstream;

use crate::snapshot::{acked, at, full, table};

/// What release 0.1.0 says on its first stream, and what it says when it `holds` something.
fn of_0_1_0(holds: Option<&Update>) -> Hello {
    Hello {
        proxy_id: "old".into(),
        version: "0.1.0".into(),
        wire_version: 1,
        history: holds.map(|update| update.history.clone()).unwrap_or_default(),
        holds: holds.and_then(|update| update.target.clone()),
        instance: vec![5; 16],
        ..Hello::default()
    }
}

/// The next update, exactly as it was sent.
async fn sent(proxy: &mut FakeProxy) -> Update {
    match proxy.next().await.unwrap() {
        control_message::Body::Update(update) => update,
        other => panic!("no update but {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_that_knows_no_commits_follows_by_differences_and_is_not_asked_about() {
    let site = Site::start(0).await.unwrap();
    let rest = site.rest();
    rest.apply(&list(&[gateway(), backend("first", &[])]), "")
        .await
        .unwrap();
    let mut old = FakeProxy::say_hello(site.control.grpc, of_0_1_0(None))
        .await
        .unwrap();
    let mut held = sent(&mut old).await;
    assert_eq!(held.base, None);
    let history = held.history.clone();
    assert_eq!(history.len(), 16);
    old.ack(&held).await.unwrap();
    // The second time it comes back with what it has, and of which commit that is it does not say.
    for name in ["second", "third"] {
        if name == "third" {
            old.leave().await.unwrap();
            let hello = of_0_1_0(Some(&held));
            old = FakeProxy::say_hello(site.control.grpc, hello).await.unwrap();
            site.fleet_of(1).await.unwrap();
        }
        let written = rest.apply(&backend(name, &[]), "").await.unwrap().revision;
        let update = sent(&mut old).await;
        assert_eq!((revision(&update), &update.base), (written, &held.target));
        assert_eq!(update.history, history, "written out, and the same");
        let target = update.target.as_ref().unwrap();
        assert_eq!(target.runtime_digest.len(), 16, "written out");
        let keys: Vec<_> = update.upserts.iter().map(|one| &*one.key).collect();
        let expected = ["backend", "endpoints"].map(|kind| format!("{kind}/default/{name}"));
        assert_eq!(keys, expected);
        old.ack(&update).await.unwrap();
        let receipt = rest.receipt(written, SOON).await.unwrap();
        assert_eq!((receipt.fleet, receipt.applied), (1, 1), "{receipt:?}");
        held = update;
    }
}

/// Commits are said by some control planes and not by others, as while they are upgraded one by one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_control_plane_that_says_no_commit_is_followed_and_none_is_made_up() {
    const HISTORY: [u8; 16] = [1; 16];
    let directory = tempfile::tempdir().unwrap();
    let mut control = FakeControl::start().await.unwrap();
    control.wire_version = 1;
    let proxy = control
        .proxy(directory.path(), &["--workers", "1"])
        .await
        .unwrap();
    let mut stream = control.subscribed(HISTORY).await.unwrap();
    assert_eq!((stream.hello.holds.as_ref(), stream.hello.commit), (None, 0));
    let upstream = Upstream::echo("0").await.unwrap();
    let mut held = table(upstream.address);
    stream.update(full(HISTORY, 1, &held)).await.unwrap();
    acked(&mut stream, 1).await;
    let address = proxy.listening(LISTENER, 1, SOON).await.unwrap();

    for (number, commit) in [(2, 0), (3, 7), (4, 0), (5, 9)] {
        let upstream = Upstream::echo(&number.to_string()).await.unwrap();
        let next = table(upstream.address);
        let base = (at(number - 1, &held), &held);
        let update = sluice_core::Update::between(HistoryId(HISTORY), base, (at(number, &next), &next));
        let update = update
            .committed(CommitId(commit), CommitSeal(10 * commit))
            .to_wire();
        stream.update(update).await.unwrap();
        acked(&mut stream, number).await;
        assert_eq!(served_by(address, HOST).await.unwrap(), number.to_string());
        drop(stream);
        stream = control.subscribed(HISTORY).await.unwrap();
        let hello = &stream.hello;
        let holds = hello.holds.as_ref().unwrap().revision;
        assert_eq!(
            (holds, hello.commit, hello.commit_seal),
            (number, commit, 10 * commit)
        );
        held = next;
    }
}
