//! How a member's endpoints fare, and what it reports of them: with the proxies' own code.

use std::time::Duration;

use sluice_core::{Fares, HealthNews, Millis, Snapshot};
use sluice_proto::v1;
use tokio::time::Instant;

/// Failures that eject an endpoint.
const FAILURES: u64 = 5;

/// The endpoints of one member.
#[derive(Debug)]
pub(super) struct Health {
    news: HealthNews,
    began: Instant,
    /// For how long all endpoints are ejected, then healthy, and so on; `None` when they are always well.
    turns: Option<Duration>,
    /// The control plane has the first report of the stream.
    is_known: bool,
}

impl Health {
    pub(super) fn new(turns: Option<Duration>) -> Self {
        Self {
            news: HealthNews::default(),
            began: Instant::now(),
            turns,
            is_known: false,
        }
    }

    /// The stream is another one.
    pub(super) fn start_over(&mut self) {
        self.news.start_over();
        self.is_known = false;
    }

    /// Whether the next report could have something to say.
    pub(super) fn may_have_news(&self) -> bool {
        !self.is_known || self.turns.is_some()
    }

    /// What is new of the endpoints of `held`; `None` when nothing is.
    pub(super) fn report(&mut self, held: Option<&Snapshot>) -> Option<v1::Report> {
        self.is_known = true;
        let fares = self.fares();
        let backends = held.into_iter().flat_map(Snapshot::backends);
        let report = self
            .news
            .next(backends.map(|backend| &**backend), self.now(), |_| fares);
        let is_news = report.whole || !report.endpoints.is_empty() || !report.plain.is_empty();
        is_news.then_some(report)
    }

    /// How all endpoints fare now.
    fn fares(&self) -> Fares {
        let turn = self.turns.map(|turns| {
            let turns = turns.as_millis().max(1);
            u64::try_from(u128::from(self.now().0) / turns).unwrap_or(u64::MAX)
        });
        Fares {
            is_ejected: turn.is_some_and(|turn| turn.is_multiple_of(2)),
            failures: turn.map_or(0, |turn| (turn / 2).saturating_add(1).saturating_mul(FAILURES)),
        }
    }

    fn now(&self) -> Millis {
        Millis(u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn endpoints_are_out_and_in_again_turn_by_turn() {
        let mut health = Health::new(Some(Duration::from_secs(2)));
        let mut seen = Vec::new();
        for _ in 0..4 {
            let fares = health.fares();
            seen.push((fares.is_ejected, fares.failures));
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
        assert_eq!(seen, [(true, 5), (false, 5), (true, 10), (false, 10)]);
        // The first report of a stream is made whatever it says.
        assert!(health.report(None).is_some() && health.report(None).is_none());
        assert!(health.may_have_news());
        let mut well = Health::new(None);
        assert!(well.may_have_news() && well.report(None).is_some_and(|report| report.whole));
        assert!(!well.may_have_news() && !well.fares().is_ejected);
    }
}
