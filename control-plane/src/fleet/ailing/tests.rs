use proptest::prelude::*;

use super::*;

const BACKEND: &str = "backend/a/b";

fn address(port: u16) -> SocketAddr {
    ([10, 0, 0, 1], port).into()
}

fn health(port: u16, state: State, failures: u64) -> v1::EndpointHealth {
    v1::EndpointHealth {
        backend: BACKEND.into(),
        address: address(port).to_string(),
        state: state.into(),
        failures,
    }
}

fn name(port: u16) -> v1::EndpointName {
    v1::EndpointName {
        backend: BACKEND.into(),
        address: address(port).to_string(),
    }
}

fn told(endpoints: Vec<v1::EndpointHealth>) -> v1::Report {
    v1::Report {
        endpoints,
        ..v1::Report::default()
    }
}

#[test]
fn a_proxy_of_0_1_0_tells_of_all_endpoints_and_only_what_is_wrong_is_kept() {
    let room = Room::of(1 << 20);
    let mut kept = Ailing::within(&room);
    let all = (0..1_000).map(|port| health(port, State::Healthy, 0));
    kept.fold(&told(all.collect()));
    assert_eq!((kept.counts(), room.taken()), ((0, 0), 0));
    kept.fold(&told(vec![
        health(7, State::Ejected, 5),
        health(8, State::Healthy, 1),
    ]));
    assert_eq!(kept.counts(), (1, 2));
    assert_eq!(room.taken(), 2 * bytes(BACKEND));
    // One that came in the place of another has not failed.
    kept.fold(&told(vec![health(7, State::Healthy, 0)]));
    assert_eq!(kept.counts(), (0, 1));
    let view = kept.view();
    assert_eq!(
        (view[0].address.as_str(), view[0].state, view[0].failures),
        ("10.0.0.1:8", "healthy", 1)
    );
}

#[test]
fn an_endpoint_that_went_and_came_again_within_a_report_is_kept_as_it_came() {
    let mut kept = Ailing::within(&Room::of(1 << 20));
    kept.fold(&told(vec![health(1, State::Ejected, 9)]));
    let mut report = told(vec![health(1, State::Healthy, 2)]);
    report.plain = vec![name(1)];
    kept.fold(&report);
    assert_eq!(kept.view()[0].failures, 2);
}

#[test]
fn what_is_no_address_or_has_too_long_a_name_or_is_too_much_is_refused_and_counted() {
    let room = Room::of(usize::MAX);
    let mut kept = Ailing::within(&room);
    let mut wrong = health(1, State::Ejected, 1);
    wrong.address = "somewhere".into();
    let mut long = health(1, State::Ejected, 1);
    long.backend = "x".repeat(MAX_NAME + 1);
    kept.fold(&told(vec![wrong, long]));
    assert_eq!((kept.counts(), kept.refused()), ((0, 0), 2));
    let ports = 0..u16::try_from(MAX_ENDPOINTS + 5).unwrap();
    kept.fold(&told(ports.map(|port| health(port, State::Ejected, 1)).collect()));
    assert_eq!(
        (kept.counts(), kept.refused()),
        ((MAX_ENDPOINTS, MAX_ENDPOINTS), 7)
    );
    // News of one that is kept is no more than there was.
    kept.fold(&told(vec![health(3, State::Healthy, 4)]));
    assert_eq!(
        (kept.counts(), kept.refused()),
        ((MAX_ENDPOINTS - 1, MAX_ENDPOINTS), 7)
    );
    assert_eq!(room.refused(), 7);
    kept.clear();
    assert_eq!((kept.refused(), room.taken(), room.refused()), (0, 0, 7));
}

#[derive(Clone, Debug)]
enum Happens {
    Reports(usize, bool, Vec<u16>, Vec<(u16, u8, u64)>),
    /// The proxy comes back on another stream.
    Resumes(usize),
    /// The proxy says goodbye, or is forgotten; another one joins.
    Leaves(usize),
}

const PROXIES: usize = 3;
/// Endpoints that there is room for, of all proxies together.
const ROOM: usize = 7;

fn happens() -> impl Strategy<Value = Happens> {
    let port = || 1..=6_u16;
    let (plain, ailing) = (
        proptest::collection::vec(port(), 0..3),
        proptest::collection::vec((port(), 0..3_u8, 0..3_u64), 0..5),
    );
    let reports = (0..PROXIES, proptest::bool::weighted(0.1), plain, ailing)
        .prop_map(|(proxy, whole, plain, ailing)| Happens::Reports(proxy, whole, plain, ailing));
    prop_oneof![
        8 => reports,
        1 => (0..PROXIES).prop_map(Happens::Resumes),
        1 => (0..PROXIES).prop_map(Happens::Leaves),
    ]
}

/// What should be kept, written down as plainly as can be: (proxy, port) and how it fares.
#[derive(Default)]
struct Model(BTreeMap<(usize, u16), (State, u64)>);

impl Model {
    fn forget(&mut self, proxy: usize) {
        self.0.retain(|(of, _), _| *of != proxy);
    }

    fn report(&mut self, proxy: usize, whole: bool, plain: &[u16], ailing: &[(u16, State, u64)]) {
        if whole {
            self.forget(proxy);
        }
        self.0
            .retain(|(of, port), _| *of != proxy || !plain.contains(port));
        for (port, state, failures) in ailing {
            let key = (proxy, *port);
            if (*state, *failures) == (State::Healthy, 0) {
                self.0.remove(&key);
            } else if self.0.contains_key(&key) || self.0.len() < ROOM {
                self.0.insert(key, (*state, *failures));
            }
        }
    }
}

proptest! {
    #[test]
    fn whatever_proxies_tell_what_is_kept_is_what_a_model_keeps(
        script in proptest::collection::vec(happens(), 0..80)
    ) {
        let room = Room::of(ROOM * bytes(BACKEND) + bytes(BACKEND) - 1);
        let mut kept = [(); PROXIES].map(|()| Ailing::within(&room));
        let mut model = Model::default();
        for one in script {
            match one {
                Happens::Reports(proxy, whole, plain, ailing) => {
                    let states = [State::Unspecified, State::Healthy, State::Ejected];
                    let ailing: Vec<_> = ailing
                        .into_iter()
                        .map(|(port, state, failures)| (port, states[usize::from(state)], failures))
                        .collect();
                    model.report(proxy, whole, &plain, &ailing);
                    let endpoints = ailing.into_iter();
                    kept[proxy].fold(&v1::Report {
                        whole,
                        plain: plain.into_iter().map(name).collect(),
                        endpoints: endpoints.map(|(port, state, failures)| health(port, state, failures)).collect(),
                        ..v1::Report::default()
                    });
                }
                Happens::Resumes(proxy) => {
                    kept[proxy].clear();
                    model.forget(proxy);
                }
                Happens::Leaves(proxy) => {
                    kept[proxy] = Ailing::within(&room);
                    model.forget(proxy);
                }
            }
            for (proxy, kept) in kept.iter().enumerate() {
                let entries = kept.entries.iter();
                let entries: Vec<_> = entries.map(|((_, at), fares)| (at.port(), fares.state, fares.failures)).collect();
                let expected = model.0.iter().filter(|((of, _), _)| *of == proxy);
                let expected: Vec<_> = expected.map(|((_, port), (state, failures))| (*port, *state, *failures)).collect();
                prop_assert_eq!(entries, expected);
            }
            prop_assert_eq!(room.taken(), model.0.len() * bytes(BACKEND));
        }
    }
}
