//! What replicas tell each other through the store, and which of them leads.

use std::collections::BTreeMap;
use std::time::Duration;

use sluice_control::store::{
    Extent, Leadership, Replica, Revision, Store, StoreError, StoredReceipt, UnixMillis,
};
use sluice_tests::eventually::eventually;
use sluice_tests::link::Fault;
use sluice_tests::postgres::Postgres;

use crate::database::Database;
use crate::outage::{link_to, through};

const WAIT: Duration = Duration::from_secs(30);

crate::on_both!(
    what_a_replica_tells_is_read_once_and_whole_after_it_was_removed,
    a_leader_that_was_followed_by_another_writes_nothing,
);

fn replica(store: &Store) -> Replica {
    Replica {
        id: store.replica().into(),
        version: "1".into(),
        admin: "127.0.0.1:1".into(),
        grpc: "127.0.0.1:2".into(),
        started: UnixMillis(7),
    }
}

fn parts(parts: &[(&str, &str)]) -> Vec<(String, Vec<u8>)> {
    let part = |(name, body): &(&str, &str)| ((*name).to_owned(), body.as_bytes().to_vec());
    parts.iter().map(part).collect()
}

async fn what_a_replica_tells_is_read_once_and_whole_after_it_was_removed(database: Database) {
    let (writer, reader) = (database.open().await, database.open().await);
    let me = replica(&writer);
    let mut known = BTreeMap::new();
    let mut heard = async || {
        let peers = reader.peers(&known).await.unwrap();
        known.extend(peers.iter().map(|peer| (peer.replica.id.clone(), peer.beat)));
        peers
    };
    assert_eq!(heard().await, []);
    assert!(!writer.beat(&me, 1, Extent::Changes, &[]).await.unwrap());
    let all = parts(&[("a", "1"), ("b", "")]);
    assert!(writer.beat(&me, 1, Extent::Whole, &all).await.unwrap());
    let peers = heard().await;
    assert_eq!((&peers[0].replica, &peers[0].parts), (&me, &all));
    assert!(writer.beat(&me, 2, Extent::Changes, &[]).await.unwrap());
    assert_eq!(heard().await[0].parts, []);
    let changed = parts(&[("a", "2")]);
    assert!(writer.beat(&me, 3, Extent::Changes, &changed).await.unwrap());
    assert_eq!(heard().await[0].parts, changed);
    assert!(
        !writer.beat(&me, 3, Extent::Changes, &changed).await.unwrap(),
        "it is there"
    );
    // It does not hear itself.
    assert_eq!(writer.peers(&BTreeMap::new()).await.unwrap(), []);

    let leadership = reader.lead().await.unwrap().unwrap();
    assert!(
        !reader
            .remove_replica(leadership.epoch(), &me.id, 2)
            .await
            .unwrap()
    );
    assert!(
        reader
            .remove_replica(leadership.epoch(), &me.id, 3)
            .await
            .unwrap()
    );
    assert_eq!(heard().await, []);
    assert!(!writer.beat(&me, 4, Extent::Changes, &changed).await.unwrap());
    assert!(writer.beat(&me, 5, Extent::Whole, &all).await.unwrap());
    assert_eq!(reader.peers(&BTreeMap::new()).await.unwrap()[0].parts, all);
}

async fn write_as(store: &Store, leadership: &Leadership, summary: &str) -> Result<(), StoreError> {
    let receipt = StoredReceipt {
        summary: summary.into(),
        updated_at: UnixMillis(1),
        complete: false,
    };
    store
        .put_receipts(leadership.epoch(), &[(Revision(1), receipt)])
        .await
}

async fn a_leader_that_was_followed_by_another_writes_nothing(database: Database) {
    let (first, second) = (database.open().await, database.open().await);
    let one = first.lead().await.unwrap().unwrap();
    write_as(&first, &one, "one").await.unwrap();
    if matches!(database, Database::Postgres(_)) {
        assert!(second.lead().await.unwrap().is_none());
        // Its session ends, and it does not know.
        database
            .sql("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted");
    }
    let two = eventually("the lock is free", WAIT, async || {
        anyhow::Context::context(second.lead().await?, "still taken")
    });
    let two = two.await.unwrap();
    assert!(two.epoch().number() > one.epoch().number());
    assert_eq!(write_as(&first, &one, "late").await, Err(StoreError::Fenced));
    write_as(&second, &two, "two").await.unwrap();
    assert_eq!(first.receipt(Revision(1)).await.unwrap().unwrap().summary, "two");
    assert_eq!(first.leader().await.unwrap(), second.replica());
}

/// As if its host had vanished, or all its threads hung: nothing ends the connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_cannot_be_heard_is_followed_by_another_in_time() {
    let postgres = Postgres::start().await.unwrap();
    let link = link_to(&postgres).await;
    let away = Store::open(&[through(&link)], Default::default()).await.unwrap();
    let near = Store::open(&[postgres.url()], Default::default()).await.unwrap();
    let mut old = away.lead().await.unwrap().unwrap();
    assert!(old.holds().await);
    link.set(Fault::Frozen);
    assert!(!old.holds().await);
    let new = eventually("another one leads", WAIT, async || {
        anyhow::Context::context(near.lead().await?, "still taken")
    });
    let mut new = new.await.unwrap();
    link.set(Fault::None);
    eventually("the store answers again", WAIT, async || Ok(away.head().await?))
        .await
        .unwrap();
    assert_eq!(write_as(&away, &old, "late").await, Err(StoreError::Fenced));
    assert!(new.holds().await && away.lead().await.unwrap().is_none());
}
