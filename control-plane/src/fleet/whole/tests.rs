mod start;
mod status;

use std::time::Duration;

use proptest::prelude::*;
use sluice_model::Revision;
use sluice_proto::v1;
use tokio_util::sync::CancellationToken;

use super::super::member::LEASE;
use super::super::parts::TIMED;
use super::super::peers::BEAT;
use super::super::receipt::Receipt;
use super::super::registry::StreamId;
use super::super::stage::{BEGAN, Stage, fleet, nack};
use super::*;

const REPLICAS: usize = 3;

/// Several replicas, the store between them, and what is published to all.
struct Site {
    fleets: Vec<Fleet>,
    rows: Vec<Option<Row>>,
    stage: Stage,
}

/// What the store holds of one replica.
#[derive(Default)]
struct Row {
    beat: u64,
    parts: BTreeMap<String, (u64, Vec<u8>)>,
}

/// A proxy and the stream that it has.
struct Proxy {
    id: String,
    at: usize,
    stream: StreamId,
    displaced: CancellationToken,
}

impl Site {
    fn start() -> Self {
        Self {
            fleets: (0..REPLICAS)
                .map(|index| fleet(&format!("replica-{index}")))
                .collect(),
            rows: (0..REPLICAS).map(|_| None).collect(),
            stage: Stage::start(),
        }
    }

    fn wait(&mut self, time: Duration) {
        self.stage.wait(time);
    }

    fn commit(&mut self) -> Revision {
        let revision = self.stage.commit();
        // Each replica notes what it publishes.
        for fleet in &self.fleets {
            fleet.receipt(revision, &self.stage.published, self.stage.now);
        }
        revision
    }

    fn join(&self, at: usize, id: &str, instance: u8, holds: Option<Revision>) -> Proxy {
        let joined = self.stage.join(&self.fleets[at], id, instance, holds).unwrap();
        Proxy {
            id: id.into(),
            at,
            stream: joined.stream,
            displaced: joined.displaced,
        }
    }

    /// Ten thousand proxies at the first replica, told to the others, and a revision that they lack.
    fn crowd(&mut self) -> (Vec<Proxy>, Revision) {
        let proxies = (0..10_000)
            .map(|number| self.join(0, &format!("edge-{number}"), 1, None))
            .collect();
        self.tell(0);
        (proxies, self.commit())
    }

    fn ack(&self, proxy: &Proxy, revision: Revision) {
        self.stage.ack(&self.fleets[proxy.at], proxy.stream, revision);
    }

    fn nack(&self, proxy: &Proxy, revision: Revision) {
        self.refuse(proxy, revision, "no");
    }

    fn refuse(&self, proxy: &Proxy, revision: Revision, words: &str) {
        let fleet = &self.fleets[proxy.at];
        self.stage.nack(fleet, proxy.stream, revision, nack(words, false));
    }

    fn lose(&self, proxy: &Proxy) {
        self.fleets[proxy.at].disconnected(proxy.stream, self.stage.now);
    }

    /// Replica `at` writes what is new, and the others hear of it.
    fn tell(&mut self, at: usize) {
        let row = self.rows[at].get_or_insert_default();
        let extent = match row.beat {
            0 => Extent::Whole,
            _ => Extent::Changes,
        };
        row.beat += 1;
        for (name, body) in self.fleets[at].unsaid(extent, self.stage.now) {
            row.parts.insert(name, (row.beat, body));
        }
        for other in (0..REPLICAS).filter(|other| *other != at) {
            self.hear(other);
        }
    }

    fn hear(&self, at: usize) {
        let known = self.fleets[at].beats();
        let rows = self.rows.iter().enumerate();
        let rows = rows.filter(|(index, _)| *index != at).filter_map(|(index, row)| {
            let row = row.as_ref()?;
            let replica = self.fleets[index].replica().clone();
            let known = known.get(&replica.id).copied().unwrap_or_default();
            let news = row.parts.iter().filter(|(_, (beat, _))| *beat > known);
            Some(PeerRow {
                beat: row.beat,
                silent_ms: 0,
                parts: news
                    .map(|(name, (_, body))| (name.clone(), body.clone()))
                    .collect(),
                replica,
            })
        });
        self.fleets[at].hear(rows.collect(), self.stage.now);
    }

    /// Everybody tells what is new until nobody has anything.
    fn exchange(&mut self) {
        for _ in 0..2 {
            (0..REPLICAS).for_each(|at| self.tell(at));
        }
    }

