//! The fleet in numbers.

use tokio::time::Instant;

use super::metrics::Traffic;
use super::registry::Fleet;
use crate::live::Published;

/// The fleet in numbers.
#[derive(Debug, Default)]
pub(super) struct Census {
    /// Proxies whose stream stands.
    pub(super) connected: usize,
    /// Those without one that still count.
    pub(super) leased: usize,
    /// Those that do not count any more.
    pub(super) lost: usize,
    /// Those that count and do not run the newest revision.
    pub(super) behind: usize,
    /// Those that count and refused something since they last applied anything.
    pub(super) refusing: usize,
    /// Endpoints, once for each proxy that tells of them.
    pub(super) endpoints: usize,
    /// Those that are ejected.
    pub(super) ejected: usize,
    /// Since this process started.
    pub(super) traffic: Traffic,
}

impl Fleet {
    /// The fleet in numbers.
    pub(super) fn census(&self, published: &Published, now: Instant) -> Census {
        let (history, head) = (published.version.history, published.revision());
        let known = self.lock();
        let mut census = Census {
            traffic: known.traffic.clone(),
            ..Census::default()
        };
        for member in known.members.values() {
            let live = member.is_live(now);
            census.connected += usize::from(member.broken.is_none());
            census.leased += usize::from(member.broken.is_some() && live);
            census.lost += usize::from(!live);
            census.behind += usize::from(live && member.revision_in(history) < Some(head));
            census.refusing += usize::from(live && member.refusal.is_some());
            let (ejected, endpoints) = member.telemetry.endpoint_counts();
            census.ejected += ejected;
            census.endpoints += endpoints;
        }
        census
    }
}
