//! Rows: that a day of them fits, and stands for all that was told.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::super::keep::{Keeper, MAX_STORED, chores, join, keep_samples};
use super::*;
use crate::fleet::Fleet;
use crate::store::{KeyRing, Replica, SampleRow, Store, StoredSamples, UnixMillis};

const MINUTE: u64 = 60_000;
const DAY: u64 = 24 * 60 * MINUTE;
/// Rows of what requests and groups may have.
const LARGEST: u64 = 320 * 1024;

/// Rows without what is in them: how they come, are joined and go in `minutes`, of so many replicas.
fn kept(replicas: u64, minutes: u64, each: u64) -> Vec<SampleRow> {
    let mut rows: Vec<SampleRow> = Vec::new();
    for minute in 1..=minutes {
        let now = minute * MINUTE;
        rows.extend((0..replicas).map(|replica| SampleRow {
            id: format!("{minute}-{replica}"),
            from: UnixMillis(now - MINUTE),
            to: UnixMillis(now - replica),
            bytes: each,
        }));
        rows.retain(|row| row.to.0 >= now.saturating_sub(DAY));
        rows.sort_by(|a, b| (a.to, &a.id).cmp(&(b.to, &b.id)));
        for chore in chores(&rows, UnixMillis(now)) {
            let (from, to) = (chore.rows[0].from, chore.rows[chore.rows.len() - 1].to);
            let bytes: u64 = chore.rows.iter().map(|row| row.bytes).sum();
            rows.retain(|row| !chore.rows.contains(row));
            rows.push(SampleRow {
                id: format!("{minute}-of-{}", chore.rows[0].id),
                from: chore.rows.iter().map(|row| row.from).min().unwrap_or(from),
                to,
                bytes: bytes.min(chore.bytes as u64),
            });
        }
        rows.sort_by(|a, b| (a.to, &a.id).cmp(&(b.to, &b.id)));
        let taken: u64 = rows.iter().map(|row| row.bytes).sum();
        assert!(
            taken <= MAX_STORED,
            "{taken} bytes after {minute} minutes of {replicas}"
        );
    }
    rows
}

#[test]
fn a_day_of_the_largest_rows_fits_and_none_is_missing() {
    for replicas in [1, 2, 5] {
        let minutes = 26 * 60;
        let rows = kept(replicas, minutes, LARGEST);
        assert!(rows.len() < 150 * replicas as usize, "{}", rows.len());
        let mut until = (minutes - 24 * 60) * MINUTE;
        let mut sorted = rows.clone();
        sorted.sort_by_key(|row| row.from);
        for row in &sorted {
            assert!(
                row.from.0 <= until + replicas,
                "nothing from {until} to {}",
                row.from.0
            );
            until = until.max(row.to.0);
        }
        assert_eq!(until, minutes * MINUTE);
        // The newest are as they were written.
        let newest = rows.iter().filter(|row| row.to.0 + 5 * MINUTE > minutes * MINUTE);
        let newest: Vec<_> = newest.map(|row| row.bytes).collect();
        assert_eq!(newest.len() as u64, 5 * replicas);
        if replicas <= 2 {
            assert!(newest.iter().all(|bytes| *bytes == LARGEST), "{newest:?}");
        }
    }
}

#[test]
fn rows_of_little_are_joined_and_nothing_of_them_is_lost() {
    let rows = kept(1, 26 * 60, 100);
    assert!(rows.len() < 60, "{}", rows.len());
    let taken: u64 = rows.iter().map(|row| row.bytes).sum();
    assert!(taken >= 24 * 60 * 100, "{taken}");
}

fn row(at: u64, samples: Vec<(&str, v1::Samples)>) -> StoredSamples {
    let group = |(selector, samples): (&str, v1::Samples)| v1::SampleGroup {
        selectors: vec![selector.to_owned()],
        samples: Some(samples),
    };
    let stored = v1::StoredSamples {
        groups: samples.into_iter().map(group).collect(),
    };
    StoredSamples {
        from: UnixMillis(at - MINUTE),
        to: UnixMillis(at),
        kinds: stored.encode_to_vec(),
    }
}

fn kinds_of(row: &StoredSamples) -> Kinds {
    let mut kinds = Kinds::default();
    let stored = v1::StoredSamples::decode(row.kinds.as_slice()).unwrap();
    assert_eq!(kinds.merge_stored(stored), 0);
    kinds
}

