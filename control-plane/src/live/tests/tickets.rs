//! Keys of session tickets: one set for all replicas.

use super::*;
use crate::store::RecordName;

/// The keys of session tickets that proxies get.
fn tickets(live: &Live) -> Vec<u8> {
    let key = sluice_model::Key::parse("tickets/default/fleet").unwrap();
    let published = live.published();
    published.version.resources.get(&key).unwrap().body.to_vec()
}

#[tokio::test]
async fn ticket_keys_are_the_same_of_all_replicas_and_change_without_a_revision() {
    let site = Site::start().await;
    let replica = Site::on(site.store.clone()).await;
    site.apply(&backend("a", 80)).await.unwrap();
    let before = tickets(&site.live);
    assert_eq!(tickets(&replica.live), before);

    // As a third replica does when they are due.
    let record = site.store.record(RecordName::TicketKeys).await.unwrap().unwrap();
    assert_eq!(record.version, 1);
    let now = crate::clock::wall();
    let next = TicketKeys::default().succeeded_by([7; 32], now).encode();
    assert!(
        site.store
            .put_record(RecordName::TicketKeys, 2, &next)
            .await
            .unwrap()
    );
    for live in [&site.live, &replica.live] {
        let mut watch = live.watch();
        let changed = watch.wait_for(|_| tickets(live) != before);
        tokio::time::timeout(Duration::from_secs(10), changed)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(live.published().revision(), Revision(1));
    }
    assert_eq!(tickets(&site.live), tickets(&replica.live));
}

#[tokio::test]
async fn ticket_keys_outlive_a_renewed_history() {
    let site = Site::start().await;
    let world = site.live.published().world.clone();
    let other = World::empty(sluice_model::HistoryId([9; 16]));
    let next = catch_up::with_runtime(other, &world).unwrap();
    let key = sluice_model::Key::parse("tickets/default/fleet").unwrap();
    assert!(next.resources().get(&key).is_some());
    assert_eq!(next.resources().get(&key), world.resources().get(&key));
}

#[tokio::test]
async fn without_an_envelope_key_there_are_no_ticket_keys_and_all_else_works() {
    let store = Store::open(&["sqlite::memory:".to_owned()], KeyRing::default()).await;
    let site = Site::on(store.unwrap()).await;
    assert_eq!(site.apply(&backend("a", 80)).await.unwrap().revision, Revision(1));
    assert!(site.live.published().world.snapshot().tickets().next().is_none());
}