    /// A receipt, which has to be the same at all replicas; its times, too, as long as they are told.
    fn receipt(&self, revision: Revision) -> Receipt {
        let is_timed = revision.0 + TIMED as u64 > self.stage.published.revision().0;
        let receipt = |fleet: &Fleet| {
            let receipt = fleet.receipt(revision, &self.stage.published, self.stage.now);
            Receipt {
                applied_ms: receipt.applied_ms.filter(|_| is_timed),
                ..receipt
            }
        };
        let receipts: Vec<_> = self.fleets.iter().map(receipt).collect();
        for other in &receipts {
            assert_eq!(other, &receipts[0]);
        }
        receipts[0].clone()
    }

    /// Who is where, which has to be the same at all replicas.
    fn holders(&self) -> Vec<(String, String)> {
        let holders = |fleet: &Fleet| -> Vec<_> {
            let proxies = fleet.proxies(&self.stage.published, self.stage.now).into_iter();
            proxies.map(|proxy| (proxy.id, proxy.replica)).collect()
        };
        let all: Vec<_> = self.fleets.iter().map(holders).collect();
        for other in &all {
            assert_eq!(other, &all[0]);
        }
        all[0].clone()
    }
}

#[test]
fn a_receipt_is_of_all_replicas_with_the_times_of_all() {
    let mut site = Site::start();
    let proxies = [("a", 0), ("b", 1), ("c", 1), ("d", 2)].map(|(id, at)| site.join(at, id, 1, None));
    site.exchange();
    let revision = site.commit();
    let receipt = site.receipt(revision);
    assert_eq!((receipt.fleet, receipt.pending_count), (4, 4));
    assert_eq!(receipt.pending, ["a", "b", "c", "d"]);
    for (index, proxy) in proxies.iter().enumerate() {
        site.wait(Duration::from_millis(100));
        match index {
            3 => site.nack(proxy, revision),
            _ => site.ack(proxy, revision),
        }
    }
    site.exchange();
    let receipt = site.receipt(revision);
    assert_eq!((receipt.applied, receipt.refused_count), (3, 1));
    assert_eq!(receipt.refused[0].proxy, "d");
    let ms = receipt.applied_ms.unwrap();
    assert_eq!(ms.proxies, 3);
    assert!(
        (198.0..=202.0).contains(&ms.p50) && (299.0..=301.0).contains(&ms.max),
        "{ms:?}"
    );
}

#[test]
fn a_proxy_that_moves_is_counted_once_and_goes_on_where_it_was() {
    let mut site = Site::start();
    let before = site.join(0, "a", 1, Some(Revision(0)));
    site.exchange();
    let revision = site.commit();
    site.nack(&before, revision);
    site.lose(&before);
    site.exchange();
    site.wait(Duration::from_secs(1));
    let after = site.join(1, "a", 1, Some(Revision(0)));
    site.exchange();
    assert_eq!(site.holders(), [("a".into(), "replica-1".into())]);
    let receipt = site.receipt(revision);
    assert_eq!((receipt.fleet, receipt.refused_count), (1, 1), "{receipt:?}");
    // It was there at the commit, so what it does now is timed.
    site.ack(&after, revision);
    site.exchange();
    let receipt = site.receipt(revision);
    assert_eq!((receipt.fleet, receipt.applied), (1, 1));
    assert_eq!(receipt.applied_ms.unwrap().proxies, 1);
}

#[test]
fn of_two_processes_with_one_id_at_two_replicas_the_newer_stays() {
    let mut site = Site::start();
    let older = site.join(0, "a", 1, None);
    site.exchange();
    let newer = site.join(2, "a", 2, None);
    site.exchange();
    assert!(older.displaced.is_cancelled() && !newer.displaced.is_cancelled());
    assert_eq!(site.holders(), [("a".into(), "replica-2".into())]);
    let views = site.fleets[0].proxies(&site.stage.published, site.stage.now);
    // The warning is told by the replica that holds it.
    assert_eq!(
        site.fleets[2].proxies(&site.stage.published, site.stage.now)[0]
            .warnings
            .len(),
        1
    );
    assert!(views[0].connected);
}

#[test]
fn the_proxies_of_a_dead_replica_count_for_their_lease_and_an_outage_of_the_store_is_no_death() {
    let mut site = Site::start();
    site.join(1, "a", 1, None);
    site.exchange();
    let fleet = |site: &Site| {
        site.fleets[0]
            .receipt(Revision(0), &site.stage.published, site.stage.now)
            .fleet
    };
    // The store is away for long; afterwards both replicas are there.
    site.wait(LEASE * 10);
    assert_eq!(fleet(&site), 1);
    site.hear(0);
    assert_eq!(fleet(&site), 1);
    site.tell(1);
    // Only the replica is away.
    let mut silent = Duration::ZERO;
    while silent + BEAT < LEASE {
        site.wait(BEAT);
        silent += BEAT;
        site.hear(0);
        assert_eq!(fleet(&site), 1, "after {silent:?}");
    }
    assert!(!site.fleets[0].proxies(&site.stage.published, site.stage.now)[0].connected);
    site.wait(BEAT);
    site.hear(0);
    assert_eq!(fleet(&site), 0);
    assert_eq!(site.fleets[0].replicas("replica-1", site.stage.now).len(), 1);
    // It was only slow.
    site.tell(1);
    assert_eq!(fleet(&site), 1);
}

