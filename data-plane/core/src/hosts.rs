//! Hostnames to values: exact by hash, wildcards by suffix, then any.

use sluice_model::Hostname;

use crate::map::Map;

/// Values by hostname, found from the most specific to the least.
#[derive(Clone, Debug)]
pub(crate) struct Hosts<T> {
    exact: Map<Box<str>, T>,
    wildcard: Map<Box<str>, T>,
    any: Option<T>,
}

impl<T: Clone> Hosts<T> {
    pub(crate) fn new() -> Self {
        Self {
            exact: Map::default(),
            wildcard: Map::default(),
            any: None,
        }
    }

    /// The value of `hostname` itself, put there if it is missing.
    pub(crate) fn entry(&mut self, hostname: &Hostname, new: impl FnOnce() -> T) -> &mut T {
        match hostname {
            Hostname::Exact(name) => self.exact.entry(name.clone()).or_insert_with(new),
            Hostname::Wildcard(suffix) => self.wildcard.entry(suffix.clone()).or_insert_with(new),
            Hostname::Any => self.any.get_or_insert_with(new),
        }
    }

    /// The value of exactly this hostname.
    pub(crate) fn get(&self, hostname: &Hostname) -> Option<&T> {
        match hostname {
            Hostname::Exact(name) => self.exact.get(name),
            Hostname::Wildcard(suffix) => self.wildcard.get(suffix),
            Hostname::Any => self.any.as_ref(),
        }
    }

    pub(crate) fn get_mut(&mut self, hostname: &Hostname) -> Option<&mut T> {
        match hostname {
            Hostname::Exact(name) => self.exact.get_mut(name),
            Hostname::Wildcard(suffix) => self.wildcard.get_mut(suffix),
            Hostname::Any => self.any.as_mut(),
        }
    }

    pub(crate) fn remove(&mut self, hostname: &Hostname) {
        match hostname {
            Hostname::Exact(name) => drop(self.exact.remove(name)),
            Hostname::Wildcard(suffix) => drop(self.wildcard.remove(suffix)),
            Hostname::Any => self.any = None,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.wildcard.is_empty() && self.any.is_none()
    }

    /// All values, in no order.
    pub(crate) fn values(&self) -> impl Iterator<Item = &T> {
        self.exact.values().chain(self.wildcard.values()).chain(&self.any)
    }

    /// All hostnames, in no order.
    pub(crate) fn names(&self) -> impl Iterator<Item = Hostname> {
        let exact = self.exact.keys().cloned().map(Hostname::Exact);
        let wildcard = self.wildcard.keys().cloned().map(Hostname::Wildcard);
        exact
            .chain(wildcard)
            .chain(self.any.as_ref().map(|_| Hostname::Any))
    }

    /// Values whose hostname lies beneath `hostname`, in no order: under a wildcard what ends like it, and for
    /// others nothing. Looks at all names.
    pub(crate) fn beneath<'a>(&'a self, hostname: &Hostname) -> impl Iterator<Item = &'a T> {
        let suffix = match hostname {
            Hostname::Wildcard(suffix) => Some(&**suffix),
            Hostname::Exact(_) | Hostname::Any => None,
        };
        let is_below = move |name: &str| {
            suffix.is_some_and(|suffix| name.len() > suffix.len() && name.ends_with(suffix))
        };
        let all = [&self.exact, &self.wildcard].into_iter().flatten();
        all.filter(move |(name, _)| is_below(name))
            .map(|(_, value)| value)
    }

    /// How many hostnames there are.
    pub(crate) fn len(&self) -> usize {
        self.exact.len() + self.wildcard.len() + usize::from(self.any.is_some())
    }

    /// The value of [`Hostname::Any`] itself.
    pub(crate) fn any(&self) -> Option<&T> {
        self.any.as_ref()
    }

    /// As [`Self::covering`], with the hostnames.
    pub(crate) fn covering_named<'a>(&'a self, host: &str) -> impl Iterator<Item = (Hostname, &'a T)> {
        let exact = self.exact.get_key_value(host);
        let exact = exact.map(|(name, value)| (Hostname::Exact(name.clone()), value));
        let suffixes = memchr::memchr_iter(b'.', host.as_bytes()).filter(|at| *at > 0);
        let wildcards = suffixes.filter_map(|at| self.wildcard.get_key_value(&host[at..]));
        let wildcards = wildcards.map(|(suffix, value)| (Hostname::Wildcard(suffix.clone()), value));
        let any = self.any.as_ref().map(|value| (Hostname::Any, value));
        exact.into_iter().chain(wildcards).chain(any)
    }

    /// Values whose hostname nearly takes `host`: with `www.` before it, below it, and the names above it.
    pub(crate) fn beside(&self, host: &str) -> impl Iterator<Item = &T> {
        let sibling = self.exact.get(&*format!("www.{host}"));
        let below = self.wildcard.get(&*format!(".{host}"));
        let dots = memchr::memchr_iter(b'.', host.as_bytes());
        let above = dots.filter_map(|at| self.exact.get(&host[at + 1..]));
        let above: Vec<&T> = above.collect();
        sibling.into_iter().chain(below).chain(above)
    }

    /// Values whose hostname takes `host`: exact, then wildcards from the longest, then any.
    #[inline]
    pub(crate) fn covering<'a>(&'a self, host: &str) -> impl Iterator<Item = &'a T> {
        let exact = (!self.exact.is_empty()).then(|| self.exact.get(host)).flatten();
        let dots = (!self.wildcard.is_empty()).then(|| memchr::memchr_iter(b'.', host.as_bytes()));
        // A suffix at 0 would leave nothing for the `*`.
        let suffixes = dots.into_iter().flatten().filter(|at| *at > 0);
        let wildcards = suffixes.filter_map(|at| self.wildcard.get(&host[at..]));
        exact.into_iter().chain(wildcards).chain(&self.any)
    }
}
