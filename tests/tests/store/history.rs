//! Any revision can be rebuilt, and replicas follow.

use std::collections::BTreeMap;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use sluice_control::store::{
    CatchUp, Change, HistoryId, KeyRing, Point, ResourceKey, Revision, Store, StoreError, StoredResource,
};

use crate::database::{Database, key, set, upsert, write};
use crate::model::{Model, Random};

crate::on_both!(
    every_revision_reads_back_as_it_was,
    the_way_back_leads_to_every_revision,
    a_way_back_that_is_too_long_or_not_stored_is_none,
    a_resource_keeps_its_age_until_it_is_deleted_and_rollback_restores_it,
    a_store_opened_again_goes_on_in_the_same_history,
    what_is_too_much_or_of_another_history_is_loaded_anew,
    thousands_of_resources_in_one_write_read_back_in_order,
    a_commit_is_told_to_its_own_process,
    how_old_a_commit_is_tells_the_clock_of_the_database,
    stores_that_open_together_agree_on_one_history,
);

async fn every_revision_reads_back_as_it_was(database: Database) {
    let store = database.open().await;
    let mut model = Model::new();
    let mut random = Random(0x5_1a1ce);
    for _ in 0..60 {
        model.step(&store, &mut random).await;
    }
    model.compare(&store).await;
    assert_eq!(store.load_at(Revision(61)).await.unwrap(), None);
}

async fn the_way_back_leads_to_every_revision(database: Database) {
    let store = database.open().await;
    let mut model = Model::new();
    let mut random = Random(0xbacc);
    for _ in 0..40 {
        model.step(&store, &mut random).await;
    }
    let head = store.head().await.unwrap();
    let at = async |revision| {
        store
            .load_at(Revision(revision))
            .await
            .unwrap()
            .unwrap()
            .resources
    };
    // Also from a revision that is not the newest any more: other replicas go on writing.
    for from in [head.revision.0, head.revision.0 - 7] {
        for revision in 0..=from {
            let start = Point {
                revision: Revision(from),
                ..head
            };
            let undo = store.undo(start, Revision(revision)).await.unwrap().unwrap();
            let mut resources: BTreeMap<ResourceKey, StoredResource> = at(from)
                .await
                .into_iter()
                .map(|resource| (resource.key.clone(), resource))
                .collect();
            for key in &undo.removals {
                assert!(resources.remove(key).is_some(), "{key} was not there");
            }
            resources.extend(
                undo.upserts
                    .into_iter()
                    .map(|resource| (resource.key.clone(), resource)),
            );
            assert!(
                resources.into_values().eq(at(revision).await),
                "{from} to {revision}"
            );
        }
    }
}

async fn a_way_back_that_is_too_long_or_not_stored_is_none(database: Database) {
    let store = database.open().await;
    let start = store.head().await.unwrap();
    let many = (0..10_001).map(|number| (key(&format!("r{number}")), upsert("{}")));
    store.commit(&write(start, many)).await.unwrap();
    let head = store.head().await.unwrap();
    assert_eq!(store.undo(head, start.revision).await.unwrap(), None);
    assert!(store.undo(head, head.revision).await.unwrap().is_some());
    let elsewhere = Point {
        history: HistoryId([7; 16]),
        ..head
    };
    assert_eq!(store.undo(elsewhere, head.revision).await.unwrap(), None);
    let ahead = Point {
        revision: Revision(head.revision.0 + 1),
        ..head
    };
    assert_eq!(store.undo(ahead, head.revision).await.unwrap(), None);
}

async fn a_resource_keeps_its_age_until_it_is_deleted_and_rollback_restores_it(database: Database) {
    let store = database.open().await;
    let age = async |store: &Store| store.load().await.unwrap().resources[0].creation_revision;
    set(&store, "a", "1").await;
    let head = set(&store, "a", "2").await;
    assert_eq!(age(&store).await, Revision(1));
    store
        .commit(&write(head, [(key("a"), Change::Delete)]))
        .await
        .unwrap();
    let head = set(&store, "a", "3").await;
    assert_eq!(age(&store).await, Revision(4));
    let restore = Change::Upsert {
        manifest: "2".into(),
        creation_revision: Some(Revision(1)),
        secret: None,
    };
    store.commit(&write(head, [(key("a"), restore)])).await.unwrap();
    assert_eq!(age(&store).await, Revision(1));
}

async fn a_store_opened_again_goes_on_in_the_same_history(database: Database) {
    let store = database.open().await;
    set(&store, "a", "1").await;
    let before = store.load().await.unwrap();
    store.close().await;
    assert!(store.head().await.is_err());
    let store = database.open().await;
    assert_eq!(store.load().await.unwrap(), before);
    assert_eq!(
        set(&store, "a", "2").await,
        Point {
            revision: Revision(2),
            ..before.at
        }
    );
}

async fn what_is_too_much_or_of_another_history_is_loaded_anew(database: Database) {
    let store = database.open().await;
    let start = store.head().await.unwrap();
    let head = set(&store, "a", "1").await;
    let elsewhere = Point {
        history: HistoryId([7; 16]),
        ..head
    };
    assert_eq!(store.changes_since(elsewhere).await.unwrap(), CatchUp::Reload);
    let ahead = Point {
        revision: Revision(2),
        ..head
    };
    assert_eq!(store.changes_since(ahead).await.unwrap(), CatchUp::Reload);

    let many = (0..10_001).map(|number| (key(&format!("r{number}")), upsert("{}")));
    let head = Point {
        revision: store.commit(&write(head, many)).await.unwrap().revision,
        ..head
    };
    assert_eq!(store.changes_since(start).await.unwrap(), CatchUp::Reload);
    assert!(
        matches!(store.changes_since(head).await.unwrap(), CatchUp::Changes(none) if none.upserts.is_empty())
    );
}

