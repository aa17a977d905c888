//! Where newcomers start, by what the proxies of all replicas accept and refuse.

use super::*;
use crate::compile::ViewKey;
use crate::store::Fallback;

impl Site {
    /// The revision that a newcomer at this replica is sent first, if it is not simply the newest.
    fn start_of_a_newcomer(&self, at: usize) -> Option<u64> {
        let fleet = &self.fleets[at];
        let newcomer = self.stage.join(fleet, "newcomer", 9, None).unwrap();
        fleet.left(newcomer.stream);
        newcomer.admitted.first.map(|version| version.position.revision.0)
    }

    fn fallbacks(&self, at: usize) -> Vec<Fallback> {
        let fallbacks = self.fleets[at].fallbacks(&self.stage.published, self.stage.now);
        assert!(fallbacks.keys().all(|view| *view == ViewKey::default()));
        fallbacks.into_values().collect()
    }
}

#[test]
fn what_the_proxies_of_other_replicas_accept_and_refuse_counts() {
    let mut site = Site::start();
    let [a, b, c, d] =
        [("a", 0), ("b", 0), ("c", 0), ("d", 1)].map(|(id, at)| site.join(at, id, 1, Some(Revision(0))));
    let first = site.commit();
    site.ack(&a, first);
    site.ack(&d, first);
    let second = site.commit();
    site.nack(&d, second);
    site.exchange();
    for at in 0..REPLICAS {
        assert_eq!(site.start_of_a_newcomer(at), Some(1), "replica {at}");
        assert_eq!(site.fallbacks(at), [Fallback { good: 1, refused: 2 }]);
    }
    // The only proxy of replica 1 refused it: here that is all, of the fleet it is one of four.
    for proxy in [&a, &b, &c] {
        site.ack(proxy, second);
    }
    site.exchange();
    for at in 0..REPLICAS {
        assert_eq!(site.start_of_a_newcomer(at), None, "replica {at}");
        assert_eq!(site.fallbacks(at), []);
    }
}

#[test]
fn what_is_told_before_it_is_published_here_counts_once_it_is() {
    let mut site = Site::start();
    let a = site.join(0, "a", 1, Some(Revision(0)));
    let before = site.stage.published.clone();
    let first = site.commit();
    let published = std::mem::replace(&mut site.stage.published, before);
    let ack = v1::Ack::default();
    let target = published.version.position;
    let target = (published.version.history, target);
    site.fleets[0].applied(a.stream, ack, target, &published, site.stage.now);
    site.exchange();
    assert_eq!(site.start_of_a_newcomer(1), None);
    site.stage.published = published;
    site.commit();
    assert_eq!(site.start_of_a_newcomer(1), Some(first.0));
}
