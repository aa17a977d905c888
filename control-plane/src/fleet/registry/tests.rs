mod late;
mod reports;
mod start;

use std::sync::Arc;
use std::time::Duration;

use sluice_model::Revision;

use super::super::member::LEASE;
use super::super::receipt::{Quorum, QuorumError, Receipt};
use super::super::stage::{HISTORY, Joined, Stage, fleet, nack};
use super::super::view::{Forget, ProxyState};
use super::*;

/// A fleet, what is published to it, and its clock.
struct Site {
    fleet: Fleet,
    stage: Stage,
}

impl Site {
    fn start() -> Self {
        Self {
            fleet: fleet("test"),
            stage: Stage::start(),
        }
    }

    fn wait(&mut self, millis: u64) {
        self.stage.wait(Duration::from_millis(millis));
    }

    fn commit(&mut self) -> Revision {
        self.stage.commit()
    }

    fn join(&self, id: &str, instance: u8, holds: Option<Revision>) -> Result<Joined, JoinError> {
        self.stage.join(&self.fleet, id, instance, holds)
    }

    fn ack(&self, proxy: &Joined, revision: Revision) {
        self.stage.ack(&self.fleet, proxy.stream, revision);
    }

    fn nack(&self, proxy: &Joined, revision: Revision, retrying: bool) {
        let refusal = nack("no", retrying);
        self.stage.nack(&self.fleet, proxy.stream, revision, refusal);
    }

    fn receipt(&self, revision: Revision) -> Receipt {
        self.fleet
            .receipt(revision, &self.stage.published, self.stage.now)
    }

    fn counts(&self, revision: Revision) -> [usize; 4] {
        let receipt = self.receipt(revision);
        [
            receipt.fleet,
            receipt.applied,
            receipt.refused_count,
            receipt.pending_count,
        ]
    }
}

#[test]
fn every_live_proxy_has_applied_refused_or_is_pending() {
    let mut site = Site::start();
    let proxies: Vec<_> = ["a", "b", "c"]
        .map(|id| site.join(id, 1, Some(Revision(0))).unwrap())
        .into();
    let revision = site.commit();
    assert_eq!(site.counts(revision), [3, 0, 0, 3]);
    site.wait(10);
    site.ack(&proxies[0], revision);
    site.nack(&proxies[1], revision, false);
    let receipt = site.receipt(revision);
    assert_eq!(site.counts(revision), [3, 1, 1, 1]);
    assert_eq!(
        (&*receipt.refused[0].proxy, &*receipt.pending),
        ("b", &["c".to_owned()][..])
    );
    assert_eq!(receipt.refused[0].refusal.violations[0].code, "local");
    assert_eq!(receipt.applied_ms.unwrap().max, 10.0);
}

#[test]
fn a_proxy_ahead_counts_as_applied_and_one_that_refused_later_as_refused() {
    let mut site = Site::start();
    let proxies = ["a", "b"].map(|id| site.join(id, 1, Some(Revision(0))).unwrap());
    let first = site.commit();
    let second = site.commit();
    site.ack(&proxies[0], second);
    site.nack(&proxies[1], second, false);
    assert_eq!(site.counts(first), [2, 1, 1, 0]);
    assert!(site.receipt(first).superseded);
    assert!(!site.receipt(second).superseded);
    // What was refused before says nothing about what came later.
    let third = site.commit();
    assert_eq!(site.counts(third), [2, 0, 0, 2]);
}

#[test]
fn times_run_from_the_commit_to_the_ack_for_every_revision_on_the_way() {
    let mut site = Site::start();
    let slow = site.join("slow", 1, Some(Revision(0))).unwrap();
    let fast = site.join("fast", 1, Some(Revision(0))).unwrap();
    let first = site.commit();
    site.wait(20);
    site.ack(&fast, first);
    site.wait(80);
    let second = site.commit();
    site.wait(50);
    site.ack(&slow, second);
    site.ack(&fast, second);
    let max = |revision| site.receipt(revision).applied_ms.unwrap().max;
    assert_eq!((max(first), max(second)), (150.0, 50.0));
    let p50 = site.receipt(first).applied_ms.unwrap().p50;
    assert!((p50 - 20.0).abs() <= 0.2, "{p50}");
}

