//! Who is behind, who refused, and since when, as every replica tells it.

use super::*;
use crate::clock;
use crate::fleet::parts::STANDING;

#[test]
fn every_replica_says_who_is_behind_and_who_refused_and_since_when() {
    let mut site = Site::start();
    let names = [("a", 0), ("b", 1), ("c", 1), ("d", 2), ("e", 2)];
    let proxies = names.map(|(id, at)| site.join(at, id, 1, Some(Revision(0))));
    let [current, early, late, _behind, lost] = &proxies;
    site.exchange();
    let before = clock::wall();
    let revision = site.commit();
    let after = clock::wall();
    site.lose(lost);
    site.wait(LEASE);
    site.ack(current, revision);
    site.nack(early, revision);
    site.wait(Duration::from_millis(1_500));
    site.nack(late, revision);
    // The same again is no news, and does not make it any younger.
    site.wait(Duration::from_millis(700));
    site.nack(early, revision);
    // The keeper of its replica sees that a lease ran out.
    assert!(site.fleets[lost.at].has_broken(site.stage.now));
    site.exchange();
    site.commit();

    let lease = u64::try_from(LEASE.as_millis()).unwrap();
    for fleet in &site.fleets {
        let (views, summary) = fleet.listed(&ProxyStatus::ALL, &site.stage.published, site.stage.now);
        let told: Vec<_> = views
            .iter()
            .map(|view| {
                let refused = view.refusal.as_ref().and_then(|refusal| refusal.refused_at_ms);
                (&*view.id, view.status, view.behind, refused)
            })
            .collect();
        assert_eq!(
            told,
            [
                ("a", ProxyStatus::Behind, Some(1), None),
                ("b", ProxyStatus::Refused, Some(2), Some(BEGAN + lease)),
                ("c", ProxyStatus::Refused, Some(2), Some(BEGAN + lease + 1_500)),
                ("d", ProxyStatus::Behind, Some(2), None),
                ("e", ProxyStatus::Lost, Some(2), None),
            ]
        );
        let since = |index: usize| views[index].behind_since_ms.unwrap();
        for lacking_both in [1, 2, 3, 4] {
            let since = since(lacking_both);
            assert!(
                (before.0..=after.0).contains(&since),
                "{before:?} {since} {after:?}"
            );
        }
        assert!(since(0) >= after.0, "it lacks the second one only");
        let counts = ProxyStatus::ALL.map(|status| summary.of(status));
        assert_eq!((summary.proxies, summary.connected, counts), (5, 4, [0, 2, 2, 1]));
        assert_eq!(summary.behind_since_ms, Some(since(1)));

        let (few, whole) = fleet.listed(&[ProxyStatus::Refused], &site.stage.published, site.stage.now);
        assert_eq!(few.iter().map(|view| &*view.id).collect::<Vec<_>>(), ["b", "c"]);
        assert_eq!(whole, summary);
    }
}

#[test]
fn replicas_are_counted_apart() {
    let mut site = Site::start();
    let proxies = [("a", 0), ("b", 1), ("c", 1)].map(|(id, at)| site.join(at, id, 1, Some(Revision(0))));
    let revision = site.commit();
    site.ack(&proxies[0], revision);
    site.ack(&proxies[1], revision);
    site.exchange();
    for fleet in &site.fleets {
        let replicas = fleet.census(&site.stage.published, site.stage.now).replicas;
        let told: Vec<_> = replicas
            .iter()
            .map(|(id, of)| (&**id, of.current, of.behind, of.connected))
            .collect();
        let expected = [
            ("replica-0", 1, 0, 1),
            ("replica-1", 1, 1, 2),
            ("replica-2", 0, 0, 0),
        ];
        assert_eq!(told, expected);
    }
}

#[test]
fn a_fleet_that_refuses_is_told_in_little_with_the_time_of_each() {
    let mut site = Site::start();
    let (proxies, revision) = site.crowd();
    for proxy in &proxies {
        site.wait(Duration::from_micros(100));
        site.nack(proxy, revision);
    }
    site.tell(0);
    let bytes = site.rows[0].as_ref().unwrap().parts[STANDING].1.len();
    assert!(bytes < 64 * 1024, "{bytes}");
    let (refused, _) = site.fleets[1].listed(&[ProxyStatus::Refused], &site.stage.published, site.stage.now);
    let times: Vec<_> = refused
        .iter()
        .map(|view| view.refusal.as_ref().unwrap().refused_at_ms)
        .collect();
    assert_eq!(
        (times.iter().min(), times.iter().max()),
        (Some(&Some(BEGAN)), Some(&Some(BEGAN + 1_000)))
    );
}

#[test]
fn ten_thousand_refusals_in_as_many_words_are_told_in_little() {
    let mut site = Site::start();
    let (proxies, revision) = site.crowd();
    let (same, different) = proxies.split_at(50);
    for (number, proxy) in different.iter().enumerate() {
        site.refuse(proxy, revision, &format!("port {number} is taken"));
    }
    for proxy in same {
        site.refuse(proxy, revision, "what many say");
    }
    site.tell(0);
    let bytes = site.rows[0].as_ref().unwrap().parts[STANDING].1.len();
    assert!(bytes < 64 * 1024, "{bytes}");
    let receipts = [0, 1].map(|at| {
        let receipt = site.fleets[at].receipt(revision, &site.stage.published, site.stage.now);
        assert_eq!((receipt.refused_count, receipt.refused.len()), (10_000, 100));
        receipt
    });
    let names = receipts.each_ref().map(|receipt| {
        let refused = receipt.refused.iter();
        refused.map(|refusal| refusal.proxy.clone()).collect::<Vec<_>>()
    });
    assert_eq!(names[0], names[1]);

    let (views, _) = site.fleets[1].listed(&[ProxyStatus::Refused], &site.stage.published, site.stage.now);
    let words = |view: &ProxyView| {
        let violations = &view.refusal.as_ref().unwrap().violations;
        violations.first().map(|violation| violation.message.clone())
    };
    let mut told = BTreeMap::<_, usize>::new();
    for view in &views {
        *told.entry(words(view)).or_default() += 1;
    }
    // What most say first, then whose ids come first; the others refuse without words.
    assert_eq!(told[&Some("what many say".into())], 50);
    assert_eq!((told.len(), told[&None]), (101, 10_000 - 50 - 99));
}
