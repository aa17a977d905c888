use bytes::Bytes;
use sluice_core::{Difference, Entry};
use sluice_model::{Class, Digest, Key, Revision};

use super::super::tests::{Site, backend};
use super::*;

/// A store with some revisions, what proxies held at each, and a control plane that was started after.
async fn restarted() -> (Site, Vec<Arc<Version>>) {
    let before = Site::start().await;
    let mut held = vec![Arc::clone(&before.live.published().version)];
    for yaml in [
        backend("a", 80),
        [backend("b", 80), backend("a", 81)].join("---"),
        backend("c", 80),
        backend("b", 82),
    ] {
        before.apply(&yaml).await.unwrap();
        held.push(Arc::clone(&before.live.published().version));
    }
    before.delete("Backend/default/c").await;
    held.push(Arc::clone(&before.live.published().version));
    let after = Site::on(before.store.clone()).await;
    (after, held)
}

#[tokio::test]
async fn what_proxies_held_before_a_restart_is_found_again() {
    let (site, held) = restarted().await;
    for version in held {
        let found = site.live.versions().find(version.history, version.position).await;
        let found = found.unwrap_or_else(|| panic!("revision {}", version.position.revision));
        assert_eq!(found.position, version.position);
        assert!(found.resources.iter().eq(version.resources.iter()));
    }
}

#[tokio::test]
async fn where_endpoints_are_not_known_all_of_them_are_sent() {
    let (site, held) = restarted().await;
    let head = &site.live.published().version;
    // A proxy whose endpoints are those of another time, and of a Backend that is gone.
    for version in &held[2..4] {
        let other = |name: &str| Entry {
            key: Key::parse(&format!("endpoints/default/{name}")).unwrap(),
            body: Bytes::from_static(b"other"),
            hash: Digest::of(b"other"),
            min_wire: 1,
        };
        let has_c = version.resources.get(&other("c").key).is_some();
        let upserts = [Some("a"), has_c.then_some("c")].into_iter().flatten().map(other);
        let proxy = version.resources.apply(&Difference {
            upserts: upserts.collect(),
            removals: Vec::new(),
        });
        let position = Position {
            runtime: proxy.digest(Class::Runtime),
            ..version.position
        };
        let found = site
            .live
            .versions()
            .find(version.history, position)
            .await
            .unwrap();
        assert_eq!(found.position, position);
        let reached = proxy.apply(&found.resources.diff(&head.resources));
        for class in [Class::Config, Class::Runtime] {
            assert_eq!(reached.digest(class), head.resources.digest(class));
        }
    }
}

#[tokio::test]
async fn what_never_was_is_not_found() {
    let (site, held) = restarted().await;
    let old = &held[2];
    let forged = Position {
        config: Digest::of(b"forged"),
        ..old.position
    };
    let ahead = Position {
        revision: Revision(99),
        ..old.position
    };
    let versions = site.live.versions();
    for (history, position) in [
        (old.history, forged),
        (old.history, ahead),
        (HistoryId([9; 16]), old.position),
    ] {
        assert!(versions.find(history, position).await.is_none(), "{position:?}");
    }
}