#[test]
fn a_proxy_that_came_after_the_commit_is_not_timed() {
    let mut site = Site::start();
    let revision = site.commit();
    site.wait(60_000);
    let late = site.join("late", 1, None).unwrap();
    site.ack(&late, revision);
    let receipt = site.receipt(revision);
    assert_eq!((receipt.applied, receipt.applied_ms), (1, None));
}

#[test]
fn a_proxy_counts_for_its_lease_and_leaves_at_once_with_a_goodbye() {
    let mut site = Site::start();
    let lost = site.join("lost", 1, Some(Revision(0))).unwrap();
    let gone = site.join("gone", 1, Some(Revision(0))).unwrap();
    let revision = site.commit();
    site.fleet.left(gone.stream);
    site.fleet.disconnected(gone.stream, site.stage.now);
    assert_eq!(site.counts(revision), [1, 0, 0, 1]);
    site.fleet.disconnected(lost.stream, site.stage.now);
    site.wait(u64::try_from(LEASE.as_millis()).unwrap() - 1);
    assert_eq!(site.counts(revision), [1, 0, 0, 1]);
    site.wait(1);
    assert_eq!(site.counts(revision), [0, 0, 0, 0]);
    let listed = site.fleet.proxies(&site.stage.published, site.stage.now);
    assert_eq!((listed.len(), listed[0].state), (1, ProxyState::Lost));
    assert_eq!(site.fleet.forget("lost"), Forget::Done);
    assert_eq!(site.fleet.forget("lost"), Forget::Unknown);
}

#[test]
fn the_newest_process_with_an_id_wins_and_the_proxy_carries_a_warning() {
    let site = Site::start();
    let first = site.join("edge", 1, None).unwrap();
    let second = site.join("edge", 2, None).unwrap();
    assert!(first.displaced.is_cancelled() && !second.displaced.is_cancelled());
    // The end of the first stream says nothing about the second one.
    site.fleet.disconnected(first.stream, site.stage.now);
    let listed = site.fleet.proxies(&site.stage.published, site.stage.now);
    assert!(listed[0].connected);
    assert_eq!(listed[0].warnings.len(), 1);

    let again = site.join("edge", 2, None).unwrap();
    assert!(!again.displaced.is_cancelled());
    assert_eq!(
        site.fleet.proxies(&site.stage.published, site.stage.now)[0]
            .warnings
            .len(),
        1
    );
}

#[test]
fn quorums_are_decided_by_acks_and_by_refusals_for_good() {
    let mut site = Site::start();
    assert!(
        !Quorum::ALL.is_decided(&site.receipt(Revision(0))),
        "an empty fleet meets no quorum"
    );
    let proxies = ["a", "b", "c", "d"].map(|id| site.join(id, 1, Some(Revision(0))).unwrap());
    let revision = site.commit();
    let decided = |site: &Site, share: &str| {
        share
            .parse::<Quorum>()
            .unwrap()
            .is_decided(&site.receipt(revision))
    };
    site.ack(&proxies[0], revision);
    site.ack(&proxies[1], revision);
    assert!(decided(&site, "0.5") && !decided(&site, "0.51"));
    site.nack(&proxies[2], revision, true);
    assert!(!decided(&site, "1"), "a local fault may pass");
    site.nack(&proxies[2], revision, false);
    assert!(decided(&site, "1") && !decided(&site, "0.75"));
    for wrong in ["0", "-1", "1.1", "NaN", ""] {
        assert_eq!(wrong.parse::<Quorum>(), Err(QuorumError), "{wrong}");
    }
    assert_eq!("0.95".parse::<Quorum>().unwrap().needed(100), 95);
}

