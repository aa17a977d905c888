//! Databases that were restored, promoted or only restarted, as they are found by a process that
//! remembers nothing.

use std::path::Path;
use std::process::Command;

use sluice_control::store::{CommitId, HistoryId, Point, Revision};

use crate::database::{Database, set};

crate::on_both!(
    a_restart_keeps_the_history,
    what_somebody_saw_committed_is_there_or_the_history_ends
);

/// The head, as a new process finds it.
async fn found(database: &Database) -> Point {
    let store = database.open().await;
    let head = store.head().await.unwrap();
    store.close().await;
    head
}

async fn written(database: &Database, manifest: &str) -> Point {
    let store = database.open().await;
    let head = set(&store, "a", manifest).await;
    store.close().await;
    head
}

async fn a_restart_keeps_the_history(mut database: Database) {
    let empty = found(&database).await;
    assert_eq!(found(&database).await, empty);
    let head = written(&database, "1").await;
    assert_eq!(head.history, empty.history);
    assert_eq!(found(&database).await, head);
    if let Database::Postgres(postgres) = &mut database {
        postgres.crash().await.unwrap();
        postgres.start_again().await.unwrap();
        assert_eq!(found(&database).await, head);
    }
}

async fn what_somebody_saw_committed_is_there_or_the_history_ends(database: Database) {
    let store = database.open().await;
    let first = set(&store, "a", "1").await;
    let commit = store.load().await.unwrap().commit;
    let second = set(&store, "a", "2").await;
    let ahead = Point {
        revision: Revision(3),
        ..second
    };
    let elsewhere = Point {
        history: HistoryId([9; 16]),
        ..ahead
    };
    for (seen, commit) in [
        (first, commit),
        (first, CommitId::UNKNOWN),
        (second, CommitId::UNKNOWN),
        (elsewhere, CommitId(7)),
    ] {
        assert!(store.has(seen, commit).await.unwrap(), "{seen:?}");
        assert!(!store.witness(seen, commit).await.unwrap(), "{seen:?}");
    }
    assert_eq!(store.head().await.unwrap(), second);
    // Another commit has its number now, or none has.
    let mut history = second.history;
    for (revision, other) in [(1, CommitId(commit.0 ^ 1)), (3, CommitId::UNKNOWN)] {
        let revision = Revision(revision);
        let seen = Point { history, revision };
        assert!(!store.has(seen, other).await.unwrap());
        assert!(store.witness(seen, other).await.unwrap());
        let head = store.head().await.unwrap();
        assert_eq!(head.revision, second.revision);
        assert_ne!(head.history, history);
        assert!(!store.witness(seen, other).await.unwrap(), "it is of the past");
        history = head.history;
    }
}

/// The same numbers in a history of their own, which the next start keeps.
async fn assert_renewed(database: &Database, before: HistoryId, revision: u64) {
    let head = found(database).await;
    assert_eq!(head.revision, Revision(revision));
    assert_ne!(head.history, before);
    assert_eq!(found(database).await, head);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_dump_of_postgres_begins_a_history() {
    let database = Database::postgres().await;
    let Database::Postgres(postgres) = &database else {
        unreachable!()
    };
    let directory = tempfile::tempdir().unwrap();
    let dump = directory.path().join("sluice.dump");
    let dump = dump.to_str().unwrap();
    let before = written(&database, "1").await.history;
    postgres
        .client("pg_dump", &["--format=custom", "--file", dump])
        .unwrap();
    for restore in [
        // As it is documented, and in place of the data alone.
        ["--clean", "--if-exists", "--single-transaction", dump].as_slice(),
        &["--data-only", "--disable-triggers", dump],
    ] {
        let lost = written(&database, "2").await;
        assert_eq!(lost.revision, Revision(2));
        if restore.contains(&"--data-only") {
            let empty = "SELECT 'TRUNCATE ' || string_agg(quote_ident(tablename), ', ') || ' CASCADE' \
                         FROM pg_tables WHERE schemaname = 'public'";
            let empty = postgres.sql(empty).unwrap();
            postgres
                .sql(&format!("ALTER TABLE audit DISABLE TRIGGER USER; {empty}"))
                .unwrap();
        }
        postgres.client("pg_restore", restore).unwrap();
        assert_renewed(&database, before, 1).await;
    }
    // Into another server.
    let other = Database::postgres().await;
    if let Database::Postgres(postgres) = &other {
        postgres.client("pg_restore", &[dump]).unwrap();
    }
    assert_renewed(&other, before, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_promoted_standby_begins_a_history_when_nobody_remembers_and_else_keeps_it() {
    let database = Database::postgres().await;
    let head = written(&database, "1").await;
    let Database::Postgres(mut primary) = database else {
        unreachable!()
    };
    let standby = primary.standby(true).await.unwrap();
    let urls = [primary.url(), standby.url()];
    let remembers = sluice_control::store::Store::open(&urls, Default::default())
        .await
        .unwrap();
    primary.crash().await.unwrap();
    standby.promote().unwrap();
    sluice_tests::eventually::eventually(
        "the store moves",
        std::time::Duration::from_secs(30),
        async || Ok(remembers.head().await?),
    )
    .await
    .unwrap();
    assert_eq!(set(&remembers, "a", "2").await.history, head.history);
    remembers.close().await;
    // It has vouched for the new primary, so a restart finds nothing amiss.
    let database = Database::Postgres(standby);
    assert_eq!(found(&database).await.history, head.history);

    let Database::Postgres(mut primary) = database else {
        unreachable!()
    };
    let standby = primary.standby(false).await.unwrap();
    primary.crash().await.unwrap();
    standby.promote().unwrap();
    assert_renewed(&Database::Postgres(standby), head.history, 2).await;
}

fn sqlite3(file: &Path, command: &str) {
    let output = Command::new("sqlite3").arg(file).arg(command).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_copy_of_an_sqlite_database_begins_a_history() {
    for way in ["copied over it", "in its place", "by the shell", "beside another"] {
        let database = Database::sqlite();
        let file = database.file();
        let backup = file.with_file_name("backup.db");
        let before = written(&database, "1").await.history;
        sqlite3(&file, &format!(".backup '{}'", backup.display()));
        written(&database, "2").await;
        let beside = |suffix: &str| {
            let mut path = file.clone().into_os_string();
            path.push(suffix);
            path
        };
        for suffix in ["-wal", "-shm"] {
            let _ = std::fs::remove_file(beside(suffix));
        }
        match way {
            "copied over it" => drop(std::fs::copy(&backup, &file).unwrap()),
            "in its place" => std::fs::rename(&backup, &file).unwrap(),
            "by the shell" => sqlite3(&file, &format!(".restore '{}'", backup.display())),
            // A new machine: nothing but the copy.
            _ => {
                std::fs::rename(&backup, &file).unwrap();
                std::fs::remove_file(beside("-mark")).unwrap();
            }
        }
        assert_renewed(&database, before, 1).await;
    }
}
