//! What is secret: kept sealed, only as it is now, and never lost by a new envelope key.

use std::path::Path;

use sluice_control::store::{
    CatchUp, Change, CommitError, KeyRing, Point, RecordName, ResourceKey, Revision, Rewrapped, Secret,
    Store, StoreError,
};

use crate::database::{Database, key, revised, set, write};

crate::on_both!(
    a_secret_reads_back_with_its_resource_and_only_as_it_is_now,
    the_database_holds_no_byte_of_a_secret_and_none_of_what_it_was_sealed_with,
    a_row_that_was_moved_or_brought_back_does_not_open,
    a_new_envelope_key_takes_over_and_the_old_one_can_go,
    a_row_that_does_not_open_keeps_no_other_from_a_new_envelope_key,
    a_secret_that_does_not_open_can_be_left_out_and_written_anew,
    without_an_envelope_key_a_secret_is_refused_and_all_else_is_stored,
    a_record_has_one_writer_per_version_and_every_store_is_told,
);

/// Stands in every secret here, to be looked for.
const MARK: &str = "MARKED-SECRET-8f2c";

fn secret(text: &str) -> Secret<Vec<u8>> {
    Secret::new(format!("{MARK} {text}").into_bytes())
}

fn sealed(text: &str) -> Change {
    Change::Upsert {
        manifest: "{}".into(),
        creation_revision: None,
        secret: Some(secret(text)),
    }
}

async fn put(store: &Store, name: &str, change: Change) -> Result<Revision, CommitError> {
    let head = store.head().await.unwrap();
    revised(store.commit(&write(head, [(key(name), change)])).await)
}

async fn secrets(store: &Store) -> Vec<(ResourceKey, Option<Secret<Vec<u8>>>)> {
    let resources = store.load().await.unwrap().resources;
    resources
        .into_iter()
        .map(|resource| (resource.key, resource.secret))
        .collect()
}

async fn a_secret_reads_back_with_its_resource_and_only_as_it_is_now(database: Database) {
    let store = database.open().await;
    let start = store.head().await.unwrap();
    put(&store, "a", sealed("1")).await.unwrap();
    put(&store, "b", sealed("2")).await.unwrap();
    put(&store, "a", sealed("3")).await.unwrap();
    set(&store, "plain", "{}").await;
    let now = [
        (key("a"), Some(secret("3"))),
        (key("b"), Some(secret("2"))),
        (key("plain"), None),
    ];
    assert_eq!(secrets(&store).await, now);

    let CatchUp::Changes(changes) = store.changes_since(start).await.unwrap() else {
        panic!("few changes")
    };
    assert_eq!(
        changes
            .upserts
            .iter()
            .filter(|resource| resource.secret.is_some())
            .count(),
        2
    );
    let since = Point {
        revision: Revision(2),
        ..start
    };
    let CatchUp::Changes(changes) = store.changes_since(since).await.unwrap() else {
        panic!("few changes")
    };
    let of_a = changes.upserts.iter().find(|resource| resource.key == key("a"));
    assert_eq!(of_a.unwrap().secret, Some(secret("3")));

    for revision in 1..=4 {
        let past = store.load_at(Revision(revision)).await.unwrap().unwrap();
        assert!(past.resources.iter().all(|resource| resource.secret.is_none()));
    }
    put(&store, "b", Change::Delete).await.unwrap();
    put(&store, "b", sealed("4")).await.unwrap();
    assert_eq!(secrets(&store).await[1], (key("b"), Some(secret("4"))));
}

async fn the_database_holds_no_byte_of_a_secret_and_none_of_what_it_was_sealed_with(database: Database) {
    let store = database.open().await;
    put(&store, "a", sealed("1")).await.unwrap();
    let old = wrapped_key(&database, "a");
    assert!(database.dump().contains(&old));
    put(&store, "a", sealed("2")).await.unwrap();
    store
        .put_record(RecordName::TicketKeys, 1, &secret("tickets"))
        .await
        .unwrap();
    store.close().await;
    let dump = database.dump();
    let hex: String = MARK.bytes().map(|byte| format!("{byte:02x}")).collect();
    assert!(dump.contains("ticketkeys"));
    assert!(!dump.contains(&MARK.to_lowercase()) && !dump.contains(&hex));
    // The wrapped data key of what was replaced is gone, and with it the way to open that.
    assert!(!dump.contains(&old));
    if let Database::Sqlite(directory) = &database {
        for file in std::fs::read_dir(directory.path()).unwrap() {
            let bytes = std::fs::read(file.unwrap().path()).unwrap();
            assert!(!bytes.windows(MARK.len()).any(|window| window == MARK.as_bytes()));
        }
    }
}