#[test]
fn each_receipt_is_due_for_storage_when_it_is_left_behind_and_when_it_is_complete() {
    let mut site = Site::start();
    let proxy = site.join("a", 1, Some(Revision(0))).unwrap();
    let due = |site: &Site| -> Vec<_> {
        let due = site
            .fleet
            .unkept(&site.stage.published, site.stage.now)
            .into_iter();
        due.map(|receipt| (receipt.revision, receipt.applied)).collect()
    };
    assert_eq!(due(&site), [(0, 1)]);
    site.commit();
    assert_eq!(due(&site), []);
    let second = site.commit();
    assert_eq!(due(&site), [(1, 0)]);
    site.ack(&proxy, second);
    assert_eq!(due(&site), [(1, 1), (2, 1)]);
    assert_eq!(due(&site), []);
    // The store did not take one.
    site.fleet.not_kept([second].into_iter());
    assert_eq!(due(&site), [(2, 1)]);
    assert_eq!(due(&site), []);
}

#[test]
fn names_are_capped_and_counted() {
    let mut site = Site::start();
    for number in 0..250 {
        site.join(&format!("edge-{number:03}"), 1, Some(Revision(0)))
            .unwrap();
    }
    let revision = site.commit();
    let receipt = site.receipt(revision);
    assert_eq!((receipt.pending.len(), receipt.pending_count), (100, 250));
}

#[test]
fn a_hello_out_of_bounds_is_turned_away() {
    let site = Site::start();
    for id in ["", "a b", "a/b", &"x".repeat(254)] {
        assert_eq!(
            site.join(id, 1, None).err(),
            Some(JoinError::OutOfBounds),
            "{id:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn waiting_ends_with_the_quorum_or_with_the_time() {
    let mut site = Site::start();
    let proxy = site.join("a", 1, Some(Revision(0))).unwrap();
    let revision = site.commit();
    let (_sender, published) = watch::channel(Arc::new(site.stage.published.clone()));
    let fleet = Arc::new(std::mem::replace(&mut site.fleet, fleet("other")));
    let patience = Duration::from_secs(30);

    let start = Instant::now();
    let receipt = fleet
        .wait(revision, Quorum::ALL, patience, published.clone())
        .await;
    assert_eq!((receipt.applied, start.elapsed()), (0, patience));

    let waiting = tokio::spawn({
        let (fleet, published) = (Arc::clone(&fleet), published.clone());
        async move { fleet.wait(revision, Quorum::ALL, patience, published).await }
    });
    tokio::task::yield_now().await;
    let position = site.stage.position(revision);
    fleet.applied(
        proxy.stream,
        v1::Ack::default(),
        (HISTORY, position),
        &site.stage.published,
        Instant::now(),
    );
    let start = Instant::now();
    assert_eq!(waiting.await.unwrap().applied, 1);
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[test]
fn a_proxy_that_runs_a_lost_commit_of_that_number_is_asked_about_and_has_not_applied_the_revision() {
    let mut site = Site::start();
    let revision = site.stage.commit_as(CommitId(7));
    let join = |id: &str, commit| {
        let holds = Some(revision);
        site.stage.join_with(&site.fleet, (id, 1), holds, commit).unwrap();
    };
    join("old", CommitId::UNKNOWN);
    join("same", CommitId(7));
    assert_eq!(site.counts(revision), [2, 2, 0, 0]);
    assert_eq!(site.fleet.take_claim(), None);
    join("other", CommitId(8));
    assert_eq!(site.counts(revision), [3, 2, 0, 1]);
    let claim = site.fleet.take_claim().unwrap();
    assert_eq!(
        (claim.proxy.as_str(), claim.at.revision, claim.commit),
        ("other", revision, CommitId(8))
    );
    site.fleet.found(&claim);
    join("another", CommitId(8));
    assert_eq!(site.fleet.take_claim(), None);
}
