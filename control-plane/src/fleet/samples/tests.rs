//! What is kept of what proxies tell, and for how long.

mod keep;

use proptest::prelude::*;

use super::*;

/// What a proxy knows a key by, here.
const KEY: [u8; 8] = [7; 8];

fn request(path: &str, weight: u64, headers: &[(&str, Value)]) -> v1::SampledRequest {
    let header = |(name, value): &(&str, Value)| v1::SampledHeader {
        name: (*name).to_owned(),
        value: Some(value.clone()),
    };
    v1::SampledRequest {
        port: 80,
        method: "GET".into(),
        host: "a.x".into(),
        path: path.into(),
        query: None,
        headers: headers.iter().map(header).collect(),
        weight,
    }
}

fn told(requests: Vec<v1::SampledRequest>) -> v1::Samples {
    v1::Samples {
        headers: vec!["cookie".into()],
        query: false,
        requests,
        key_id: KEY.to_vec(),
        left_out: 0,
    }
}

/// So many different requests, each standing for `weight`.
fn many(name: &str, count: usize, weight: u64) -> v1::Samples {
    told(
        (0..count)
            .map(|at| request(&format!("/{name}/{at:06}"), weight, &[]))
            .collect(),
    )
}

/// Paths and weights of one group.
fn weights(members: &Members) -> Vec<(String, u64)> {
    members.requests().map(|one| (one.path, one.weight)).collect()
}

fn all(kinds: &Kinds) -> Vec<(String, u64)> {
    kinds.groups().flat_map(|(_, members)| weights(members)).collect()
}

fn sum(kinds: &Kinds) -> u64 {
    all(kinds).iter().map(|(_, weight)| weight).sum()
}

/// What lies in the shelves.
fn told_so_far(heard: &Samples) -> Vec<Arc<Told>> {
    let shelves = heard.shelves.iter();
    shelves
        .flat_map(|shelf| lock(shelf).values().cloned().collect::<Vec<_>>())
        .collect()
}

fn everybody() -> ViewKey {
    ViewKey::default()
}

#[test]
fn what_is_equal_is_one_and_views_and_keys_are_told_apart() {
    let heard = Samples::default();
    let eu = ViewKey::from("zone=eu");
    heard.fold(
        "a",
        &everybody(),
        3,
        told(vec![request("/a", 2, &[]), request("/b", 1, &[])]),
    );
    heard.fold(
        "b",
        &everybody(),
        3,
        told(vec![request("/a", 3, &[]), request("/c", 0, &[])]),
    );
    heard.fold("c", &eu, 3, told(vec![request("/a", 7, &[])]));
    let other = v1::Samples {
        key_id: vec![8; 8],
        left_out: 5,
        ..told(vec![request("/a", 9, &[])])
    };
    heard.fold("c", &eu, 3, other);
    let kinds = heard.take();
    let groups: Vec<_> = kinds
        .groups()
        .map(|(group, members)| {
            let view = group.selectors.join(";");
            (view, group.key_id[0], weights(members), members.left_out())
        })
        .collect();
    let of = |pairs: &[(&str, u64)]| -> Vec<(String, u64)> {
        pairs
            .iter()
            .map(|(path, weight)| ((*path).to_owned(), *weight))
            .collect()
    };
    assert_eq!(
        groups,
        [
            (String::new(), 7, of(&[("/a", 5), ("/b", 1)]), 0),
            ("zone=eu".to_owned(), 7, of(&[("/a", 7)]), 0),
            ("zone=eu".to_owned(), 8, of(&[("/a", 9)]), 5),
        ]
    );
    assert!(heard.heard().is_empty());
    // A request that stands for none is none.
    assert_eq!(heard.lost(Lost::Malformed), 1);
}

