//! Labels of proxies that operators set, over those that proxies say of themselves.

use std::sync::Arc;

use imbl::OrdMap;
use sluice_intent::{LabelKey, LabelValue, Labels};

use crate::store::{Store, StoreError};

/// Most labels that operators set on one proxy.
pub const MAX_OPERATOR_LABELS: usize = 64;

/// The labels that operators set, by proxy. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct OperatorLabels {
    by_proxy: OrdMap<Arc<str>, Arc<Labels>>,
    /// The newest change in the store that is in here.
    version: u64,
    /// How often the store had connected anew when that was read.
    reconnects: u64,
}

impl OperatorLabels {
    /// Those of one proxy, if it has any.
    pub fn of(&self, proxy: &str) -> Option<&Labels> {
        self.by_proxy.get(proxy).map(Arc::as_ref)
    }

    /// What one proxy is said to have.
    #[cfg(test)]
    pub(crate) fn for_test(proxy: &str, labels: &[(&str, &str)]) -> Self {
        let labels = Arc::new(readable(labels.iter().copied()));
        Self {
            by_proxy: OrdMap::unit(proxy.into(), labels),
            version: 0,
            reconnects: 0,
        }
    }

    /// What is in the store now; `None` when that is this. All of it is read after the store connected
    /// anew, for numbers that a database has lost are given again.
    ///
    /// # Errors
    /// When the store does not answer.
    pub(super) async fn refreshed(&self, store: &Store) -> Result<Option<Self>, StoreError> {
        let reconnects = store.reconnects();
        let mut next = match self.reconnects == reconnects {
            true => self.clone(),
            false => Self {
                reconnects,
                ..Self::default()
            },
        };
        let changes = store.proxy_labels_since(next.version).await?;
        if self.reconnects == reconnects && changes.is_empty() {
            return Ok(None);
        }
        for change in changes {
            next.version = next.version.max(change.version);
            let proxy: Arc<str> = change.proxy.into();
            match change.labels.is_empty() {
                true => {
                    next.by_proxy.remove(&proxy);
                }
                false => {
                    let labels = change.labels.iter().map(|(key, value)| (&**key, &**value));
                    next.by_proxy.insert(proxy, Arc::new(readable(labels)));
                }
            }
        }
        Ok(Some(next))
    }
}

/// Those that selectors can name; what is no label to Kubernetes cannot be selected by.
pub fn readable<'a>(labels: impl IntoIterator<Item = (&'a str, &'a str)>) -> Labels {
    let read = |(key, value): (&str, &str)| {
        let (key, value): (LabelKey, LabelValue) = (key.parse().ok()?, value.parse().ok()?);
        Some((key, value))
    };
    labels.into_iter().filter_map(read).collect()
}
