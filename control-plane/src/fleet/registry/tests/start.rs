//! Where a proxy starts that holds nothing.

use super::*;
use crate::fleet::parking::Parked;
use crate::fleet::stage::HISTORY;
use crate::store::Fallback;

impl Site {
    /// The revision that a newcomer is sent first, if it is not simply the newest.
    fn start_of_a_newcomer(&self) -> Option<u64> {
        let newcomer = self.join("newcomer", 9, None).unwrap();
        self.fleet.left(newcomer.stream);
        newcomer.admitted.first.map(|version| version.position.revision.0)
    }
}

#[test]
fn a_newcomer_starts_at_what_others_accepted_and_not_at_what_one_of_them_refused() {
    let mut site = Site::start();
    let [a, b, c] = ["a", "b", "c"].map(|id| site.join(id, 1, Some(Revision(0))).unwrap());
    let first = site.commit();
    assert_eq!(site.start_of_a_newcomer(), None, "nothing was accepted yet");
    site.ack(&a, first);
    assert_eq!(site.start_of_a_newcomer(), None, "the newest was");
    let second = site.commit();
    assert_eq!(site.start_of_a_newcomer(), Some(1));
    site.nack(&a, second, false);
    assert_eq!(site.start_of_a_newcomer(), Some(1));
    site.ack(&b, second);
    assert_eq!(
        site.start_of_a_newcomer(),
        Some(1),
        "one of three runs it, and one refused it"
    );
    site.ack(&c, second);
    assert_eq!(site.start_of_a_newcomer(), None, "most run it");
}

#[test]
fn a_fault_of_one_proxy_keeps_no_newcomer_from_the_newest() {
    let mut site = Site::start();
    let [a, b, _c] = ["a", "b", "c"].map(|id| site.join(id, 1, Some(Revision(0))).unwrap());
    let first = site.commit();
    site.nack(&a, first, true);
    site.ack(&b, first);
    assert_eq!(site.start_of_a_newcomer(), None);
}

#[test]
fn an_empty_fleet_starts_at_the_newest() {
    let mut site = Site::start();
    site.commit();
    site.commit();
    assert_eq!(site.start_of_a_newcomer(), None);
}

#[test]
fn what_was_good_before_a_restart_counts_until_the_refused_revision_is_accepted() {
    let mut site = Site::start();
    let a = site.join("a", 1, Some(Revision(0))).unwrap();
    let good = site.commit();
    site.ack(&a, good);
    let version = Arc::clone(&site.stage.published.version);
    let refused = site.commit();
    site.nack(&a, refused, false);
    let fallbacks = site.fleet.fallbacks(&site.stage.published, site.stage.now);
    let expected = Fallback { good: 1, refused: 2 };
    assert_eq!(fallbacks, [(ViewKey::default(), expected)].into());

    let again = Site {
        fleet: fleet("again"),
        stage: site.stage,
    };
    assert_eq!(again.start_of_a_newcomer(), None);
    again.fleet.adopt(&ViewKey::default(), expected, version);
    assert_eq!(again.start_of_a_newcomer(), Some(1));
    assert_eq!(
        again.fleet.fallbacks(&again.stage.published, again.stage.now),
        fallbacks
    );
    let b = again.join("b", 1, Some(Revision(0))).unwrap();
    again.ack(&b, refused);
    assert_eq!(again.start_of_a_newcomer(), None);
    assert_eq!(
        again.fleet.fallbacks(&again.stage.published, again.stage.now),
        BTreeMap::new()
    );
}

#[test]
fn who_has_nothing_goes_back_to_what_is_good_and_then_to_what_anybody_accepted() {
    let mut site = Site::start();
    let [a, b, c] = ["a", "b", "c"].map(|id| site.join(id, 1, Some(Revision(0))).unwrap());
    let newcomer = site.join("newcomer", 1, None).unwrap();
    let before = |site: &Site, revision| {
        let (history, revision) = (HISTORY, Revision(revision));
        let refused = Parked { history, revision };
        let stage = &site.stage;
        let before = site
            .fleet
            .before(newcomer.stream, refused, &stage.published, stage.now);
        before.map(|version| version.position.revision.0)
    };
    for proxies in [&[&a][..], &[&a], &[&a, &b, &c], &[&a]] {
        let revision = site.commit();
        proxies.iter().for_each(|proxy| site.ack(proxy, revision));
    }
    site.nack(&b, Revision(2), false);
    assert_eq!(before(&site, 4), Some(3));
    assert_eq!(before(&site, 3), Some(2), "most run what comes after it");
    site.nack(&c, Revision(4), false);
    let fifth = site.commit();
    site.nack(&newcomer, fifth, false);
    assert_eq!(
        before(&site, 5),
        Some(3),
        "one runs the fourth, and another refused it"
    );
    site.nack(&newcomer, Revision(3), false);
    site.nack(&newcomer, Revision(2), false);
    site.nack(&newcomer, Revision(1), false);
    assert_eq!(before(&site, 2), Some(1), "for want of better");
    assert_eq!(before(&site, 1), None);
}

#[test]
fn who_goes_back_still_lacks_what_it_refused_first() {
    let mut site = Site::start();
    let newcomer = site.join("newcomer", 1, None).unwrap();
    let (first, second, third) = (site.commit(), site.commit(), site.commit());
    site.nack(&newcomer, third, false);
    site.nack(&newcomer, second, false);
    assert_eq!(site.counts(third), [1, 0, 1, 0]);
    site.ack(&newcomer, first);
    assert_eq!(site.counts(first), [1, 1, 0, 0]);
    assert_eq!(site.counts(third), [1, 0, 1, 0]);
    // On another stream it is not sent again either.
    let again = site.join("newcomer", 1, Some(first)).unwrap();
    let parked = again.admitted.parked.map(|parked| parked.revision);
    assert_eq!(parked, Some(third));
    site.ack(&again, third);
    assert_eq!(site.counts(third), [1, 1, 0, 0]);
}

#[test]
fn the_store_is_asked_for_a_version_only_where_none_that_is_good_is_known() {
    let mut site = Site::start();
    let a = site.join("a", 1, Some(Revision(0))).unwrap();
    let lacks = |site: &Site, good, refused| {
        let fallback = Fallback { good, refused };
        site.fleet
            .lacks(&ViewKey::default(), fallback, &site.stage.published)
    };
    let first = site.commit();
    let version = Arc::clone(&site.stage.published.version);
    let second = site.commit();
    assert!(lacks(&site, 1, 2));
    let fallback = Fallback { good: 1, refused: 2 };
    site.fleet.adopt(&ViewKey::default(), fallback, version);
    assert!(!lacks(&site, 1, 2));
    assert_eq!(site.start_of_a_newcomer(), Some(first.0));
    site.ack(&a, second);
    assert_eq!(site.start_of_a_newcomer(), None, "most run it");
    assert!(lacks(&site, 0, 1), "what was good is refused by now");
}