#[test]
fn credentials_are_concealed_and_what_no_proxy_would_tell_is_counted() {
    let heard = Samples::default();
    let secret = |name| request("/a", 1, &[(name, Value::Text("sid=secret".into()))]);
    let long = request(&"/".repeat(MAX_REQUEST), 1, &[]);
    let requests = vec![secret("cookie"), secret("Authorization"), long];
    heard.fold("a", &everybody(), 1, told(requests));
    let kinds = heard.heard();
    assert!(!format!("{:?}", kinds.to_stored()).contains("secret"));
    assert_eq!((kinds.len(), heard.lost(Lost::Malformed)), (2, 1));
    for wrong in [
        v1::Samples {
            headers: vec!["x".into(); MAX_HEADERS + 1],
            ..many("b", 1, 1)
        },
        v1::Samples {
            headers: vec!["x".repeat(MAX_NAME + 1)],
            ..many("b", 1, 1)
        },
        v1::Samples {
            key_id: Vec::new(),
            ..many("b", 1, 1)
        },
        many("b", 1, MAX_WEIGHT + 1),
    ] {
        heard.fold("a", &everybody(), 1, wrong);
    }
    assert_eq!((heard.heard().len(), heard.lost(Lost::Malformed)), (2, 5));
    heard.fold("a", &everybody(), 1, many("b", MAX_KINDS + 3, 1));
    assert_eq!(heard.lost(Lost::Malformed), 8);
}

#[test]
fn a_proxy_that_tells_too_much_takes_no_room_of_others() {
    let heard = Samples::default();
    let honest = ["b", "c", "d"];
    for round in 0..40 {
        heard.fold(
            "a",
            &everybody(),
            4,
            many(&format!("flood-{round}"), MAX_KINDS, 1_000),
        );
        // Another way of looking each time, and there are not so many.
        let other = v1::Samples {
            headers: vec![format!("x-{round}")],
            ..many("flood", 10, 1)
        };
        heard.fold("a", &everybody(), 4, other);
    }
    for proxy in honest {
        heard.fold(
            proxy,
            &ViewKey::from(format!("zone={proxy}").as_str()),
            4,
            many(proxy, 500, 2),
        );
    }
    assert!(heard.bytes.load(Ordering::Relaxed) <= MAX_BYTES);
    let lost = heard.lost(Lost::Room);
    assert!(lost > 0);
    let row = heard.take();
    assert!(row.bytes() <= ROW_BYTES, "{}", row.bytes());
    assert!(row.to_stored().encoded_len() <= ROW_BYTES + 64 * 1024);
    assert!(row.group_count() <= MAX_GROUPS + honest.len());
    for proxy in honest {
        let mut own = row
            .groups()
            .filter(|(group, _)| group.selectors.join("") == format!("zone={proxy}"));
        let (_, members) = own.next().unwrap();
        assert_eq!(weights(members).len(), 500, "all of {proxy}");
        assert!(weights(members).iter().all(|(_, weight)| *weight == 2));
    }
    // What stands for its flood is less, and stands for all of it that was taken.
    let flood: u64 = all(&row)
        .iter()
        .filter(|(path, _)| path.starts_with("/flood"))
        .map(|one| one.1)
        .sum();
    let others = 40 * 10 - lost;
    assert_eq!(flood, 40 * MAX_KINDS as u64 * 1_000 + others);
    assert!(told_so_far(&heard).is_empty() && heard.bytes.load(Ordering::Relaxed) == 0);
}

#[test]
fn what_is_more_than_a_share_is_made_fewer_and_whoever_reads_has_it_as_it_was() {
    let (heard, fleet) = (Samples::default(), 10_000);
    heard.fold("a", &everybody(), fleet, many("a", 2_000, 3));
    let read = told_so_far(&heard);
    heard.fold("a", &everybody(), fleet, many("b", 2_000, 4));
    assert_eq!(sum(&row(read).0), 6_000);
    let now = heard.heard();
    assert!(
        now.bytes() <= MAX_BYTES / fleet && now.len() > 5,
        "{} {}",
        now.bytes(),
        now.len()
    );
    assert_eq!((sum(&now), sum(&heard.take())), (14_000, 14_000));
    assert!(heard.heard().is_empty());
    for (fleet, kinds) in [(0, 2_000), (50, 2_000), (1_000, 100), (50_000, 8)] {
        assert_eq!(asked_kinds(fleet), kinds, "one of {fleet}");
    }
}

