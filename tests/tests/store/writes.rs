//! Commit order, conflicts, repeated writes.

use std::collections::BTreeSet;
use std::time::Duration;

use sluice_control::store::{
    Action, Change, ChangedResource, CommitError, Point, Revision, Store, StoreError, Write,
};

use crate::database::{Database, key, revised, set, upsert, write};

crate::on_both!(
    a_new_store_is_empty,
    writes_are_numbered_in_order_and_described,
    a_write_on_an_old_head_conflicts_and_changes_nothing,
    concurrent_writers_lose_nothing_and_never_share_a_revision,
    a_repeated_write_is_answered_with_its_first_result,
    the_same_write_sent_twice_at_once_is_written_once,
    deleting_what_is_not_there_refuses_the_whole_write,
    a_cancelled_call_leaves_the_store_usable,
);

async fn a_new_store_is_empty(database: Database) {
    let store = database.open().await;
    let loaded = store.load().await.unwrap();
    assert_eq!(loaded.at.revision, Revision(0));
    assert!(loaded.resources.is_empty());
    assert!(store.revisions(None, 10).await.unwrap().is_empty());
}

async fn writes_are_numbered_in_order_and_described(database: Database) {
    let store = database.open().await;
    set(&store, "a", "{}").await;
    let head = set(&store, "b", "{}").await;
    let mut third = write(
        head,
        [
            (key("a"), Change::Delete),
            (key("b"), upsert("[]")),
            (key("c"), upsert("1")),
        ],
    );
    third.rollback_of = Some(Revision(1));
    assert_eq!(store.commit(&third).await.unwrap().revision, Revision(3));

    let revisions = store.revisions(None, 10).await.unwrap();
    let numbers: Vec<_> = revisions.iter().map(|revision| revision.revision.0).collect();
    assert_eq!(numbers, [3, 2, 1]);
    let change = |action, name: &str| ChangedResource {
        action,
        key: key(name),
    };
    let expected = [
        change(Action::Deleted, "a"),
        change(Action::Updated, "b"),
        change(Action::Created, "c"),
    ];
    assert_eq!(revisions[0].changes, expected);
    assert_eq!(revisions[0].rollback_of, Some(Revision(1)));
    assert_eq!(revisions[1].rollback_of, None);
    assert_eq!(
        (&*revisions[0].author, &*revisions[0].message),
        ("alice", "because")
    );
    assert_eq!(
        store.revision(Revision(3)).await.unwrap().as_ref(),
        Some(&revisions[0])
    );
    assert_eq!(store.revision(Revision(4)).await.unwrap(), None);
    assert_eq!(
        store.revisions(Some(Revision(3)), 1).await.unwrap(),
        revisions[1..2]
    );
}

async fn a_write_on_an_old_head_conflicts_and_changes_nothing(database: Database) {
    let store = database.open().await;
    let old = store.head().await.unwrap();
    let head = set(&store, "a", "1").await;
    let before = store.load().await.unwrap();
    let late = store.commit(&write(old, [(key("a"), upsert("2"))])).await;
    assert_eq!(late, Err(CommitError::Conflict { head }));
    let future = Point {
        revision: Revision(7),
        ..head
    };
    let early = store.commit(&write(future, [(key("a"), upsert("2"))])).await;
    assert_eq!(early, Err(CommitError::Conflict { head }));
    assert_eq!(store.load().await.unwrap(), before);
    assert_eq!(store.revisions(None, 10).await.unwrap().len(), 1);
}

const WRITERS: usize = 8;
const WRITES: usize = 25;