/// The wrapped data key of a resource, in hexadecimal.
fn wrapped_key(database: &Database, name: &str) -> String {
    let hex = match database {
        Database::Sqlite(_) => "lower(hex(wrapped_key))",
        Database::Postgres(_) => "encode(wrapped_key, 'hex')",
    };
    database.sql(&format!("SELECT {hex} FROM sealed WHERE name = '{name}'"))
}

async fn a_row_that_was_moved_or_brought_back_does_not_open(database: Database) {
    let store = database.open().await;
    put(&store, "a", sealed("1")).await.unwrap();
    put(&store, "b", sealed("2")).await.unwrap();
    database.sql("CREATE TABLE kept AS SELECT * FROM sealed");
    let copy = |from: &str, to: &str| {
        database.sql(&format!(
            "UPDATE sealed SET wrapped_key = (SELECT wrapped_key FROM kept WHERE name = '{from}'), \
             body = (SELECT body FROM kept WHERE name = '{from}') WHERE name = '{to}'"
        ))
    };
    copy("a", "b");
    assert_eq!(store.load().await.err(), Some(StoreError::Corrupt));
    copy("b", "b");
    assert!(store.load().await.is_ok());
    // The row of an older version, as it was: its resource says that it is newer.
    put(&store, "a", sealed("3")).await.unwrap();
    database
        .sql("DELETE FROM sealed WHERE name = 'a'; INSERT INTO sealed SELECT * FROM kept WHERE name = 'a'");
    assert_eq!(store.load().await.err(), Some(StoreError::Corrupt));
}

/// A key file with these keys; each is one letter, 32 times, in base64.
fn key_file(path: &Path, keys: &[&str]) -> KeyRing {
    std::fs::write(path, keys.join("\n")).unwrap();
    KeyRing::read(path).unwrap()
}

const OLD: &str = "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=";
const NEW: &str = "QkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkI=";

/// The secrets `r000` to `r449`, and a record.
async fn put_many(store: &Store) {
    let many = (0..450).map(|number| (key(&format!("r{number:03}")), sealed(&number.to_string())));
    let head = store.head().await.unwrap();
    store.commit(&write(head, many)).await.unwrap();
    store
        .put_record(RecordName::TicketKeys, 1, &secret("tickets"))
        .await
        .unwrap();
}

fn rewrapped(rows: u64, unopened: u64) -> Result<Rewrapped, StoreError> {
    Ok(Rewrapped { rows, unopened })
}

async fn a_new_envelope_key_takes_over_and_the_old_one_can_go(database: Database) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keys");
    let store = database.open_with(key_file(&path, &[OLD])).await;
    put_many(&store).await;
    let before = secrets(&store).await;
    assert_eq!(before.len(), 450);
    assert_eq!(store.rewrap().await, rewrapped(0, 0));
    store.close().await;

    // Not with the new one alone, for nothing is wrapped by it yet.
    let early = database.open_with(key_file(&path, &[NEW])).await;
    assert_eq!(early.load().await.err(), Some(StoreError::UnknownKey));
    assert_eq!(
        early.record(RecordName::TicketKeys).await.unwrap().unwrap().body,
        None
    );
    early.close().await;

    let both = database.open_with(key_file(&path, &[NEW, OLD])).await;
    assert_eq!(secrets(&both).await, before);
    assert_eq!(both.rewrap().await, rewrapped(451, 0));
    assert_eq!(both.rewrap().await, rewrapped(0, 0));
    both.close().await;

    let store = database.open_with(key_file(&path, &[NEW])).await;
    assert_eq!(secrets(&store).await, before);
    let record = store.record(RecordName::TicketKeys).await.unwrap().unwrap();
    assert_eq!((record.version, record.body), (1, Some(secret("tickets"))));
    put(&store, "r000", sealed("again")).await.unwrap();
    let without = database.open_with(key_file(&path, &[OLD])).await;
    assert_eq!(without.load().await.err(), Some(StoreError::UnknownKey));
}