#[test]
fn no_proxy_waits_for_another_and_what_all_tell_at_once_is_all_there() {
    let heard = Samples::default();
    let is_elsewhere = |name: &String| !std::ptr::eq(heard.shelf(name), heard.shelf("held"));
    let others: Vec<String> = (0..)
        .map(|at| format!("edge-{at}"))
        .filter(is_elsewhere)
        .take(8)
        .collect();
    let held = lock(heard.shelf("held"));
    std::thread::scope(|scope| {
        let told = others.iter().map(|name| {
            let heard = &heard;
            scope.spawn(move || {
                for round in 0..20 {
                    heard.fold(name, &everybody(), 8, many(&format!("{name}/{round}"), 5, 3));
                }
            })
        });
        // They end while the lock of another shelf is held.
        for one in told.collect::<Vec<_>>() {
            one.join().unwrap();
        }
        drop(held);
    });
    heard.fold("held", &everybody(), 8, many("held", 1, 1));
    let kept: usize = told_so_far(&heard).iter().map(|told| told.bytes).sum();
    assert_eq!(heard.bytes.load(Ordering::Relaxed), kept);
    assert_eq!(sum(&heard.take()), 8 * 20 * 5 * 3 + 1);
    assert_eq!(
        (heard.bytes.load(Ordering::Relaxed), heard.lost(Lost::Room)),
        (0, 0)
    );
}

#[test]
fn all_shelves_share_one_bound() {
    let heard = Samples::default();
    // As if others were about to put so much there.
    heard.bytes.fetch_add(2 * MAX_BYTES - 10, Ordering::Relaxed);
    heard.fold("a", &everybody(), 1, many("a", 3, 1));
    assert_eq!(heard.lost(Lost::Room), 3);
    assert_eq!(heard.bytes.load(Ordering::Relaxed), 2 * MAX_BYTES - 10);
    heard.bytes.fetch_sub(2 * MAX_BYTES - 10, Ordering::Relaxed);
    heard.fold("a", &everybody(), 1, many("a", 3, 1));
    assert_eq!(heard.take().len(), 3);
}

#[test]
fn more_requests_than_there_can_have_been_are_refused() {
    let heard = Samples::default();
    heard.fold("a", &everybody(), 1, many("a", 1, MAX_WEIGHT));
    heard.fold("a", &everybody(), 1, many("b", 2, 1));
    heard.fold("b", &everybody(), 1, many("b", 1, 1));
    assert_eq!(heard.lost(Lost::Room), 2);
    assert_eq!(
        all(&heard.take()),
        [("/a/000000".to_owned(), MAX_WEIGHT), ("/b/000000".to_owned(), 1)]
    );
    // The next minute is another.
    heard.fold("a", &everybody(), 1, many("b", 2, 1));
    assert_eq!(heard.take().len(), 2);
}

#[test]
fn where_many_proxies_tell_all_of_them_share_a_row() {
    let heard = Samples::default();
    let proxies = ROW_BYTES / 64;
    for at in 0..proxies {
        heard.fold(
            &format!("edge-{at}"),
            &everybody(),
            proxies,
            many(&format!("p{at}"), 3, 1),
        );
    }
    let row = heard.take();
    assert!(
        row.bytes() <= ROW_BYTES && row.len() > 100,
        "{} {}",
        row.bytes(),
        row.len()
    );
    assert_eq!(sum(&row), 3 * proxies as u64);
    assert_eq!(heard.lost(Lost::Room), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn whatever_is_left_of_kinds_stands_for_all_of_them(
        groups in prop::collection::vec(prop::collection::vec((0..400_u32, 1..5_000_u64), 0..80), 1..6),
        bytes in 0..6_000_usize,
    ) {
        let mut kinds = Kinds::default();
        for (at, requests) in groups.iter().enumerate() {
            let group = Group {
                selectors: vec![format!("zone={at}")],
                headers: Vec::new(),
                query: false,
                key_id: KEY.to_vec(),
            };
            let told = requests.iter().map(|(path, weight)| {
                (request(&format!("/{path}"), 0, &[]).encode_to_vec(), *weight)
            });
            prop_assert!(kinds.add(&group, told, 0));
        }
        let before = sum(&kinds);
        kinds.thin(bytes, random);
        prop_assert_eq!(sum(&kinds), before);
        prop_assert!(kinds.bytes() <= bytes || kinds.len() <= 1);
        let stored = kinds.to_stored();
        let mut again = Kinds::default();
        prop_assert_eq!(again.merge_stored(stored.clone()), 0);
        prop_assert_eq!(again.to_stored(), stored);
    }
}
