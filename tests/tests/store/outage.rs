//! Servers that stop, vanish, lose an answer or lose commits.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use sluice_control::store::{CatchUp, CommitError, KeyRing, Point, Revision, Store, StoreError, Write};
use sluice_tests::eventually::{eventually, median};
use sluice_tests::link::{Fault, Link};
use sluice_tests::postgres::Postgres;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::database::{key, revised, set, upsert, write};

/// Longest call while the server is away: 2 s for a connection, and some for a busy machine.
const SOON: Duration = Duration::from_millis(3_500);
const WAIT: Duration = Duration::from_secs(30);

pub(crate) async fn link_to(postgres: &Postgres) -> Link {
    Link::to(postgres.port()).await.unwrap()
}

/// Where clients connect that use `link`.
pub(crate) fn through(link: &Link) -> String {
    format!(
        "postgres://sluice@{}:{}/postgres",
        Ipv4Addr::LOCALHOST,
        link.port()
    )
}

async fn open(url: &str) -> Store {
    Store::open(&[url.to_owned()], KeyRing::default()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_is_told_to_other_processes_at_once() {
    let postgres = Postgres::start().await.unwrap();
    let (writer, replica) = (open(&postgres.url()).await, open(&postgres.url()).await);
    let mut watch = replica.notifications();
    // The first signs may still tell of the connection itself.
    let base = set(&writer, "a", "1").await;
    eventually("the replica listens", WAIT, async || {
        anyhow::ensure!(
            postgres.sql("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'")? == "2"
        );
        Ok(())
    })
    .await
    .unwrap();
    while tokio::time::timeout(Duration::from_millis(300), watch.changed())
        .await
        .is_ok()
    {}
    let (mut head, mut took) = (base, Vec::new());
    for manifest in ["2", "3", "4", "5", "6"] {
        head = set(&writer, "a", manifest).await;
        let written = Instant::now();
        watch.changed().await.unwrap();
        took.push(written.elapsed());
    }
    // Each poll is 5 s after the one before it.
    assert!(median(took.clone()) < Duration::from_secs(1), "{took:?}");
    let CatchUp::Changes(changes) = replica.changes_since(base).await.unwrap() else {
        panic!("a change")
    };
    assert_eq!((changes.at, &*changes.upserts[0].manifest), (head, "6"));
}

/// What one writer saw: revision -> name for what was acknowledged, and what is left open.
#[derive(Default)]
struct Seen {
    written: BTreeMap<Revision, String>,
    unknown: Vec<String>,
}

/// Writes of each writer that found no server.
type Failures = Arc<[AtomicUsize; WRITERS]>;
const WRITERS: usize = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_server_gives_clear_errors_and_nothing_is_lost_or_half_written() {
    let mut postgres = Postgres::start().await.unwrap();
    let store = open(&postgres.url()).await;
    let end = CancellationToken::new();
    let mut writers = JoinSet::new();
    let failures = Failures::default();
    for writer in 0..WRITERS {
        writers.spawn(write_until(
            end.clone(),
            store.clone(),
            writer,
            Arc::clone(&failures),
        ));
    }
    for crash in [false, true] {
        written_beyond(&store, store.head().await.unwrap().revision.0 + 20).await;
        if crash {
            postgres.crash().await.unwrap();
        } else {
            postgres.stop().await.unwrap();
        }
        let asked = Instant::now();
        assert_eq!(store.load().await, Err(StoreError::Unavailable));
        assert!(asked.elapsed() < SOON, "{:?}", asked.elapsed());
        all_fail(&failures).await;
        postgres.start_again().await.unwrap();
    }
    written_beyond(&store, store_head(&store).await + 20).await;
    end.cancel();
    let seen = writers.join_all().await;
    verify(&store, &seen).await;
}

/// Every writer meets the outage.
async fn all_fail(failures: &Failures) {
    let counts = || failures.each_ref().map(|count| count.load(Ordering::Relaxed));
    let before = counts();
    eventually("every writer is told that there is no server", WAIT, async || {
        let now = counts();
        anyhow::ensure!(
            now.iter().zip(before).all(|(now, before)| *now > before),
            "{now:?}"
        );
        Ok(())
    })
    .await
    .unwrap();
}

async fn store_head(store: &Store) -> u64 {
    eventually("the store answers again", WAIT, async || {
        Ok(store.head().await?.revision.0)
    })
    .await
    .unwrap()
}

async fn written_beyond(store: &Store, revision: u64) {
    eventually("writers make progress", WAIT, async || {
        let head = store.head().await?.revision.0;
        anyhow::ensure!(head >= revision, "{head} of {revision}");
        Ok(())
    })
    .await
    .unwrap();
}

async fn write_until(end: CancellationToken, store: Store, writer: usize, failures: Failures) -> Seen {
    let mut seen = Seen::default();
    let mut number = 0;
    while !end.is_cancelled() {
        number += 1;
        let name = format!("w{writer}-{number}");
        let asked = Instant::now();
        let outcome = match store.head().await {
            // Two resources per write: never one without the other.
            Ok(head) => {
                let twin = key(&format!("{name}-twin"));
                store
                    .commit(&write(head, [(key(&name), upsert("1")), (twin, upsert("1"))]))
                    .await
            }
            Err(error) => Err(CommitError::Store(error)),
        };
        match outcome {
            Ok(commit) => assert!(seen.written.insert(commit.revision, name).is_none()),
            Err(CommitError::Conflict { .. }) => {}
            Err(CommitError::Unknown) => seen.unknown.push(name),
            Err(CommitError::Store(StoreError::Unavailable)) => {
                failures[writer].fetch_add(1, Ordering::Relaxed);
            }
            // Others had the lock for long: nothing was written, and a server is there.
            Err(CommitError::Store(StoreError::Timeout)) => {}
            Err(other) => panic!("{name}: {other}"),
        }
        assert!(
            asked.elapsed() < 2 * SOON,
            "write {number}: {:?}",
            asked.elapsed()
        );
    }
    seen
}

async fn verify(store: &Store, seen: &[Seen]) {
    let loaded = store.load().await.unwrap();
    let head = loaded.at.revision.0;
    let mut by_revision: BTreeMap<Revision, Vec<String>> = BTreeMap::new();
    for resource in loaded.resources {
        by_revision
            .entry(resource.revision)
            .or_default()
            .push(resource.key.name);
    }
    let numbers: Vec<_> = by_revision.keys().map(|revision| revision.0).collect();
    assert_eq!(numbers, (1..=head).collect::<Vec<_>>(), "revisions have no gaps");
    let mut unexplained = by_revision.clone();
    for (revision, name) in seen.iter().flat_map(|seen| &seen.written) {
        assert_eq!(
            unexplained.remove(revision),
            Some(vec![name.clone(), format!("{name}-twin")])
        );
    }
    for names in unexplained.values() {
        assert_eq!(names.len(), 2, "half written: {names:?}");
        assert!(
            seen.iter().any(|seen| seen.unknown.contains(&names[0])),
            "refused, but written: {names:?}"
        );
    }
    for revision in 1..=head {
        assert!(
            store.revision(Revision(revision)).await.unwrap().is_some(),
            "revision {revision}"
        );
    }
}

fn keyed(expected: Point) -> Write {
    Write {
        idempotency_key: Some("job-17".into()),
        result: "first".into(),
        ..write(expected, [(key("a"), upsert("1"))])
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_answer_is_lost_is_looked_up() {
    let postgres = Postgres::start().await.unwrap();
    let link = link_to(&postgres).await;
    let store = open(&through(&link)).await;
    let head = store.head().await.unwrap();
    link.set(Fault::AnswerLost);
    assert_eq!(revised(store.commit(&keyed(head)).await), Ok(Revision(1)));
    assert_eq!(store.head().await.unwrap().revision, Revision(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_never_arrived_is_not_claimed() {
    let postgres = Postgres::start().await.unwrap();
    let link = link_to(&postgres).await;
    let store = open(&through(&link)).await;
    let head = store.head().await.unwrap();
    link.set(Fault::CommitLost);
    let outcome = revised(store.commit(&keyed(head)).await);
    assert_eq!(outcome, Err(CommitError::Store(StoreError::Unavailable)));
    assert_eq!(store.head().await.unwrap(), head);
    assert_eq!(revised(store.commit(&keyed(head)).await), Ok(Revision(1)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_nobody_can_be_asked_about_is_unknown_until_it_is_repeated() {
    let postgres = Postgres::start().await.unwrap();
    let link = link_to(&postgres).await;
    let store = open(&through(&link)).await;
    let head = store.head().await.unwrap();
    link.set(Fault::AnswerLostThenCut);
    assert_eq!(store.commit(&keyed(head)).await, Err(CommitError::Unknown));
    link.set(Fault::None);
    let repeated = store.commit(&keyed(head)).await;
    assert_eq!(
        repeated,
        Err(CommitError::Duplicate {
            revision: Revision(1),
            result: "first".into()
        })
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_vanishes_holds_no_call_for_long() {
    let postgres = Postgres::start().await.unwrap();
    let link = link_to(&postgres).await;
    let store = open(&through(&link)).await;
    set(&store, "a", "1").await;
    link.set(Fault::Frozen);
    for _ in 0..3 {
        let asked = Instant::now();
        let outcome = store.load().await;
        assert!(outcome.is_err_and(StoreError::is_transient));
        assert!(asked.elapsed() < SOON, "{:?}", asked.elapsed());
    }
    link.set(Fault::None);
    assert_eq!(store_head(&store).await, 1);
    set(&store, "a", "2").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_database_of_the_list_that_answers_is_used_now_and_later() {
    let postgres = Postgres::start().await.unwrap();
    let link = link_to(&postgres).await;
    let nobody = format!("postgres://sluice@{}:1/postgres", Ipv4Addr::LOCALHOST);
    let store = Store::open(
        &[nobody.clone(), through(&link), postgres.url()],
        KeyRing::default(),
    )
    .await
    .unwrap();
    let head = set(&store, "a", "1").await;
    link.set(Fault::Cut);
    assert_eq!(store_head(&store).await, 1);
    assert_eq!(store.head().await.unwrap(), head);
    assert_eq!(
        Store::open(&[nobody], KeyRing::default()).await.err(),
        Some(StoreError::Unavailable)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_commits_renew_the_history() {
    let postgres = Postgres::start().await.unwrap();
    let store = open(&postgres.url()).await;
    set(&store, "a", "1").await;
    let lost = set(&store, "a", "2").await;
    // As if restored from a backup taken after the first revision, with another write since.
    postgres
        .sql(
            "UPDATE revisions SET write_id = 'another' WHERE revision = 2; \
             UPDATE resources SET manifest = '3' WHERE from_revision = 2",
        )
        .unwrap();
    let head = store.head().await.unwrap();
    assert_eq!(head.revision, lost.revision);
    assert_ne!(head.history, lost.history);
    assert_eq!(store.changes_since(lost).await.unwrap(), CatchUp::Reload);
    let late = store.commit(&write(lost, [(key("a"), upsert("4"))])).await;
    assert_eq!(late, Err(CommitError::Conflict { head }));
    assert_eq!(set(&store, "a", "4").await.history, head.history);

    // As if restored from a backup taken after the first revision.
    postgres
        .sql(
            "DELETE FROM resources WHERE from_revision > 1; DELETE FROM revisions WHERE revision > 1; \
             UPDATE resources SET to_revision = 9223372036854775807; UPDATE meta SET revision = 1",
        )
        .unwrap();
    let restored = store.load().await.unwrap();
    assert_eq!(restored.at.revision, Revision(1));
    assert_ne!(restored.at.history, head.history);
    assert_eq!(restored.resources[0].manifest, "1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schema_newer_than_this_build_is_refused() {
    let postgres = Postgres::start().await.unwrap();
    open(&postgres.url()).await.close().await;
    postgres
        .sql(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
             VALUES (9999, 'of the future', true, '', 0)",
        )
        .unwrap();
    assert_eq!(
        Store::open(&[postgres.url()], KeyRing::default()).await.err(),
        Some(StoreError::Migration)
    );
}