async fn a_row_that_does_not_open_keeps_no_other_from_a_new_envelope_key(database: Database) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keys");
    let store = database.open_with(key_file(&path, &[OLD])).await;
    put_many(&store).await;
    let mut expected = secrets(&store).await;
    store.close().await;
    // The first, one in the middle of a page, and the last.
    let bad = ["r000", "r250", "r449"];
    let names = bad.map(|name| format!("'{name}'")).join(", ");
    database.sql(&format!(
        "UPDATE sealed SET wrapped_key = body WHERE name IN ({names})"
    ));

    let both = database.open_with(key_file(&path, &[NEW, OLD])).await;
    assert_eq!(both.rewrap().await, rewrapped(448, 3));
    assert_eq!(both.rewrap().await, rewrapped(0, 3));
    for name in bad {
        put(&both, name, Change::Delete).await.unwrap();
    }
    both.close().await;

    let store = database.open_with(key_file(&path, &[NEW])).await;
    expected.retain(|(key, _)| !bad.contains(&&*key.name));
    assert_eq!(secrets(&store).await, expected);
    let record = store.record(RecordName::TicketKeys).await.unwrap().unwrap();
    assert_eq!(record.body, Some(secret("tickets")));
}

async fn a_secret_that_does_not_open_can_be_left_out_and_written_anew(database: Database) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keys");
    let store = database.open_with(key_file(&path, &[OLD])).await;
    for name in ["a", "b", "c"] {
        put(&store, name, sealed(name)).await.unwrap();
    }
    set(&store, "plain", "{}").await;
    let base = store.head().await.unwrap();
    store.close().await;
    database.sql("UPDATE sealed SET wrapped_key = body WHERE name IN ('a', 'c')");

    let leaving = |names: &[&str]| {
        let ring = key_file(&path, &[OLD]);
        ring.leaving_out(names.iter().map(|name| key(name)))
    };
    let one = database.open_with(leaving(&["a", "b"])).await;
    assert_eq!(
        one.load().await.err(),
        Some(StoreError::Corrupt),
        "c is not to be left out"
    );
    one.close().await;
    let store = database.open_with(leaving(&["a", "b", "c"])).await;
    let held = secrets(&store).await;
    assert_eq!(
        held,
        [(key("b"), Some(secret("b"))), (key("plain"), None)],
        "b opens"
    );
    put(&store, "a", sealed("new")).await.unwrap();
    let expected = [
        (key("a"), Some(secret("new"))),
        (key("b"), Some(secret("b"))),
        (key("plain"), None),
    ];
    assert_eq!(secrets(&store).await, expected);
    let CatchUp::Changes(since) = store.changes_since(base).await.unwrap() else {
        panic!("one change");
    };
    assert_eq!(since.upserts.len(), 1, "{since:?}");
    put(&store, "c", Change::Delete).await.unwrap();
    store.close().await;
    let plain = database.open_with(key_file(&path, &[OLD])).await;
    assert_eq!(secrets(&plain).await, expected);
}

async fn without_an_envelope_key_a_secret_is_refused_and_all_else_is_stored(database: Database) {
    let store = database.open_with(KeyRing::default()).await;
    assert!(!store.can_seal());
    let refused = put(&store, "a", sealed("1")).await;
    assert_eq!(refused, Err(CommitError::Store(StoreError::NoKey)));
    let record = store.put_record(RecordName::TicketKeys, 1, &secret("t")).await;
    assert_eq!(record, Err(StoreError::NoKey));
    assert_eq!(set(&store, "b", "{}").await.revision, Revision(1));
}

async fn a_record_has_one_writer_per_version_and_every_store_is_told(database: Database) {
    let (one, other) = (database.open().await, database.open().await);
    let name = RecordName::TicketKeys;
    assert_eq!(one.record(name).await.unwrap(), None);
    let mut told = one.notifications();
    let (a, b) = (secret("a"), secret("b"));
    let (first, second) = tokio::join!(one.put_record(name, 1, &a), other.put_record(name, 1, &b));
    assert!(first.unwrap() != second.unwrap());
    told.changed().await.unwrap();
    assert_eq!(one.record(name).await.unwrap(), other.record(name).await.unwrap());
    assert!(!one.put_record(name, 3, &a).await.unwrap());
    assert!(one.put_record(name, 2, &a).await.unwrap());
    let record = other.record(name).await.unwrap().unwrap();
    assert_eq!((record.version, record.body), (2, Some(a)));
    // It is no resource and no revision.
    assert!(one.load().await.unwrap().resources.is_empty());
    assert_eq!(one.head().await.unwrap().revision, Revision(0));
}