async fn thousands_of_resources_in_one_write_read_back_in_order(database: Database) {
    let store = database.open().await;
    // Upper case, lower case and other alphabets: both databases must order by bytes.
    let name = |number: usize| format!("{}{number:05}", ["Z", "a", "é", "-"][number % 4]);
    let keys: Vec<_> = (0..4_500)
        .map(|number| ResourceKey {
            kind: ["Backend", "HTTPRoute"][number % 2].into(),
            namespace: format!("ns{}", number % 3),
            name: name(number),
        })
        .collect();
    let head = store.head().await.unwrap();
    let changes = keys.iter().map(|key| (key.clone(), upsert(&key.to_string())));
    let revision = store.commit(&write(head, changes)).await.unwrap().revision;
    let mut expected: Vec<_> = keys
        .into_iter()
        .map(|key| StoredResource {
            manifest: key.to_string(),
            secret: None,
            creation_revision: revision,
            revision,
            key,
        })
        .collect();
    expected.sort_by(|a, b| a.key.cmp(&b.key));
    assert_eq!(store.load().await.unwrap().resources, expected);
    // Read beside the store, they keep their order; what one of them refuses is not lost among the others.
    let names = store.load_as(|stored| Ok(stored.key.name)).await.unwrap();
    assert!(
        names
            .resources
            .iter()
            .eq(expected.iter().map(|stored| &stored.key.name))
    );
    let refusing = store.load_as(|stored| match stored.key.name.ends_with("02000") {
        true => Err(StoreError::Corrupt),
        false => Ok(()),
    });
    assert_eq!(refusing.await, Err(StoreError::Corrupt));
}

async fn a_commit_is_told_to_its_own_process(database: Database) {
    let store = database.open().await;
    let mut watch = store.notifications();
    let base = store.head().await.unwrap();
    let head = set(&store, "a", "1").await;
    let told = tokio::time::timeout(Duration::from_secs(3), watch.changed());
    told.await.expect("told in time").unwrap();
    let CatchUp::Changes(changes) = store.changes_since(base).await.unwrap() else {
        panic!("a change")
    };
    assert_eq!((changes.at, changes.upserts.len()), (head, 1));
    store.close().await;
}

async fn how_old_a_commit_is_tells_the_clock_of_the_database(database: Database) {
    let store = database.open().await;
    let began = Instant::now();
    for name in ["a", "b", "c"] {
        set(&store, name, "1").await;
    }
    // Of what an older build wrote it is not known.
    database.sql("UPDATE revisions SET committed_us = 0 WHERE revision = 2");
    let other = database.open().await;
    let ages = other.ages(Revision(0), Revision(3)).await.unwrap();
    let elapsed = began.elapsed();
    assert!(ages.len() == 2 && ages[0] >= ages[1], "{ages:?}");
    // One of the clocks counts milliseconds.
    assert!(
        ages[0] <= elapsed + Duration::from_millis(1),
        "{ages:?} in {elapsed:?}"
    );
    assert_eq!(other.ages(Revision(2), Revision(3)).await.unwrap().len(), 1);
    assert!(other.ages(Revision(3), Revision(3)).await.unwrap().is_empty());

    let dates = store.dates(2).await.unwrap();
    let revisions = store.revisions(None, 2).await.unwrap();
    let expected: Vec<_> = revisions
        .iter()
        .map(|one| (one.revision, one.created_at))
        .collect();
    assert_eq!(dates, expected);
}

async fn stores_that_open_together_agree_on_one_history(database: Database) {
    let mut opening = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let url = database.url();
        opening.spawn(async move { Store::open(&[url], KeyRing::default()).await.unwrap() });
    }
    let stores = opening.join_all().await;
    let first = set(&stores[0], "a", "1").await;
    for store in &stores {
        assert_eq!(store.head().await.unwrap(), first);
    }
}

#[tokio::test]
async fn the_file_of_an_sqlite_store_is_for_its_owner_only() {
    let database = Database::sqlite();
    let path = PathBuf::from(database.url().trim_start_matches("sqlite://"));
    std::fs::write(&path, "").unwrap();
    std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    let store = database.open().await;
    set(&store, "a", "1").await;
    let mut files = 0;
    for entry in std::fs::read_dir(path.parent().unwrap()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{:?}", entry.path());
        files += 1;
    }
    assert_eq!(
        files, 4,
        "the database, its log, the index of the log, and the mark"
    );
}

#[tokio::test]
async fn a_store_in_memory_lives_as_long_as_its_owner() {
    let store = Store::open(&["sqlite::memory:".into()], KeyRing::default())
        .await
        .unwrap();
    let other = Store::open(&["sqlite::memory:".into()], KeyRing::default())
        .await
        .unwrap();
    for number in 1..=20 {
        let name = number.to_string();
        assert_eq!(set(&store.clone(), &name, "{}").await.revision, Revision(number));
    }
    // A cancelled call must not take the only connection, and the database, with it.
    for micros in (0..1_000).step_by(20) {
        let write = write(store.head().await.unwrap(), [(key("late"), upsert("{}"))]);
        let _ = tokio::time::timeout(Duration::from_micros(micros), store.commit(&write)).await;
    }
    assert!(store.load().await.unwrap().resources.len() >= 20);
    assert_eq!(other.head().await.unwrap().revision, Revision(0));
}
