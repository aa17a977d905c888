//! The route table every proxy gets: N prefix routes on one hostname, all to one upstream.

use serde::Serialize;

/// The hostname of all routes.
pub(super) const HOST: &str = "bench.test";

/// A number of routes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub(super) struct Table(pub(super) u32);

/// One route of a table: its position from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub(super) struct RouteIndex(pub(super) u32);

impl Table {
    pub(super) fn routes(self) -> impl Iterator<Item = RouteIndex> {
        (0..self.0).map(RouteIndex)
    }

    pub(super) fn last(self) -> RouteIndex {
        RouteIndex(self.0.saturating_sub(1))
    }
}

impl RouteIndex {
    pub(super) const FIRST: Self = Self(0);

    /// Unique, of one length, so that no route's prefix is a prefix of another's.
    pub(super) fn name(self) -> String {
        format!("r{:05}", self.0)
    }

    pub(super) fn prefix(self) -> String {
        format!("/{}", self.name())
    }

    /// The path of a request that only this route matches.
    pub(super) fn request_path(self) -> String {
        format!("/{}/item", self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_path_matches_exactly_one_prefix() {
        let table = Table(10_000);
        let path = table.last().request_path();
        let matching: Vec<_> = table
            .routes()
            .filter(|route| path.starts_with(&route.prefix()))
            .collect();
        assert_eq!(matching, [RouteIndex(9_999)]);
    }
}