async fn concurrent_writers_lose_nothing_and_never_share_a_revision(database: Database) {
    let stores = [database.open().await, database.open().await];
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        let store = stores[writer % stores.len()].clone();
        writers.spawn(async move {
            let mut mine = Vec::new();
            for number in 0..WRITES {
                mine.push(insist(&store, &format!("w{writer}-{number}")).await);
            }
            assert!(mine.is_sorted(), "a later write got an earlier revision");
            mine
        });
    }
    let all: BTreeSet<_> = writers.join_all().await.into_iter().flatten().collect();
    let expected: BTreeSet<_> = (1..=(WRITERS * WRITES) as u64).map(Revision).collect();
    assert_eq!(all, expected);
    let loaded = stores[1].load().await.unwrap();
    assert_eq!(loaded.resources.len(), WRITERS * WRITES);
    let revisions: BTreeSet<_> = loaded
        .resources
        .iter()
        .map(|resource| resource.revision)
        .collect();
    assert_eq!(revisions, expected);
}

/// Writes on whatever the head is, as often as others come first or the lock is not to be had.
async fn insist(store: &Store, name: &str) -> Revision {
    let mut head = store.head().await.unwrap();
    loop {
        match store.commit(&write(head, [(key(name), upsert("{}"))])).await {
            Ok(commit) => return commit.revision,
            Err(CommitError::Conflict { head: now }) => head = now,
            Err(CommitError::Store(StoreError::Timeout)) => {}
            Err(other) => panic!("{name}: {other}"),
        }
    }
}

fn keyed(expected: Point, result: &str) -> Write {
    Write {
        idempotency_key: Some("job-17".into()),
        result: result.into(),
        ..write(expected, [(key("a"), upsert("1"))])
    }
}

async fn a_repeated_write_is_answered_with_its_first_result(database: Database) {
    let store = database.open().await;
    let start = store.head().await.unwrap();
    assert_eq!(
        revised(store.commit(&keyed(start, "first")).await),
        Ok(Revision(1))
    );
    let head = set(&store, "b", "1").await;
    let duplicate = Err(CommitError::Duplicate {
        revision: Revision(1),
        result: "first".into(),
    });
    assert_eq!(store.commit(&keyed(start, "again")).await, duplicate);
    assert_eq!(store.commit(&keyed(head, "again")).await, duplicate);
    assert_eq!(store.head().await.unwrap(), head);
    // No key is not a key.
    set(&store, "c", "1").await;
}

async fn the_same_write_sent_twice_at_once_is_written_once(database: Database) {
    let stores = [database.open().await, database.open().await];
    let start = stores[0].head().await.unwrap();
    let (one, other) = (keyed(start, "one"), keyed(start, "other"));
    let outcomes = tokio::join!(stores[0].commit(&one), stores[1].commit(&other));
    let (revision, same) = match outcomes {
        (Ok(commit), Err(CommitError::Duplicate { revision: same, .. })) => (commit.revision, same),
        (Err(CommitError::Duplicate { revision: same, .. }), Ok(commit)) => (commit.revision, same),
        other => panic!("{other:?}"),
    };
    assert_eq!((revision, same), (Revision(1), Revision(1)));
    assert_eq!(stores[0].head().await.unwrap().revision, Revision(1));
}

async fn deleting_what_is_not_there_refuses_the_whole_write(database: Database) {
    let store = database.open().await;
    let head = set(&store, "a", "1").await;
    let changes = [(key("a"), upsert("2")), (key("ghost"), Change::Delete)];
    let refused = store.commit(&write(head, changes)).await;
    assert_eq!(refused, Err(CommitError::Absent(key("ghost"))));
    let loaded = store.load().await.unwrap();
    assert_eq!(loaded.at, head);
    assert_eq!(loaded.resources[0].manifest, "1");
}

async fn a_cancelled_call_leaves_the_store_usable(database: Database) {
    let store = database.open().await;
    for micros in (0..3_000).step_by(60) {
        let head = store.head().await.unwrap();
        let write = write(head, [(key("a"), upsert(&micros.to_string()))]);
        // Cut off at any point, COMMIT included: the write is there whole or not at all.
        let _ = tokio::time::timeout(Duration::from_micros(micros), store.commit(&write)).await;
        let loaded = store.load().await.unwrap();
        let newest = loaded
            .resources
            .first()
            .map_or(Revision(0), |resource| resource.revision);
        assert_eq!(newest, loaded.at.revision);
    }
    // The last one may still take effect: a conflict is no failure.
    insist(&store, "b").await;
}
