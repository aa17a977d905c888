//! The kinds of hosts that a port tells apart, each with names that stand for all of its kind.

use std::collections::BTreeSet;

use sluice_model::Hostname;

/// Labels for names that no hostname has; two, so that one of them is not what a redirect names.
const FRESH: [&str; 2] = ["any", "other"];

/// Hostnames of one port, sorted from their ends: those below a wildcard are neighbours.
#[derive(Debug)]
pub(super) struct HostIndex {
    reversed: Vec<(String, Hostname)>,
    exact: BTreeSet<Box<str>>,
}

impl HostIndex {
    /// All of `names`; [`Hostname::Any`] is always one of them.
    pub(super) fn new(names: impl IntoIterator<Item = Hostname>) -> Self {
        let all: BTreeSet<Hostname> = names.into_iter().chain([Hostname::Any]).collect();
        let exact = all.iter().filter_map(|name| match name {
            Hostname::Exact(name) => Some(name.clone()),
            Hostname::Wildcard(_) | Hostname::Any => None,
        });
        let exact = exact.collect();
        let mut reversed: Vec<_> = all.into_iter().map(|name| (reverse(&name), name)).collect();
        reversed.sort_unstable();
        Self { reversed, exact }
    }

    /// The hostnames that `region` takes requests from: itself, and all below it. A host is of the kind
    /// of the most specific one that has it.
    pub(super) fn below<'a>(&'a self, region: &Hostname) -> impl Iterator<Item = &'a Hostname> {
        let end = reverse(region);
        let start = self.reversed.partition_point(|(name, _)| *name < end);
        let is_exact = matches!(region, Hostname::Exact(_));
        self.reversed[start..]
            .iter()
            .take_while(move |(name, _)| {
                if is_exact {
                    *name == end
                } else {
                    name.starts_with(&end)
                }
            })
            .map(|(_, name)| name)
    }

    /// Names of the kind of `hostname` and of no more specific one: the only one, or two of many.
    /// None if it cannot be asked for.
    pub(super) fn names(&self, hostname: &Hostname) -> Vec<String> {
        match hostname {
            Hostname::Exact(name) => vec![name.to_string()],
            Hostname::Wildcard(suffix) => self.fresh(suffix),
            Hostname::Any => self.fresh(""),
        }
    }

    fn fresh(&self, suffix: &str) -> Vec<String> {
        let numbered = (0..).flat_map(|round| FRESH.map(|label| (label, round)));
        let names = numbered.map(|(label, round)| match round {
            0 => format!("{label}{suffix}"),
            round => format!("{label}{round}{suffix}"),
        });
        names
            .filter(|name| !self.exact.contains(name.as_str()))
            .take(FRESH.len())
            .filter(|name| crate::normalize_host(name).is_ok())
            .collect()
    }
}

/// From the end, so that `moc.x.` begins everything below `*.x.com`.
fn reverse(hostname: &Hostname) -> String {
    match hostname {
        Hostname::Exact(name) | Hostname::Wildcard(name) => name.chars().rev().collect(),
        Hostname::Any => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(names: &[&str]) -> HostIndex {
        HostIndex::new(names.iter().map(|name| Hostname::parse(name).unwrap()))
    }

    fn below(index: &HostIndex, region: &str) -> Vec<String> {
        let region = Hostname::parse(region).unwrap();
        index.below(&region).map(ToString::to_string).collect()
    }

    #[test]
    fn below_a_wildcard_is_what_it_covers_and_not_the_name_itself() {
        let index = index(&["x.com", "a.x.com", "*.x.com", "*.b.x.com", "c.b.x.com", "ax.com"]);
        assert_eq!(
            below(&index, "*.x.com"),
            ["*.x.com", "a.x.com", "*.b.x.com", "c.b.x.com"]
        );
        assert_eq!(below(&index, "a.x.com"), ["a.x.com"]);
        assert_eq!(below(&index, "").len(), 7);
    }

    #[test]
    fn a_fresh_name_is_no_name_that_is_written() {
        let index = index(&["any.x.com", "*.x.com", "other"]);
        let names = |text: &str| index.names(&Hostname::parse(text).unwrap());
        assert_eq!(names("*.x.com"), ["other.x.com", "any1.x.com"]);
        assert_eq!(names(""), ["any", "any1"]);
        assert_eq!(names("any.x.com"), ["any.x.com"]);
    }
}