#[test]
fn rows_that_become_one_stand_for_as_many_requests() {
    let rows = [
        row(
            2 * MINUTE,
            vec![("zone=eu", many("a", 300, 3)), ("zone=us", many("b", 200, 5))],
        ),
        row(MINUTE, vec![("zone=eu", many("a", 400, 7))]),
        StoredSamples {
            kinds: vec![255],
            ..row(3 * MINUTE, Vec::new())
        },
    ];
    let (whole, lost) = join(&rows, usize::MAX).unwrap();
    assert_eq!(
        (whole.from, whole.to, lost),
        (UnixMillis(0), UnixMillis(3 * MINUTE), 1)
    );
    assert_eq!(kinds_of(&whole).len(), 600);
    let (thin, _) = join(&rows, 4_000).unwrap();
    let kinds = kinds_of(&thin);
    assert!(kinds.bytes() <= 4_000 && kinds.len() > 20, "{}", kinds.len());
    assert_eq!(sum(&kinds), 300 * 3 + 200 * 5 + 400 * 7);
    assert_eq!(join(&[], 1), None);
}

#[test]
fn groups_that_come_once_do_not_displace_those_that_stay() {
    let noise = |minute: u64| {
        let other = |at: u64| v1::Samples {
            headers: vec![format!("a-{minute}-{at}-{}", "x".repeat(200))],
            ..many("noise", 2, 1 << 20)
        };
        (0..4).map(|at| ("", other(at))).collect::<Vec<_>>()
    };
    let rows: Vec<_> = (1..=120)
        .map(|minute| {
            let mut samples = noise(minute);
            // It begins late, and is heard to the end.
            samples.extend((minute > 100).then(|| ("zone=eu", many("honest", 5, 1))));
            row(minute * MINUTE, samples)
        })
        .collect();
    let (joined, lost) = join(&rows, usize::MAX).unwrap();
    assert!(lost > 0);
    let kinds = kinds_of(&joined);
    let (_, honest) = kinds
        .groups()
        .find(|(group, _)| group.selectors == ["zone=eu"])
        .unwrap();
    assert_eq!(
        weights(honest),
        all(&kinds_of(&row(MINUTE, vec![("zone=eu", many("honest", 5, 20))])))
    );
}

async fn site() -> (Arc<Fleet>, Store) {
    let url = ["sqlite::memory:".to_owned()];
    let store = Store::open(&url, KeyRing::default()).await.unwrap();
    (Arc::new(Fleet::new(Replica::default())), store)
}

#[tokio::test]
async fn what_was_heard_is_written_once_and_goes_when_it_is_old() {
    let (fleet, store) = site().await;
    let keeper = Keeper::new(Arc::clone(&fleet), store.clone(), Duration::from_millis(DAY));
    let at = |minute: u64| UnixMillis(DAY + minute * MINUTE);
    assert!(!keeper.write(at(0), at(1)).await, "nothing was heard");
    assert_eq!(store.sample_rows().await.unwrap(), []);
    for minute in 1..=40 {
        fleet.samples().fold("a", &everybody(), 1, many("a", 20, minute));
        assert!(keeper.write(at(minute - 1), at(minute)).await);
        keeper.tidy(at(minute)).await.unwrap();
    }
    let rows = store.sample_rows().await.unwrap();
    assert!(rows.len() < 25, "{}", rows.len());
    let held = store.samples_since(UnixMillis(0)).await.unwrap();
    let weights: u64 = held.iter().map(|row| sum(&kinds_of(row))).sum();
    assert_eq!(weights, 20 * (1..=40).sum::<u64>());
    let since = store.samples_since(at(40)).await.unwrap();
    assert_eq!(since.iter().map(|row| sum(&kinds_of(row))).sum::<u64>(), 20 * 40);

    keeper.tidy(at(24 * 60 + 40)).await.unwrap();
    assert_eq!(
        store.sample_rows().await.unwrap().len(),
        1,
        "the last minute is a day old"
    );
    assert_eq!(keeper.tidy(at(24 * 60 + 41)).await.unwrap(), 1);
    assert_eq!(store.sample_rows().await.unwrap(), []);
}

#[tokio::test]
async fn where_nobody_samples_the_store_is_left_alone() {
    let (fleet, store) = site().await;
    // Whatever is asked of it fails from now on.
    store.close().await;
    tokio::time::pause();
    let shutdown = CancellationToken::new();
    let age = Duration::from_millis(DAY);
    let kept = tokio::spawn(keep_samples(Arc::clone(&fleet), store, age, shutdown.clone()));
    tokio::time::sleep(Duration::from_secs(3 * 3_600)).await;
    assert_eq!(fleet.samples().lost(Lost::Store), 0);
    fleet.samples().fold("a", &everybody(), 1, many("a", 3, 1));
    tokio::time::sleep(Duration::from_secs(61)).await;
    assert_eq!(fleet.samples().lost(Lost::Store), 3);
    fleet.samples().fold("a", &everybody(), 1, many("a", 2, 1));
    shutdown.cancel();
    kept.await.unwrap();
    assert_eq!(
        fleet.samples().lost(Lost::Store),
        5,
        "what is left is written at the end"
    );
}