#[test]
fn a_proxy_that_another_replica_holds_can_be_forgotten() {
    let mut site = Site::start();
    let proxy = site.join(1, "a", 1, None);
    site.exchange();
    assert_eq!(site.fleets[0].forget("a"), Forget::Elsewhere);
    assert_eq!(site.fleets[1].forget("a"), Forget::Done);
    assert!(proxy.displaced.is_cancelled());
    site.exchange();
    assert_eq!(site.holders(), []);
    assert_eq!(site.fleets[0].forget("a"), Forget::Unknown);
}

#[test]
fn ten_thousand_proxies_are_told_in_little() {
    let mut site = Site::start();
    let (proxies, revision) = site.crowd();
    proxies.iter().for_each(|proxy| site.ack(proxy, revision));
    let told = site.fleets[0].unsaid(Extent::Changes, site.stage.now);
    let bytes: usize = told.iter().map(|(_, body)| body.len()).sum();
    assert_eq!(told.len(), 1);
    assert!(bytes < 32 * 1024, "{bytes}");
    site.lose(&proxies[0]);
    site.join(0, &proxies[0].id, 1, Some(revision));
    let told = site.fleets[0].unsaid(Extent::Changes, site.stage.now);
    assert_eq!(told.len(), 2);
}

/// What may happen to one of a few proxies.
#[derive(Clone, Copy, Debug)]
enum Event {
    Join { at: usize, proxy: u8 },
    Ack { proxy: u8 },
    Nack { proxy: u8 },
    Lose { proxy: u8 },
    Leave { proxy: u8 },
    Commit,
    Tell { at: usize },
}

fn event() -> impl Strategy<Value = Event> {
    let (at, proxy) = (0..REPLICAS, 0..4u8);
    prop_oneof![
        4 => (at.clone(), proxy.clone()).prop_map(|(at, proxy)| Event::Join { at, proxy }),
        4 => proxy.clone().prop_map(|proxy| Event::Ack { proxy }),
        1 => proxy.clone().prop_map(|proxy| Event::Nack { proxy }),
        2 => proxy.clone().prop_map(|proxy| Event::Lose { proxy }),
        1 => proxy.prop_map(|proxy| Event::Leave { proxy }),
        2 => Just(Event::Commit),
        3 => at.prop_map(|at| Event::Tell { at }),
    ]
}

proptest! {
    /// Whatever happens in whatever order: once all is told, all replicas say the same, every proxy
    /// that has a stream is there once.
    #[test]
    fn replicas_agree_once_all_is_told(events in prop::collection::vec(event(), 1..60)) {
        let mut site = Site::start();
        let mut proxies: BTreeMap<u8, (Proxy, bool)> = BTreeMap::new();
        for event in events {
            let head = site.stage.published.revision();
            match event {
                Event::Join { at, proxy } => {
                    // One process each: its former stream ends before it has another.
                    if let Some((before, true)) = proxies.get(&proxy) {
                        site.lose(before);
                    }
                    proxies.insert(proxy, (site.join(at, &proxy.to_string(), 1, None), true));
                }
                Event::Ack { proxy } => if let Some((proxy, true)) = proxies.get(&proxy) {
                    site.ack(proxy, head);
                },
                Event::Nack { proxy } => if let Some((proxy, true)) = proxies.get(&proxy) {
                    site.nack(proxy, head);
                },
                Event::Lose { proxy } => if let Some((proxy, connected)) = proxies.get_mut(&proxy) {
                    site.lose(proxy);
                    *connected = false;
                },
                Event::Leave { proxy } => if let Some((gone, true)) = proxies.remove(&proxy) {
                    site.fleets[gone.at].left(gone.stream);
                },
                Event::Commit => drop(site.commit()),
                Event::Tell { at } => site.tell(at),
            }
        }
        site.exchange();
        let holders: BTreeMap<_, _> = site.holders().into_iter().collect();
        for (proxy, connected) in proxies.values() {
            if *connected && !proxy.displaced.is_cancelled() {
                prop_assert_eq!(holders.get(&proxy.id), Some(&format!("replica-{}", proxy.at)));
            }
        }
        for revision in 0..=site.stage.published.revision().0 {
            let receipt = site.receipt(Revision(revision));
            prop_assert_eq!(receipt.fleet, holders.len());
            prop_assert_eq!(receipt.applied + receipt.refused_count + receipt.pending_count, receipt.fleet);
        }
    }
}
