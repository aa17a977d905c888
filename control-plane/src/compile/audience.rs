//! Who each wire resource is for. A listener is for whom its Gateway is for, a route for whom its
//! listeners are for, and everything else for whom that is for which refers to it.
//!
//! How often a resource is referred to by what is for whom is counted, so that a change costs what
//! it changes: a reference more or less is a look at one count, however many others there are.

use std::collections::BTreeSet;
use std::sync::Arc;

use imbl::OrdMap;
use sluice_core::{Entry, ResourceSet};
use sluice_model::{Key, Kind};
use sluice_proto::v1;

use super::addressing::{Address, Addressing};
use super::view_key::ViewKey;

/// References to one resource, by whom they are for; in order, and none of them 0.
type Counts = Arc<[(Address, u32)]>;

/// References to what can be referred to. Persistent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct References(OrdMap<Key, Counts>);

/// Who one resource is for: any of these. Nobody, when nothing leads to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Audience(BTreeSet<Address>);

impl Audience {
    /// Whether the resource is in the view.
    pub(super) fn meets(&self, view: &ViewKey) -> bool {
        self.0.iter().any(|address| view.has(address))
    }
}

impl References {
    fn count(&mut self, key: &Key, audience: &Audience, more: bool) {
        let mut counts = self.0.get(key).map_or_else(Vec::new, |counts| counts.to_vec());
        for address in &audience.0 {
            match counts.binary_search_by(|(known, _)| known.cmp(address)) {
                Ok(at) if more => counts[at].1 += 1,
                Ok(at) if counts[at].1 > 1 => counts[at].1 -= 1,
                Ok(at) => drop(counts.remove(at)),
                Err(at) if more => counts.insert(at, (address.clone(), 1)),
                Err(_) => {}
            }
        }
        match counts.is_empty() {
            true => self.0.remove(key),
            false => self.0.insert(key.clone(), counts.into()),
        };
    }
}

/// Everything that says who resources are for, at one moment.
#[derive(Clone, Copy)]
pub(super) struct Moment<'a> {
    pub(super) addressing: &'a Addressing,
    pub(super) references: &'a References,
    pub(super) resources: &'a ResourceSet,
}

impl Moment<'_> {
    /// Who the resource under `key` is for.
    pub(super) fn audience(&self, key: &Key) -> Audience {
        let of_sibling = |kind| {
            key.sibling(kind)
                .map(|key| self.audience(&key))
                .unwrap_or_default()
        };
        match key.kind() {
            Kind::Tickets => Audience([None].into()),
            Kind::Listener => Audience([self.addressing.of(key.owner())].into()),
            Kind::Route => Audience(self.attached(key).into_iter().collect()),
            Kind::Rule | Kind::Split => of_sibling(Kind::Route),
            Kind::Endpoints => of_sibling(Kind::Backend),
            Kind::Certificate | Kind::Trust | Kind::Backend | Kind::Experiment => {
                let counts = self.references.0.get(key);
                let addresses = counts.into_iter().flat_map(|counts| counts.iter());
                Audience(addresses.map(|(address, _)| address.clone()).collect())
            }
        }
    }

    /// The resource under `key` as it is in `view`: routes have only the attachments to listeners that
    /// are in it too.
    pub(super) fn entry(&self, key: &Key, view: &ViewKey) -> Option<Entry> {
        let entry = self.resources.get(key)?;
        if key.kind() != Kind::Route {
            return Some(entry.clone());
        }
        let mut route = read::<v1::Route>(entry);
        let all = route.attachments.len();
        route
            .attachments
            .retain(|attachment| view.has(&self.address_of(&attachment.listener)));
        Some(match route.attachments.len() == all {
            true => entry.clone(),
            false => Entry::new(key.clone(), &route),
        })
    }

    /// Whom the listeners of a route are for.
    fn attached(&self, route: &Key) -> Vec<Address> {
        let entry = self.resources.get(route);
        let attachments = entry.map(|entry| read::<v1::Route>(entry).attachments);
        let attachments = attachments.unwrap_or_default();
        attachments
            .iter()
            .map(|one| self.address_of(&one.listener))
            .collect()
    }

    fn address_of(&self, listener: &str) -> Address {
        Key::parse(listener)
            .ok()
            .and_then(|key| self.addressing.of(key.owner()))
    }
}

