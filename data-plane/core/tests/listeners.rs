//! Which listener takes a connection and a request, with several Gateways on one port.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod world;

use std::cmp::Reverse;

use proptest::prelude::*;
use sluice_core::{Difference, Entry, RequestView, ResourceSet, Snapshot, Update};
use sluice_model::{Code, Hostname, Limits, Listener, Violation};
use sluice_proto::v1;
use world::{HISTORY, full, key, position, step};

const HOSTNAMES: [&str; 6] = ["", "*.x.com", "*.b.x.com", "a.x.com", "x.com", "other.org"];
const NAMES: [&str; 7] = [
    "a.x.com",
    "b.x.com",
    "c.b.x.com",
    "x.com",
    "other.org",
    "ax.com",
    "B.X.com",
];

/// A listener of one of a few Gateways.
#[derive(Clone, Debug)]
struct One {
    gateway: u8,
    port: u32,
    hostname: &'static str,
    tls: bool,
    header_count: u32,
    response_min_rate: u64,
}

impl One {
    fn new(gateway: u8, port: u32, hostname: &'static str) -> Self {
        Self {
            gateway,
            port,
            hostname,
            tls: false,
            header_count: 0,
            response_min_rate: 0,
        }
    }

    fn key(&self) -> String {
        let name = match self.hostname {
            "" => "any",
            name => name,
        };
        format!("listener/default/g{}/{}-{name}", self.gateway, self.port)
    }

    fn entry(&self) -> Entry {
        let tls = v1::ListenerTls {
            certificates: vec!["certificate/default/web".into()],
            ..Default::default()
        };
        let limits = v1::Limits {
            header_count: self.header_count,
            response_min_rate: self.response_min_rate,
            ..Default::default()
        };
        let wire = v1::Listener {
            port: self.port,
            hostname: self.hostname.into(),
            protocol: if self.tls { 2 } else { 1 },
            tls: self.tls.then_some(tls),
            limits: Some(limits),
        };
        Entry::new(key(&self.key()), &wire)
    }
}

fn set(listeners: &[One], more: Vec<Entry>) -> ResourceSet {
    let certificate = v1::Certificate {
        chain: vec![b"der".to_vec()],
        private_key: b"der".to_vec(),
        ocsp: vec![],
    };
    let mut upserts = vec![Entry::new(key("certificate/default/web"), &certificate)];
    upserts.extend(listeners.iter().map(One::entry).chain(more));
    ResourceSet::empty().apply(&Difference {
        upserts,
        removals: vec![],
    })
}

fn refused(resources: &ResourceSet) -> Vec<Violation> {
    let update = Update::full(HISTORY, position(1, resources), resources);
    Snapshot::empty(HISTORY).apply(&update).unwrap_err()
}

/// A route of prefix `/` on `listener`, for `hostname`, that redirects.
fn route(listener: &One, hostname: &str) -> Vec<Entry> {
    let attachments = vec![v1::Attachment {
        listener: listener.key(),
        hostnames: vec![hostname.into()],
    }];
    let route = v1::Route {
        creation_revision: 1,
        attachments,
    };
    vec![
        Entry::new(key("route/default/shop"), &route),
        Entry::new(key("rule/default/shop/all"), &v1::Rule::default()),
    ]
}

fn routed(snapshot: &Snapshot, host: &str) -> Option<String> {
    let headers = http::HeaderMap::new();
    let request = RequestView {
        method: &http::Method::GET,
        host,
        path: "/",
        query: None,
        headers: &headers,
    };
    let matched = snapshot.route(80, &request)?;
    Some(matched.listener.key.to_string())
}

#[test]
fn a_request_is_lost_when_only_a_less_specific_listener_has_a_route_for_it() {
    let (wide, narrow) = (One::new(0, 80, "*.x.com"), One::new(0, 80, "a.x.com"));
    let routes = route(&wide, "*.x.com");
    let both = full(&set(&[wide.clone(), narrow], routes.clone()), 1);
    assert_eq!(routed(&both, "b.x.com"), Some(wide.key()));
    assert_eq!(routed(&both, "a.x.com"), None);
    // Without the narrow one the same route takes it.
    let alone = step(&both, &set(std::slice::from_ref(&wide), routes), 2);
    assert_eq!(routed(&alone, "a.x.com"), Some(wide.key()));
}

#[test]
fn a_route_of_one_gateway_gets_nothing_of_another_on_the_same_port() {
    let (one, other) = (One::new(0, 80, ""), One::new(1, 80, "a.x.com"));
    let snapshot = full(&set(&[one.clone(), other.clone()], route(&one, "")), 1);
    assert_eq!(routed(&snapshot, "b.x.com"), Some(one.key()));
    assert_eq!(routed(&snapshot, "a.x.com"), None);
    let snapshot = full(&set(&[one, other.clone()], route(&other, "a.x.com")), 1);
    assert_eq!(routed(&snapshot, "b.x.com"), None);
    assert_eq!(routed(&snapshot, "a.x.com"), Some(other.key()));
}

