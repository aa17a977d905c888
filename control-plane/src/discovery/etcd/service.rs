//! What is registered for one service, as far as it was heard of. No IO.

use std::collections::BTreeMap;

use sluice_model::MAX_ENDPOINTS;
use sluice_proto::etcd::mvccpb::{Event, KeyValue, event::EventType};

use super::value::{self, ValueError};
use crate::compile::Found;

/// Most keys that are kept: the first ones, so that replicas keep the same.
pub(super) const MAX_KEYS: usize = MAX_ENDPOINTS;

/// The keys of one service.
#[derive(Debug, Default)]
pub(super) struct Service {
    keys: BTreeMap<Box<[u8]>, Result<Found, ValueError>>,
    /// There are more keys than are kept.
    is_cut: bool,
    /// Everything up to this revision of etcd is in `keys`; `None` before the first list.
    revision: Option<i64>,
    /// Which etcd that is a revision of, by its own name.
    cluster_id: u64,
    /// The keys say something else than when they were last told of.
    pub(super) is_dirty: bool,
}

/// A service listed anew, page by page.
#[derive(Debug, Default)]
pub(super) struct Listing {
    keys: BTreeMap<Box<[u8]>, Result<Found, ValueError>>,
    /// Keys after those that are kept were seen.
    pub(super) is_cut: bool,
    /// The revision at which it was listed.
    pub(super) revision: i64,
    /// Of which etcd, by its own name.
    pub(super) cluster_id: u64,
}

/// Whether what is kept can be gone on from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// It can.
    Watch,
    /// It has to be listed anew: of the keys that were left out some may count now.
    List,
}

impl Listing {
    /// Takes a page in; whether more are wanted.
    pub(super) fn add(&mut self, page: &[KeyValue]) -> bool {
        for pair in page {
            if self.keys.len() == MAX_KEYS {
                self.is_cut = true;
                return false;
            }
            if let Some(registered) = registered(pair) {
                self.keys.insert((*pair.key).into(), registered);
            }
        }
        true
    }
}

impl Service {
    /// The revision to go on from; `None` when it has to be listed.
    pub(super) fn resume_at(&self) -> Option<i64> {
        self.revision.map(|revision| revision + 1)
    }

    /// What was heard of is no base to go on from any more. It stays until there is better.
    pub(super) fn forget_revision(&mut self) {
        self.revision = None;
    }

    /// Whether what is known can be gone on from where the newest revision is `head`. It cannot when
    /// that is another etcd, or an earlier state of it, as after a restore.
    pub(super) fn goes_on(&self, cluster_id: u64, head: i64) -> bool {
        self.cluster_id == cluster_id && self.revision.is_some_and(|revision| revision <= head)
    }

    /// Everything anew.
    pub(super) fn listed(&mut self, listing: Listing) {
        self.is_dirty |= self.revision.is_none() || self.keys != listing.keys;
        self.keys = listing.keys;
        self.is_cut = listing.is_cut;
        self.revision = Some(listing.revision);
        self.cluster_id = listing.cluster_id;
    }

    /// What has happened since.
    pub(super) fn apply(&mut self, events: &[Event]) -> Next {
        let mut next = Next::Watch;
        for event in events {
            let Some(pair) = &event.kv else { continue };
            let registered = match event.r#type() {
                EventType::Put => registered(pair),
                EventType::Delete => None,
            };
            let changed = match registered {
                Some(registered) => {
                    let known = self.keys.insert((*pair.key).into(), registered.clone());
                    known.is_none_or(|known| known != registered)
                }
                None => {
                    let known = self.keys.remove(&*pair.key);
                    if known.is_some() && self.is_cut {
                        next = Next::List;
                    }
                    known.is_some()
                }
            };
            self.is_dirty |= changed;
            if self.keys.len() > MAX_KEYS {
                self.keys.pop_last();
                self.is_cut = true;
            }
        }
        next
    }

    /// Everything up to `revision` was heard of.
    pub(super) fn reached(&mut self, revision: i64) {
        if let Some(known) = &mut self.revision {
            *known = revision.max(*known);
        }
    }

    /// The endpoints, in the order of their keys.
    pub(super) fn found(&self) -> Vec<Found> {
        self.keys.values().flatten().copied().collect()
    }

    /// How many values are no endpoints, and what is wrong with the first; or that there are too many.
    pub(super) fn complaint(&self) -> (usize, Option<String>) {
        let mut bad = self
            .keys
            .iter()
            .filter_map(|(key, one)| one.as_ref().err().map(|error| (key, error)));
        let first = bad.next();
        let skipped = usize::from(first.is_some()) + bad.count();
        let told = first.map(|(key, error)| format!("{}: {error}", String::from_utf8_lossy(key)));
        let cut = self
            .is_cut
            .then(|| format!("there are more than {MAX_KEYS} keys: the last ones are left out"));
        (skipped, told.or(cut))
    }
}

