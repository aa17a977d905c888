//! What is kept of proxies.

use std::collections::BTreeMap;
use std::convert::Infallible;

use sluice_control::store::{AuditAction, AuditFilter, Store, UnixMillis};

use crate::database::Database;

crate::on_both!(labels_of_proxies_are_read_in_the_order_of_their_changes);

type Labels = BTreeMap<String, String>;

async fn set(store: &Store, proxy: &str, name: &str, value: Option<&str>) -> Labels {
    let change = |mut labels: Labels| {
        match value {
            Some(value) => labels.insert(name.into(), value.into()),
            None => labels.remove(name),
        };
        Ok::<_, Infallible>(labels)
    };
    let changed = store
        .change_proxy_labels(proxy, "alice", UnixMillis(1), change)
        .await;
    changed.unwrap().unwrap()
}

async fn labels_of_proxies_are_read_in_the_order_of_their_changes(database: Database) {
    let store = database.open().await;
    let mut told = store.notifications();
    assert_eq!(store.proxy_labels_since(0).await.unwrap(), []);
    set(&store, "a", "zone", Some("eu")).await;
    tokio::time::timeout(std::time::Duration::from_secs(10), told.changed())
        .await
        .unwrap()
        .unwrap();
    set(&store, "b", "zone", Some("us")).await;
    let both = set(&store, "a", "tier", Some("1")).await;
    let expected = [("tier", "1"), ("zone", "eu")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(both, expected.into());

    let all = store.proxy_labels_since(0).await.unwrap();
    let order: Vec<_> = all.iter().map(|one| one.proxy.as_str()).collect();
    assert_eq!(order, ["b", "a"]);
    assert!(all[0].version < all[1].version);
    let seen = all[1].version;
    assert_eq!(store.proxy_labels_since(seen).await.unwrap(), []);
    // The same again is no change, and what is refused is none either.
    set(&store, "a", "tier", Some("1")).await;
    let refused = store
        .change_proxy_labels("a", "alice", UnixMillis(1), |_| Err("no"))
        .await;
    assert_eq!(refused.unwrap(), Err("no"));
    assert_eq!(store.proxy_labels_since(seen).await.unwrap(), []);

    // What was taken away is told of too.
    set(&store, "b", "zone", None).await;
    let news = store.proxy_labels_since(seen).await.unwrap();
    assert_eq!((news.len(), news[0].proxy.as_str()), (1, "b"));
    assert!(news[0].labels.is_empty());

    let many = (0..8).map(|number| {
        let store = store.clone();
        async move { set(&store, "c", &format!("l{number}"), Some("x")).await }
    });
    futures_util::future::join_all(many).await;
    let news = store.proxy_labels_since(seen + 1).await.unwrap();
    assert_eq!(news[0].labels.len(), 8, "{news:?}");
    let trail = store.audit(&AuditFilter::default(), 1).await.unwrap();
    assert_eq!(
        (trail[0].action.as_str(), trail[0].author.as_str()),
        (AuditAction::ProxyLabelled.as_str(), "alice")
    );
    assert!(trail[0].detail.starts_with("c {"), "{}", trail[0].detail);
}