#[test]
fn two_gateways_cannot_have_one_port_and_hostname() {
    let violations = refused(&set(
        &[One::new(0, 80, "a.x.com"), One::new(1, 80, "a.x.com")],
        vec![],
    ));
    let [violation] = &violations[..] else {
        panic!("{violations:?}")
    };
    assert_eq!(
        (violation.code, violation.field.as_str()),
        (Code::Conflict, "hostname")
    );
}

#[test]
fn a_port_is_plain_or_not_for_all_its_listeners_and_may_change_for_all_at_once() {
    let listeners = |tls: [bool; 2]| {
        [(0, "a.x.com"), (1, "")].map(|(gateway, hostname)| One {
            tls: tls[usize::from(gateway)],
            ..One::new(gateway, 80, hostname)
        })
    };
    for tls in [[true, false], [false, true]] {
        let violations = refused(&set(&listeners(tls), vec![]));
        let [violation] = &violations[..] else {
            panic!("{violations:?}")
        };
        assert_eq!(
            (violation.code, violation.field.as_str()),
            (Code::Conflict, "protocol")
        );
    }
    let plain = full(&set(&listeners([false, false]), vec![]), 1);
    assert_eq!(plain.tls_listener(80, Some("a.x.com")), None);
    let secure = step(&plain, &set(&listeners([true, true]), vec![]), 2);
    assert!(secure.tls_listener(80, Some("a.x.com")).is_some());
}

#[test]
fn without_a_server_name_the_listener_of_all_hosts_or_the_only_one_is_meant() {
    let secure = |gateway, hostname| One {
        tls: true,
        ..One::new(gateway, 443, hostname)
    };
    let nameless = |listeners: &[One]| {
        let snapshot = full(&set(listeners, vec![]), 1);
        snapshot
            .tls_listener(443, None)
            .map(|listener| listener.key.to_string())
    };
    let (any, a, b) = (secure(0, ""), secure(0, "a.x.com"), secure(1, "*.b.x.com"));
    assert_eq!(nameless(&[a.clone(), any.clone()]), Some(any.key()));
    assert_eq!(nameless(std::slice::from_ref(&a)), Some(a.key()));
    assert_eq!(nameless(&[a, b]), None);
}

/// Smaller is more specific.
fn specificity(hostname: &Hostname) -> (u8, Reverse<usize>) {
    match hostname {
        Hostname::Exact(_) => (0, Reverse(0)),
        Hostname::Wildcard(suffix) => (1, Reverse(suffix.len())),
        Hostname::Any => (2, Reverse(0)),
    }
}

fn reference<'a>(snapshot: &'a Snapshot, port: u16, host: &str) -> Option<&'a Listener> {
    let of_port = snapshot.listeners().filter(|listener| listener.port == port);
    of_port
        .filter(|listener| listener.hostname.matches(host))
        .min_by_key(|listener| specificity(&listener.hostname))
        .map(AsRef::as_ref)
}

/// Listeners without conflict: each (port, hostname) once, each port of one kind.
fn listeners() -> impl Strategy<Value = Vec<One>> {
    let place = (
        prop::sample::select(&[80u32, 443]),
        prop::sample::select(&HOSTNAMES),
    );
    let rest = (0..3u8, 0..3u32, prop::sample::select(&[0, 5, 500, u64::MAX]));
    prop::collection::btree_map(place, rest, 0..8).prop_map(|all| {
        let one = |((port, hostname), (gateway, header_count, response_min_rate))| One {
            gateway,
            port,
            hostname,
            tls: port == 443,
            header_count,
            response_min_rate,
        };
        all.into_iter().map(one).collect()
    })
}

proptest! {
    #[test]
    fn the_most_specific_listener_takes_a_name_and_the_strictest_limits_a_port(
        before in listeners(), after in listeners(),
    ) {
        let grown = step(&full(&set(&before, vec![]), 1), &set(&after, vec![]), 2);
        for port in [80u16, 443, 8443] {
            for name in NAMES {
                let host = name.to_ascii_lowercase();
                let expected = reference(&grown, port, &host);
                prop_assert_eq!(grown.listener_for(port, &host).map(AsRef::as_ref), expected);
                let secure = expected.filter(|listener| listener.tls.is_some());
                prop_assert_eq!(grown.tls_listener(port, Some(name)).map(AsRef::as_ref), secure);
            }
            let of_port = grown.listeners().filter(|listener| listener.port == port);
            let strictest = of_port.map(|listener| listener.limits).reduce(Limits::strictest);
            prop_assert_eq!(grown.port_limits(port), strictest.unwrap_or_default());
        }
    }
}