/// Counts references anew after the resources under `changed` changed, or who they are for; all
/// resources that may be for others than before, those under `changed` among them.
pub(super) fn recount(
    before: Moment<'_>,
    after: (&Addressing, &ResourceSet),
    changed: impl IntoIterator<Item = Key>,
) -> (References, BTreeSet<Key>) {
    let mut references = before.references.clone();
    let mut queue: BTreeSet<(u8, Key)> = changed.into_iter().map(ranked).collect();
    let mut touched = BTreeSet::new();
    // What refers comes before what is referred to, so each is looked at once.
    while let Some((_, key)) = queue.pop_first() {
        let now = Moment {
            addressing: after.0,
            references: &references,
            resources: after.1,
        };
        let audiences = [before.audience(&key), now.audience(&key)];
        let entries = [before.resources.get(&key), after.1.get(&key)];
        let moved = audiences[0] != audiences[1];
        if moved || entries[0] != entries[1] {
            for ((entry, audience), more) in entries.into_iter().zip(&audiences).zip([false, true]) {
                for target in entry.map(targets).unwrap_or_default() {
                    references.count(&target, audience, more);
                    queue.insert(ranked(target));
                }
            }
        }
        if moved && key.kind() == Kind::Backend {
            queue.extend(key.sibling(Kind::Endpoints).map(ranked));
        }
        touched.insert(key);
    }
    (references, touched)
}

/// References lead from lower to higher ranks.
fn ranked(key: Key) -> (u8, Key) {
    let rank = match key.kind() {
        Kind::Tickets | Kind::Listener | Kind::Route => 0,
        Kind::Rule | Kind::Split => 1,
        Kind::Experiment => 2,
        Kind::Backend => 3,
        Kind::Endpoints | Kind::Certificate | Kind::Trust => 4,
    };
    (rank, key)
}

/// What an entry refers to and so takes to its own proxies; each once.
fn targets(entry: &Entry) -> BTreeSet<Key> {
    let mut texts: Vec<String> = Vec::new();
    match entry.key.kind() {
        Kind::Listener => {
            let tls = read::<v1::Listener>(entry).tls.unwrap_or_default();
            texts.extend(tls.certificates);
            texts.extend(tls.client.map(|client| client.trust).unwrap_or_default());
        }
        Kind::Rule => {
            let rule = read::<v1::Rule>(entry);
            texts.push(rule.target);
            texts.extend(rule.mirrors.into_iter().map(|mirror| mirror.backend));
        }
        Kind::Split => texts.extend(weighted(read::<v1::Split>(entry).backends)),
        Kind::Experiment => {
            let variants = read::<v1::Experiment>(entry).variants.into_iter();
            texts.extend(variants.flat_map(|variant| weighted(variant.backends)));
        }
        Kind::Backend => {
            let tls = read::<v1::Backend>(entry).tls.unwrap_or_default();
            texts.extend(tls.trust);
            texts.push(tls.client_certificate);
        }
        Kind::Certificate | Kind::Trust | Kind::Tickets | Kind::Endpoints | Kind::Route => {}
    }
    // An empty reference dangles; a split is where its rule is.
    let keys = texts.iter().filter_map(|text| Key::parse(text).ok());
    keys.filter(|key| key.kind() != Kind::Split).collect()
}

fn weighted(backends: Vec<v1::WeightedBackend>) -> impl Iterator<Item = String> {
    backends.into_iter().flat_map(|one| {
        let mirrors = one.filters.map(|filters| filters.mirrors).unwrap_or_default();
        std::iter::once(one.backend).chain(mirrors.into_iter().map(|mirror| mirror.backend))
    })
}

/// The message in an entry that was encoded here.
fn read<M: prost::Message + Default>(entry: &Entry) -> M {
    M::decode(entry.body.clone()).unwrap_or_else(|error| {
        tracing::error!(key = %entry.key, %error, "a resource does not read");
        M::default()
    })
}
