//! What former releases sent, and what it has to mean for ever: a proxy may be older or newer than its
//! control plane. For each release a file in `tests/cases/wire` has its messages byte by byte.

// Clippy's `allow-unwrap-in-tests` does not reach functions that tests share.
#![allow(clippy::unwrap_used, clippy::panic)]
// What later releases add is absent in what a former one sent.
#![allow(clippy::needless_update)]

use prost::Message;
use sluice_proto::v1::{self, control_message, proxy_message};

const RELEASE_0_1_0: &str = include_str!("../../tests/cases/wire/0.1.0");

fn bytes(release: &str, name: &str) -> Vec<u8> {
    let line = release
        .lines()
        .find_map(|line| line.strip_prefix(&format!("{name} ")));
    let hex = line.unwrap_or_else(|| panic!("no {name}"));
    let digits = hex.as_bytes().chunks(2);
    digits
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

fn position(revision: u64) -> Option<v1::Position> {
    Some(v1::Position {
        revision,
        config_digest: vec![1; 16],
        runtime_digest: vec![2; 16],
    })
}

fn listeners() -> Vec<v1::BoundListener> {
    vec![v1::BoundListener {
        listener: "listener/default/edge/http".into(),
        address: "127.0.0.1:80".into(),
    }]
}

fn report() -> v1::Report {
    let sketch = v1::Sketch {
        alpha: 0.01,
        bins: vec![-2, 300],
        counts: vec![4, 5],
        zeros: 6,
        sum: 12.5,
    };
    v1::Report {
        endpoints: vec![v1::EndpointHealth {
            backend: "backend/default/web".into(),
            address: "10.0.0.1:80".into(),
            state: v1::endpoint_health::State::Ejected.into(),
            failures: 11,
        }],
        traffic: vec![v1::RouteTraffic {
            rule: "rule/default/shop/a".into(),
            variant: "next".into(),
            requests: 10,
            failures: 1,
            latency: Some(sketch),
        }],
        interval_ms: 1000,
        dropped_log_lines: 3,
        ..v1::Report::default()
    }
}

/// What proxies of 0.1.0 say.
fn of_proxies() -> Vec<(&'static str, proxy_message::Body)> {
    let hello = v1::Hello {
        proxy_id: "edge-1".into(),
        labels: vec![v1::Label {
            name: "zone".into(),
            value: "a".into(),
        }],
        version: "0.1.0".into(),
        wire_version: 1,
        history: vec![3; 16],
        holds: position(7),
        admin: "127.0.0.1:9000".into(),
        instance: vec![9; 16],
        listeners: listeners(),
        ..v1::Hello::default()
    };
    let ack = v1::Ack {
        history: vec![3; 16],
        position: position(8),
        build_us: 1500,
        warnings: vec!["careful".into()],
        listeners: listeners(),
        ..v1::Ack::default()
    };
    let nack = v1::Nack {
        history: vec![3; 16],
        position: position(9),
        violations: vec![v1::Violation {
            resource: "listener/default/edge/http".into(),
            field: "port".into(),
            code: "local".into(),
            message: "taken".into(),
        }],
        retrying: true,
    };
    let goodbye = v1::Goodbye {
        reason: "stops".into(),
    };
    vec![
        ("hello", proxy_message::Body::Hello(hello)),
        ("ack", proxy_message::Body::Ack(ack)),
        ("nack", proxy_message::Body::Nack(nack)),
        ("report", proxy_message::Body::Report(report())),
        ("goodbye", proxy_message::Body::Goodbye(goodbye)),
    ]
}

/// What control planes of 0.1.0 say.
fn of_control_planes() -> Vec<(&'static str, control_message::Body)> {
    let welcome = v1::Welcome {
        history: vec![3; 16],
        wire_version: 1,
        report_interval_ms: 1000,
        control_id: "control-1".into(),
        ..v1::Welcome::default()
    };
    let update = v1::Update {
        history: vec![3; 16],
        base: position(7),
        target: position(8),
        upserts: vec![v1::Resource {
            key: "endpoints/default/web".into(),
            body: vec![1, 2].into(),
            hash: vec![1; 16],
            min_wire: 1,
        }],
        removals: vec!["split/default/shop/a".into()],
        signature: vec![5, 6],
        ..v1::Update::default()
    };
    vec![
        ("welcome", control_message::Body::Welcome(welcome)),
        ("update", control_message::Body::Update(update)),
    ]
}

#[test]
fn what_a_release_sent_means_what_it_meant_and_is_sent_in_the_same_bytes() {
    for (name, body) in of_proxies() {
        let sent = bytes(RELEASE_0_1_0, name);
        let read = v1::ProxyMessage::decode(&*sent).unwrap();
        assert_eq!(read.body, Some(body), "{name}");
        assert_eq!(read.encode_to_vec(), sent, "{name}");
    }
    for (name, body) in of_control_planes() {
        let sent = bytes(RELEASE_0_1_0, name);
        let read = v1::ControlMessage::decode(&*sent).unwrap();
        assert_eq!(read.body, Some(body), "{name}");
        assert_eq!(read.encode_to_vec(), sent, "{name}");
    }
}

/// Field 1000 of type `bytes`, which no message of this build has.
const OF_THE_FUTURE: [u8; 5] = [0xc2, 0x3e, 0x02, 0xff, 0xff];

#[test]
fn fields_of_a_later_release_are_passed_over() {
    let (_, hello) = of_proxies().swap_remove(0);
    let proxy_message::Body::Hello(hello) = hello else {
        panic!("the first is Hello")
    };
    let mut later = hello.encode_to_vec();
    later.extend(OF_THE_FUTURE);
    assert_eq!(v1::Hello::decode(&*later).unwrap(), hello);
    let unknown = v1::ControlMessage::decode(&OF_THE_FUTURE[..]).unwrap();
    assert_eq!(unknown.body, None);
}

/// What later fields are on the wire: number, type and value, after all that 0.1.0 knew.
#[test]
fn fields_since_0_1_0_keep_their_numbers_and_types() {
    let update = v1::Update {
        signing_key: vec![5],
        commit: 0x0403_0201,
        commit_seal: 0x0403_0202,
        ..v1::Update::default()
    };
    pinned(&update, &[0x3a, 1, 5, 0x45, 1, 2, 3, 4, 0x4d, 2, 2, 3, 4]);
    let hello = v1::Hello {
        commit: 0x0403_0201,
        commit_seal: 0x0403_0202,
        ..v1::Hello::default()
    };
    pinned(&hello, &[0x55, 1, 2, 3, 4, 0x5d, 2, 2, 3, 4]);
    let recount = v1::ControlMessage {
        body: Some(control_message::Body::Recount(v1::Recount {})),
    };
    pinned(&recount, &[0x2a, 0]);
    let welcome = v1::Welcome {
        bundle: Some(v1::Bundle::default()),
        reconnect_spread_ms: 3,
        sample_kinds: 4,
        ..v1::Welcome::default()
    };
    pinned(&welcome, &[0x2a, 0, 0x30, 3, 0x40, 4]);
    let report = v1::Report {
        plain: vec![v1::EndpointName {
            backend: "b".into(),
            address: "a".into(),
        }],
        whole: true,
        ..v1::Report::default()
    };
    pinned(&report, &[0x2a, 6, 0x0a, 1, b'b', 0x12, 1, b'a', 0x30, 1]);
}

/// A commit that is unknown takes no bytes, and one that is not said reads as unknown.
#[test]
fn a_commit_that_is_not_said_is_unknown() {
    for (name, body) in of_control_planes() {
        if let control_message::Body::Update(update) = body {
            assert_eq!(update.commit, 0, "{name}");
            let said = v1::Update {
                commit: 9,
                ..update.clone()
            };
            let (said, unsaid) = (said.encode_to_vec(), update.encode_to_vec());
            assert_eq!(said, [&*unsaid, &[0x45, 9, 0, 0, 0]].concat());
        }
    }
}

fn pinned<M: Message + Default + PartialEq + std::fmt::Debug>(message: &M, expected: &[u8]) {
    assert_eq!(message.encode_to_vec(), expected);
    assert_eq!(M::decode(expected).unwrap(), *message);
}
