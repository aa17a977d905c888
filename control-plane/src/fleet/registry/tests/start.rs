//! Where a proxy starts that holds nothing.

use super::*;

impl Site {
    /// The revision that a newcomer is sent first, if it is not simply the newest.
    fn start_of_a_newcomer(&self) -> Option<u64> {
        let joining = Joining {
            stream: self.fleet.next_stream(),
            holds: None,
            view: ViewKey::default(),
            peer: Peer::Local,
            displace: CancellationToken::new(),
        };
        let stream = joining.stream;
        let hello = v1::Hello {
            proxy_id: "newcomer".into(),
            ..v1::Hello::default()
        };
        let admitted = self
            .fleet
            .join(&hello, joining, &self.published, self.now)
            .unwrap();
        self.fleet.left(stream);
        admitted.first.map(|version| version.position.revision.0)
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
    let version = Arc::clone(&site.published.version);
    let refused = site.commit();
    site.nack(&a, refused, false);
    let fallbacks = site.fleet.fallbacks(&site.published, site.now);
    let expected = Fallback { good: 1, refused: 2 };
    assert_eq!(fallbacks, [(ViewKey::default(), expected)].into());

    let again = Site {
        fleet: Fleet::new(replica("again")),
        published: site.published.clone(),
        now: site.now,
    };
    assert_eq!(again.start_of_a_newcomer(), None);
    again.fleet.adopt(&ViewKey::default(), expected, version);
    assert_eq!(again.start_of_a_newcomer(), Some(1));
    assert_eq!(again.fleet.fallbacks(&again.published, again.now), fallbacks);
    let b = again.join("b", 1, Some(Revision(0))).unwrap();
    again.ack(&b, refused);
    assert_eq!(again.start_of_a_newcomer(), None);
    assert_eq!(
        again.fleet.fallbacks(&again.published, again.now),
        BTreeMap::new()
    );
}
