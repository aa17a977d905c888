//! Which proxies Gateways are for.

use std::sync::Arc;

use imbl::OrdMap;
use sluice_intent::{Kind, LabelSelector, Labels, Resource, ResourceId};

use super::view_key::ViewKey;

/// Most different proxy selectors: each costs a little whenever something for everybody changes.
pub(super) const MAX_SELECTORS: usize = 64;

/// Who a Gateway is for: the proxies that a selector names, in its one spelling; `None` is all.
pub(super) type Address = Option<Arc<str>>;

/// The selectors of all Gateways. Persistent: a change shares what it does not touch.
#[derive(Clone, Debug, Default)]
pub(super) struct Addressing {
    selectors: OrdMap<Arc<str>, Selector>,
    /// By `NAMESPACE/NAME`, only those with a selector.
    gateways: OrdMap<Arc<str>, Arc<str>>,
}

#[derive(Clone, Debug)]
struct Selector {
    parsed: Arc<LabelSelector>,
    /// How many Gateways have it.
    gateways: usize,
}

impl Addressing {
    pub(super) fn insert(&mut self, resource: &Resource) {
        // Every resource was read with a selector that reads, if it has one.
        let Ok(Some(parsed)) = resource.proxy_selector() else {
            return;
        };
        let spelling: Arc<str> = parsed.to_string().into();
        self.gateways
            .insert(owner(&resource.id).into(), Arc::clone(&spelling));
        let known = self.selectors.entry(spelling).or_insert_with(|| Selector {
            parsed: Arc::new(parsed),
            gateways: 0,
        });
        known.gateways += 1;
    }

    pub(super) fn remove(&mut self, resource: &Resource) {
        if resource.id.kind != Kind::Gateway {
            return;
        }
        let Some(spelling) = self.gateways.remove(owner(&resource.id).as_str()) else {
            return;
        };
        let left = self.selectors.get_mut(&spelling).map_or(0, |selector| {
            selector.gateways -= 1;
            selector.gateways
        });
        if left == 0 {
            self.selectors.remove(&spelling);
        }
    }

    /// Whether every Gateway is for every proxy.
    pub(super) fn is_empty(&self) -> bool {
        self.gateways.is_empty()
    }

    /// How many different selectors there are.
    pub(super) fn len(&self) -> usize {
        self.selectors.len()
    }

    /// The selectors, in order.
    pub(super) fn selectors(&self) -> impl Iterator<Item = &Arc<str>> {
        self.selectors.keys()
    }

    /// Whether any Gateway has this selector.
    pub(super) fn has(&self, selector: &str) -> bool {
        self.selectors.contains_key(selector)
    }

    /// Who the Gateway `NAMESPACE/NAME` is for.
    pub(super) fn of(&self, gateway: &str) -> Address {
        self.gateways.get(gateway).cloned()
    }

    /// The selectors that `labels` match.
    pub(super) fn view_of(&self, labels: &Labels) -> ViewKey {
        let matching = self
            .selectors
            .iter()
            .filter(|(_, selector)| selector.parsed.matches(labels));
        matching.map(|(spelling, _)| Arc::clone(spelling)).collect()
    }

    /// Whether any proxy can be served by both Gateways.
    pub(super) fn overlap(&self, one: &ResourceId, other: &ResourceId) -> bool {
        let parsed = |gateway| {
            let spelling = self.gateways.get(owner(gateway).as_str())?;
            self.selectors.get(spelling).map(|selector| &selector.parsed)
        };
        match (parsed(one), parsed(other)) {
            (Some(one), Some(other)) => one.overlaps(other),
            _ => true,
        }
    }

    /// The Gateways that are for other proxies than in `before`, as `NAMESPACE/NAME`.
    pub(super) fn moved_since<'a>(&'a self, before: &'a Self) -> impl Iterator<Item = &'a str> {
        use imbl::ordmap::DiffItem;
        before.gateways.diff(&self.gateways).map(|item| match item {
            DiffItem::Add(gateway, _) | DiffItem::Remove(gateway, _) => &**gateway,
            DiffItem::Update {
                new: (gateway, _), ..
            } => &**gateway,
        })
    }
}

/// `NAMESPACE/NAME`, as [`Key::owner`](sluice_model::Key::owner) has it.
fn owner(id: &ResourceId) -> String {
    format!("{}/{}", id.namespace, id.name)
}
