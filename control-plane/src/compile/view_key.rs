//! Which part of everything a proxy gets.

use std::fmt;
use std::sync::Arc;

use super::addressing::Address;

/// The proxy selectors that a proxy's labels match. Proxies that match the same ones get the same:
/// what hangs on Gateways with these selectors, and on Gateways without any.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ViewKey(Arc<[Arc<str>]>);

impl ViewKey {
    /// The selectors, in their one spelling, in order. None: only what is for everybody.
    pub fn selectors(&self) -> &[Arc<str>] {
        &self.0
    }

    /// Whether what has this address is in the view.
    pub(super) fn has(&self, address: &Address) -> bool {
        match address {
            None => true,
            Some(selector) => self.0.binary_search(selector).is_ok(),
        }
    }

    /// The same view where only selectors that `exist` are told apart.
    pub(super) fn among(&self, exists: impl Fn(&str) -> bool) -> Self {
        match self.0.iter().all(|selector| exists(selector)) {
            true => self.clone(),
            false => self
                .0
                .iter()
                .filter(|selector| exists(selector))
                .cloned()
                .collect(),
        }
    }
}

impl FromIterator<Arc<str>> for ViewKey {
    fn from_iter<I: IntoIterator<Item = Arc<str>>>(selectors: I) -> Self {
        let mut selectors: Vec<_> = selectors.into_iter().collect();
        selectors.sort_unstable();
        selectors.dedup();
        Self(selectors.into())
    }
}

/// Reads what [`ViewKey`] prints.
impl From<&str> for ViewKey {
    fn from(text: &str) -> Self {
        let selectors = text.split(';').filter(|selector| !selector.is_empty());
        selectors.map(Arc::from).collect()
    }
}

/// The selectors, with semicolons between them.
impl fmt::Display for ViewKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(";"))
    }
}
