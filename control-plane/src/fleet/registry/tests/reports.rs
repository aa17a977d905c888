//! What proxies report, and when it is given up.

use futures_util::FutureExt as _;
use sluice_proto::v1::endpoint_health::State;

use tokio::time::timeout;

use super::super::super::recounts::recount;
use super::*;

/// Some endpoints of this backend are ejected, and those are all that are not plain.
fn ejected(backend: &str, count: u16) -> v1::Report {
    let health = |port| v1::EndpointHealth {
        backend: backend.into(),
        address: format!("10.0.0.1:{port}"),
        state: State::Ejected.into(),
        failures: 5,
    };
    v1::Report {
        endpoints: (0..count).map(health).collect(),
        whole: true,
        ..v1::Report::default()
    }
}

/// Whether the proxy is asked now; once.
fn is_asked(proxy: &Joined) -> bool {
    proxy.recount.notified().now_or_never().is_some()
}

impl Site {
    /// One whose proxies have room for what is not plain of this report, in the words of one proxy.
    fn with_room_for(report: v1::Report) -> Self {
        let site = Self::start();
        let proxy = site.join("a", 1, None).unwrap();
        site.fleet.reported(proxy.stream, report);
        let needed = site.fleet.lock().rooms.endpoints.taken();
        let narrow = Self::start();
        narrow.fleet.lock().rooms = Rooms::of(needed, 0);
        narrow
    }

    /// The proxy has ejected `count` endpoints.
    fn report(&self, proxy: &Joined, count: u16) {
        self.fleet.reported(proxy.stream, ejected("backend/a/b", count));
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

#[test]
fn what_found_no_room_is_asked_for_again_when_there_is_some() {
    let site = Site::with_room_for(ejected("backend/a/b", 3));
    let [one, other] = ["a", "b"].map(|id| site.join(id, 1, None).unwrap());
    site.report(&one, 2);
    site.report(&other, 3);
    assert_eq!((site.listed("a"), site.listed("b")), (2, 1));
    assert!(
        !site.fleet.ask_again() && !is_asked(&other),
        "there is no room yet"
    );

    let mut news = ejected("backend/a/b", 1);
    news.plain = std::mem::take(&mut news.endpoints)
        .into_iter()
        .map(|health| v1::EndpointName {
            backend: health.backend,
            address: health.address,
        })
        .collect();
    news.whole = false;
    site.fleet.reported(one.stream, news);
    assert!(!site.fleet.ask_again() && is_asked(&other) && !is_asked(&one));
    assert!(!site.fleet.ask_again() && !is_asked(&other), "once");
    site.report(&other, 3);
    assert_eq!((site.listed("a"), site.listed("b")), (1, 2));

    site.fleet.left(one.stream);
    assert!(!site.fleet.ask_again() && is_asked(&other));
    site.report(&other, 3);
    assert_eq!(site.listed("b"), 3);
    assert!(!site.fleet.ask_again() && !is_asked(&other), "it lacks nothing");
}

#[test]
fn those_that_lack_much_are_asked_one_after_another() {
    let name = "n".repeat(1_000);
    let site = Site::with_room_for(ejected(&name, 6_000));
    let proxies = ["a", "b", "c", "d"].map(|id| site.join(id, 1, None).unwrap());
    site.fleet.reported(proxies[0].stream, ejected(&name, 6_000));
    let others = &proxies[1..];
    for proxy in others {
        site.fleet.reported(proxy.stream, ejected(&name, 2_000));
    }
    site.fleet.left(proxies[0].stream);
    let asked = || others.iter().map(is_asked).collect::<Vec<_>>();
    assert!(site.fleet.ask_again());
    assert_eq!(asked(), [true, false, false]);
    assert!(site.fleet.ask_again());
    assert_eq!(asked(), [false, true, false]);
    assert!(!site.fleet.ask_again());
    assert_eq!(asked(), [false, false, true]);
    // Whoever goes is not asked.
    site.fleet.reported(others[0].stream, ejected(&name, 6_000));
    site.fleet.reported(others[1].stream, ejected(&name, 2_000));
    site.fleet.disconnected(others[1].stream, site.stage.now);
    site.fleet.left(others[0].stream);
    assert!(!site.fleet.ask_again());
    assert_eq!(asked(), [false, false, false]);
}

#[tokio::test(start_paused = true)]
async fn room_that_is_given_back_is_noticed() {
    let site = Site::with_room_for(ejected("backend/a/b", 1));
    let [one, other] = ["a", "b"].map(|id| site.join(id, 1, None).unwrap());
    site.report(&one, 1);
    site.report(&other, 1);
    let fleet = Arc::new(site.fleet);
    let noticing = recount(Arc::clone(&fleet));
    let asking = async {
        // There is nothing to notice, for as long as nothing is given back.
        assert!(timeout(LEASE, other.recount.notified()).await.is_err());
        fleet.left(one.stream);
        timeout(LEASE, other.recount.notified()).await
    };
    tokio::select! {
        () = noticing => panic!("it never ends"),
        asked = asking => assert!(asked.is_ok()),
    }
}
