//! Who writes next where several replicas write.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use sluice_control::store::{CommitError, KeyRing, Store, StoreError};
use sluice_tests::eventually::eventually;
use sluice_tests::link::Fault;
use sluice_tests::postgres::Postgres;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::database::{Database, key, set, upsert, write};
use crate::outage::{link_to, through};

const WAIT: Duration = Duration::from_secs(30);
/// For so long the next revision surely stays reserved: half a second less than it is.
const SURELY: Duration = Duration::from_secs(1);
const RIVALS: usize = 2;
const WRITES: usize = 25;

/// Writes on whatever the head is, again and again, until `end`.
async fn write_without_pause(store: Store, name: String, end: CancellationToken, written: Arc<AtomicUsize>) {
    while !end.is_cancelled() {
        let head = store.head().await.unwrap();
        match store.commit(&write(head, [(key(&name), upsert("1"))])).await {
            Ok(_) => {
                written.fetch_add(1, Ordering::Relaxed);
            }
            // A disk that stands still for seconds holds all of them up.
            Err(CommitError::Conflict { .. } | CommitError::Store(StoreError::Timeout)) => {}
            Err(other) => panic!("{other}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_has_reserved_the_next_revision_writes_it_while_others_never_pause() {
    let database = Database::postgres().await;
    let (end, written) = (CancellationToken::new(), Arc::new(AtomicUsize::new(0)));
    let mut rivals = JoinSet::new();
    for rival in 0..RIVALS {
        let (store, name) = (database.open().await, format!("rival-{rival}"));
        rivals.spawn(write_without_pause(
            store,
            name,
            end.clone(),
            Arc::clone(&written),
        ));
    }
    let store = database.open().await;
    eventually("the others write", WAIT, async || {
        anyhow::ensure!(written.load(Ordering::Relaxed) > 0);
        Ok(())
    })
    .await
    .unwrap();
    let mut without = 0;
    for round in 0..WRITES {
        // Only a commit that takes seconds keeps it for as long as it is waited for.
        let Some(reservation) = store.reserve().await.unwrap() else {
            without += 1;
            continue;
        };
        let reserved = Instant::now();
        let head = store.head().await.unwrap();
        let own = write(head, [(key("own"), upsert(&round.to_string()))]);
        let outcome = store.commit_reserved(&own, reservation).await;
        match reserved.elapsed() < SURELY {
            true => assert_eq!(outcome.unwrap().revision.0, head.revision.0 + 1),
            // A machine that stood still for a second: then it may have been too late.
            false => println!("round {round} took {:?}", reserved.elapsed()),
        }
    }
    assert!(
        without < WRITES / 2,
        "{without} of {WRITES} found no place in line"
    );
    let before = written.load(Ordering::Relaxed);
    eventually("the others go on", WAIT, async || {
        anyhow::ensure!(written.load(Ordering::Relaxed) > before);
        Ok(())
    })
    .await
    .unwrap();
    end.cancel();
    rivals.join_all().await;
}

/// As if its host had vanished, or all its threads hung.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_replica_that_is_cut_off_has_reserved_is_free_again_by_itself() {
    let postgres = Postgres::start().await.unwrap();
    let link = link_to(&postgres).await;
    let away = Store::open(&[through(&link)], KeyRing::default()).await.unwrap();
    let near = Store::open(&[postgres.url()], KeyRing::default()).await.unwrap();
    let kept = away.reserve().await.unwrap().unwrap();
    link.set(Fault::Frozen);
    // It waits, and then it is written.
    set(&near, "a", "1").await;
    let reserved = eventually("it can be reserved", WAIT, async || {
        anyhow::Context::context(near.reserve().await?, "still taken")
    });
    drop(reserved.await.unwrap());
    link.set(Fault::None);
    eventually("its store answers again", WAIT, async || Ok(away.head().await?))
        .await
        .unwrap();
    // What it had is over, and what it writes is judged as ever.
    let head = near.head().await.unwrap();
    let late = write(head, [(key("b"), upsert("1"))]);
    let outcome = away.commit_reserved(&late, kept).await;
    assert_eq!(outcome.unwrap().revision.0, head.revision.0 + 1);
}

#[tokio::test]
async fn where_one_process_writes_nothing_is_reserved() {
    let database = Database::sqlite();
    let store = database.open().await;
    assert!(store.reserve().await.unwrap().is_none());
    assert_eq!(set(&store, "a", "1").await.revision.0, 1);
}
