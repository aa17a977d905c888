//! Requests that proxies sampled, and what their values are hashed with.

use sluice_control::store::{SampleRow, Store, StoredSamples, UnixMillis};

use crate::database::Database;

crate::on_both!(
    all_replicas_have_one_key_and_it_outlives_them,
    earlier_keys_are_known_after_the_history_is_renewed,
    what_replicas_heard_is_read_by_all_and_goes_by_age,
    rows_that_become_one_do_so_once,
);

async fn key(store: &Store) -> [u8; 32] {
    *store.sample_key(UnixMillis(5)).await.unwrap().expose()
}

async fn keys(store: &Store) -> Vec<[u8; 32]> {
    let keys = store.sample_keys().await.unwrap();
    keys.iter().map(|key| *key.expose()).collect()
}

async fn all_replicas_have_one_key_and_it_outlives_them(database: Database) {
    let replicas = [database.open().await, database.open().await];
    assert_eq!(keys(&replicas[0]).await, [[0; 32]; 0]);
    // At once, and who is second has what the first one made.
    let both = tokio::join!(key(&replicas[0]), key(&replicas[1]));
    assert_eq!(both.0, both.1);
    assert_ne!(both.0, [0; 32]);
    for replica in replicas {
        replica.close().await;
    }
    let next = database.open().await;
    assert_eq!((key(&next).await, keys(&next).await), (both.0, vec![both.0]));
}

async fn earlier_keys_are_known_after_the_history_is_renewed(database: Database) {
    let store = database.open().await;
    let first = key(&store).await;
    let renew = |history: &str| database.sql(&format!("UPDATE meta SET history = '{history}'"));
    renew("11111111-1111-4111-8111-111111111111");
    let second = *store.sample_key(UnixMillis(9)).await.unwrap().expose();
    assert_ne!(first, second);
    assert_eq!(keys(&store).await, [second, first]);
    // A history without a key has the one that its samples are hashed with.
    renew("22222222-2222-4222-8222-222222222222");
    let in_use = store.sample_keys().await.unwrap().remove(1);
    store.put_samples(&row(1, 2, b"a"), Some(&in_use)).await.unwrap();
    assert_eq!(key(&store).await, first);
    // One that has a key keeps it.
    let other = store.sample_keys().await.unwrap().remove(0);
    assert_ne!(*other.expose(), first);
    store.put_samples(&row(2, 3, b"a"), Some(&other)).await.unwrap();
    assert_eq!(key(&store).await, first);
}

fn row(from: u64, to: u64, kinds: &[u8]) -> StoredSamples {
    StoredSamples {
        from: UnixMillis(from),
        to: UnixMillis(to),
        kinds: kinds.to_vec(),
    }
}

async fn rows(store: &Store) -> Vec<SampleRow> {
    store.sample_rows().await.unwrap()
}

async fn what_replicas_heard_is_read_by_all_and_goes_by_age(database: Database) {
    let replicas = [database.open().await, database.open().await];
    // Two replicas may write at the same time.
    for (replica, from, to, kinds) in [
        (0, 10, 20, "a"),
        (1, 10, 20, "b"),
        (0, 20, 30, "c"),
        (1, 5, 9, "d"),
    ] {
        let row = row(from, to, kinds.as_bytes());
        replicas[replica].put_samples(&row, None).await.unwrap();
    }
    let held = async |store: &Store, since| {
        let held = store.samples_since(UnixMillis(since)).await.unwrap();
        let mut kinds: Vec<_> = held.into_iter().map(|row| (row.to.0, row.kinds)).collect();
        kinds.sort();
        kinds
    };
    let all = [(9, "d"), (20, "a"), (20, "b"), (30, "c")].map(|(to, kinds)| (to, kinds.as_bytes().to_vec()));
    for store in &replicas {
        assert_eq!(held(store, 0).await, all);
        assert_eq!(held(store, 20).await, all[1..]);
        let sizes = rows(store)
            .await
            .into_iter()
            .map(|row| (row.from.0, row.to.0, row.bytes));
        assert_eq!(
            sizes.collect::<Vec<_>>(),
            [(5, 9, 1), (10, 20, 1), (10, 20, 1), (20, 30, 1)]
        );
    }
    replicas[0].forget_samples(UnixMillis(20)).await.unwrap();
    assert_eq!(held(&replicas[1], 0).await, all[1..]);
}

async fn rows_that_become_one_do_so_once(database: Database) {
    let stores = [
        database.open().await,
        database.open().await,
        database.open().await,
    ];
    for at in 1..=4 {
        stores[0]
            .put_samples(&row(at, at + 1, &[at as u8]), None)
            .await
            .unwrap();
    }
    let all = rows(&stores[0]).await;
    let joined = row(1, 4, b"joined");
    let attempts = stores
        .iter()
        .map(|store| store.replace_samples(&all[..3], &joined));
    let done = futures_util::future::join_all(attempts).await;
    let done: Vec<bool> = done.into_iter().map(Result::unwrap).collect();
    assert_eq!(done.iter().filter(|done| **done).count(), 1, "{done:?}");
    let left = stores[1].samples_since(UnixMillis(0)).await.unwrap();
    assert_eq!(left, [joined, row(4, 5, &[4])]);
    // Where one row is gone, the others stay as they are.
    let some = [all[3].clone(), all[0].clone()];
    assert!(!stores[1].replace_samples(&some, &row(0, 9, b"x")).await.unwrap());
    assert_eq!(stores[2].samples(&some).await.unwrap(), [row(4, 5, &[4])]);
    assert_eq!(rows(&stores[2]).await.len(), 2);
}
