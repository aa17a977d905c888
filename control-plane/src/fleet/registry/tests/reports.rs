//! What proxies report, and when it is given up.

use sluice_proto::v1::endpoint_health::State;

use super::*;

impl Site {
    /// The proxy has ejected `count` endpoints.
    fn report(&self, proxy: &Joined, count: u16) {
        let health = |port| v1::EndpointHealth {
            backend: "backend/a/b".into(),
            address: format!("10.0.0.1:{port}"),
            state: State::Ejected.into(),
            failures: 5,
        };
        let report = v1::Report {
            endpoints: (0..count).map(health).collect(),
            ..v1::Report::default()
        };
        self.fleet.reported(proxy.stream, report);
    }

    /// Endpoints that are kept of all proxies, which is also what takes room.
    fn ailing(&self) -> usize {
        let census = self.fleet.census(&self.stage.published, self.stage.now);
        assert_eq!(census.ailing, census.ejected);
        assert_eq!(census.rooms.endpoints.taken() == 0, census.ailing == 0);
        census.ailing
    }

    fn listed(&self, id: &str) -> usize {
        let detail = self
            .fleet
            .proxy(id, &self.stage.published, self.stage.now)
            .unwrap();
        detail.telemetry.endpoints.len()
    }
}

#[test]
fn what_a_proxy_said_of_its_endpoints_goes_with_its_stream_and_with_itself() {
    let mut site = Site::start();
    let proxies = ["a", "b", "c", "d"].map(|id| site.join(id, 1, None).unwrap());
    for (proxy, count) in proxies.iter().zip([1, 2, 4, 8]) {
        site.report(proxy, count);
    }
    assert_eq!((site.ailing(), site.listed("d")), (15, 8));
    site.fleet.left(proxies[0].stream);
    assert_eq!(site.ailing(), 14);
    assert_eq!(site.fleet.forget("b"), Forget::Done);
    assert_eq!(site.ailing(), 12);
    // Another process, and the same one on another stream: both say all of it anew.
    site.join("c", 2, None).unwrap();
    assert_eq!(site.ailing(), 8);
    let again = site.join("d", 1, None).unwrap();
    assert_eq!(site.ailing(), 0);
    // What was still under way on the stream before is nobody's.
    site.report(&proxies[3], 8);
    assert_eq!(site.ailing(), 0);
    site.report(&again, 3);
    assert_eq!((site.ailing(), site.listed("d")), (3, 3));
    site.fleet.disconnected(again.stream, site.stage.now);
    site.wait(1);
    assert_eq!((site.ailing(), site.listed("d")), (0, 0));
}

#[test]
fn what_a_lost_proxy_reported_gives_its_room_back() {
    let mut site = Site::start();
    let proxy = site.join("a", 1, None).unwrap();
    let traffic = v1::RouteTraffic {
        rule: "rule/a/b/c".into(),
        requests: 1,
        ..v1::RouteTraffic::default()
    };
    let report = v1::Report {
        traffic: vec![traffic],
        ..v1::Report::default()
    };
    site.fleet.reported(proxy.stream, report);
    let taken = |site: &Site| {
        let census = site.fleet.census(&site.stage.published, site.stage.now);
        census.rooms.traffic.taken()
    };
    let kept = taken(&site);
    assert!(kept > 0);
    site.fleet.disconnected(proxy.stream, site.stage.now);
    site.stage.wait(LEASE.saturating_sub(Duration::from_millis(1)));
    assert!(site.fleet.has_broken(site.stage.now));
    assert_eq!(taken(&site), kept, "it may come back");
    site.wait(1);
    assert!(site.fleet.has_broken(site.stage.now));
    assert_eq!(taken(&site), 0);
}

#[test]
fn a_proxy_of_which_not_all_is_kept_carries_a_warning() {
    let site = Site::start();
    let proxy = site.join("a", 1, None).unwrap();
    site.report(&proxy, 20_000);
    let detail = site
        .fleet
        .proxy("a", &site.stage.published, site.stage.now)
        .unwrap();
    assert_eq!(
        detail.telemetry.endpoints.len() as u64 + detail.telemetry.overflowed,
        20_000
    );
    let warnings = &detail.proxy.warnings;
    assert_eq!(warnings.len(), 1);
    assert!(
        warnings[0].starts_with("10000 entries of its reports"),
        "{warnings:?}"
    );
}