/// What is registered under a key; `None` when its value takes it back.
fn registered(pair: &KeyValue) -> Option<Result<Found, ValueError>> {
    value::read(&pair.value).transpose()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pair(key: u16, port: u16) -> KeyValue {
        KeyValue {
            key: format!("s/{key:05}").into(),
            mod_revision: 1,
            value: format!(r#"{{"Addr":"10.0.0.1:{port}"}}"#).into(),
        }
    }

    fn event(kind: EventType, kv: KeyValue) -> Event {
        Event {
            r#type: kind.into(),
            kv: Some(kv),
        }
    }

    fn list(pairs: &[KeyValue], revision: i64) -> Listing {
        let mut listing = Listing {
            revision,
            ..Listing::default()
        };
        listing.add(pairs);
        listing
    }

    fn ports(service: &Service) -> Vec<u16> {
        service.found().iter().map(|one| one.port).collect()
    }

    #[test]
    fn a_service_is_listed_and_then_followed() {
        let mut service = Service::default();
        assert_eq!(service.resume_at(), None);
        service.listed(list(&[pair(1, 81), pair(2, 82)], 7));
        assert_eq!((ports(&service), service.resume_at()), (vec![81, 82], Some(8)));
        service.apply(&[
            event(EventType::Put, pair(1, 83)),
            event(EventType::Delete, pair(2, 0)),
        ]);
        service.reached(9);
        assert_eq!((ports(&service), service.resume_at()), (vec![83], Some(10)));
        // A progress report that is older than what was heard of takes nothing back.
        service.reached(3);
        assert_eq!(service.resume_at(), Some(10));
        assert_eq!([8, 9].map(|head| service.goes_on(0, head)), [false, true]);
        assert!(!service.goes_on(1, 9));
    }

    #[test]
    fn only_what_says_something_else_is_worth_telling() {
        let mut service = Service::default();
        // The first answer counts even when it is that there is nothing.
        service.listed(list(&[], 1));
        assert!(std::mem::take(&mut service.is_dirty));
        service.apply(&[event(EventType::Delete, pair(1, 81))]);
        assert!(!service.is_dirty);
        service.apply(&[event(EventType::Put, pair(1, 81))]);
        assert!(std::mem::take(&mut service.is_dirty));
        service.apply(&[event(EventType::Put, pair(1, 81))]);
        service.listed(list(&[pair(1, 81)], 2));
        assert!(!service.is_dirty);
    }

    #[test]
    fn values_that_are_no_endpoints_are_skipped_and_told() {
        let mut service = Service::default();
        let bad = KeyValue {
            value: "oops".into(),
            ..pair(1, 81)
        };
        service.listed(list(&[bad, pair(2, 82)], 1));
        assert_eq!(ports(&service), [82]);
        let (skipped, complaint) = service.complaint();
        assert_eq!(skipped, 1);
        assert!(complaint.unwrap().starts_with("s/00001: not JSON"));
        service.apply(&[event(EventType::Put, pair(1, 81))]);
        assert_eq!(service.complaint(), (0, None));
    }

    #[test]
    fn of_too_many_keys_the_first_count_whatever_the_order_they_came_in() {
        let all: Vec<_> = (0..=MAX_KEYS as u16).map(|key| pair(key, key + 1)).collect();
        let mut listed = Service::default();
        let listing = list(&all, 1);
        assert!(listing.is_cut);
        listed.listed(listing);
        let mut followed = Service::default();
        followed.listed(list(&all[1..], 1));
        followed.apply(&[event(EventType::Put, all[0].clone())]);
        assert_eq!(followed.found(), listed.found());
        assert!(followed.complaint().1.unwrap().contains("more than 10000 keys"));
        // One of the first goes: the one that was left out counts now.
        assert_eq!(
            listed.apply(&[event(EventType::Delete, all[5].clone())]),
            Next::List
        );
    }

    proptest! {
        #[test]
        fn following_comes_to_what_listing_says(
            steps in prop::collection::vec((0u16..8, prop::option::of(1u16..4)), 0..60),
            cut in 0usize..60,
        ) {
            let mut etcd: BTreeMap<u16, u16> = BTreeMap::new();
            let mut service = Service::default();
            service.listed(list(&[], 0));
            for (at, (key, port)) in steps.iter().enumerate() {
                let event = match port {
                    Some(port) => { etcd.insert(*key, *port); event(EventType::Put, pair(*key, *port)) }
                    None => { etcd.remove(key); event(EventType::Delete, pair(*key, 0)) }
                };
                service.apply(&[event]);
                if at == cut {
                    let pairs: Vec<_> = etcd.iter().map(|(key, port)| pair(*key, *port)).collect();
                    service.listed(list(&pairs, at as i64));
                }
            }
            prop_assert_eq!(ports(&service), etcd.values().copied().collect::<Vec<_>>());
        }
    }
}
