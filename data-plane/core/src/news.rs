//! What a proxy tells of the health of its endpoints: of those with which nothing is wrong, nothing.
//!
//! An endpoint is *plain* while it takes its part and no request to it failed in the last [`LATELY`]. What
//! a control plane keeps is so as large as what is wrong, not as the fleet times its endpoints. Of one that is
//! not plain it is told when it changes; that it is plain again, or gone, is told once.

use std::{collections::HashMap, net::SocketAddr, time::Duration};

use sluice_model::Key;
use sluice_proto::v1::{EndpointHealth, EndpointName, Report, endpoint_health::State};

use crate::{
    backend::{BackendState, EndpointState},
    health::Millis,
};

/// For how long it is told that requests failed, after the last of them.
const LATELY: Duration = Duration::from_secs(600);

/// How an endpoint fares at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fares {
    /// It is left out.
    pub is_ejected: bool,
    /// Failures since it came.
    pub failures: u64,
}

/// What was told to one control plane, and what was noticed.
#[derive(Debug)]
pub struct HealthNews {
    /// Every endpoint that is ejected, or ever failed.
    noted: HashMap<(Key, SocketAddr), Noted>,
    /// Counts the reports.
    pass: u64,
    /// The control plane knows nothing that can be relied on.
    is_new: bool,
}

#[derive(Debug)]
struct Noted {
    failures: u64,
    /// When they were found to be more than before.
    failed: Millis,
    /// What the control plane holds of it.
    told: Option<(State, u64)>,
    /// The last report whose snapshot had it.
    pass: u64,
}

impl Fares {
    /// How `endpoint` fares at `now`.
    pub fn of(endpoint: &EndpointState, now: Millis) -> Self {
        Self {
            is_ejected: endpoint.health.is_ejected(now),
            failures: endpoint.health.failures(),
        }
    }

    fn is_untouched(self) -> bool {
        !self.is_ejected && self.failures == 0
    }
}

impl Default for HealthNews {
    fn default() -> Self {
        Self {
            noted: HashMap::new(),
            pass: 0,
            is_new: true,
        }
    }
}

impl HealthNews {
    /// The control plane is another one, or missed something: the next report is whole.
    pub fn start_over(&mut self) {
        self.is_new = true;
        for noted in self.noted.values_mut() {
            noted.told = None;
        }
    }

    /// What is to be said of the endpoints of `backends`, each of which fares as `fares` says: what differs
    /// from what was told last. A report of nothing else; it has to be sent, or [`Self::start_over`] called.
    pub fn next<'a>(
        &mut self,
        backends: impl IntoIterator<Item = &'a BackendState>,
        now: Millis,
        fares: impl Fn(&EndpointState) -> Fares,
    ) -> Report {
        self.pass += 1;
        let mut report = Report {
            whole: std::mem::take(&mut self.is_new),
            ..Report::default()
        };
        for backend in backends {
            for endpoint in &backend.endpoints {
                let fares = fares(endpoint);
                if !fares.is_untouched() {
                    let key = (backend.backend.key.clone(), endpoint.address);
                    self.note(key, fares, now, &mut report);
                }
            }
        }
        let pass = self.pass;
        let gone = self.noted.extract_if(|_, noted| noted.pass != pass);
        let told = gone.filter(|(_, noted)| noted.told.is_some());
        report.plain.extend(told.map(|(key, _)| name(&key)));
        report
    }

    fn note(&mut self, key: (Key, SocketAddr), fares: Fares, now: Millis, report: &mut Report) {
        let noted = self.noted.entry(key.clone()).or_insert(Noted {
            failures: fares.failures,
            failed: now,
            told: None,
            pass: self.pass,
        });
        // Fewer are those of another endpoint that came in its place.
        if noted.failures != fares.failures {
            (noted.failures, noted.failed) = (fares.failures, now);
        }
        noted.pass = self.pass;
        let wanted = match fares.is_ejected {
            true => Some(State::Ejected),
            false => Some(State::Healthy).filter(|_| is_lately(noted.failed, now)),
        };
        let wanted = wanted.map(|state| (state, fares.failures));
        if noted.told == wanted {
            return;
        }
        noted.told = wanted;
        match wanted {
            Some((state, failures)) => report.endpoints.push(EndpointHealth {
                backend: key.0.as_str().to_owned(),
                address: key.1.to_string(),
                state: state.into(),
                failures,
            }),
            None => report.plain.push(name(&key)),
        }
    }
}

fn is_lately(at: Millis, now: Millis) -> bool {
    u128::from(now.0.saturating_sub(at.0)) < LATELY.as_millis()
}

fn name((backend, address): &(Key, SocketAddr)) -> EndpointName {
    EndpointName {
        backend: backend.as_str().to_owned(),
        address: address.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::net::Ipv4Addr;

    use proptest::prelude::*;

    use super::*;
    use crate::backend::tests::backend;

    const HEALTHY: i32 = State::Healthy as i32;
    const EJECTED: i32 = State::Ejected as i32;

    /// What a control plane makes of reports: state and failures by address.
    type Held = BTreeMap<String, (i32, u64)>;

    fn fold(held: &mut Held, report: Report) {
        if report.whole {
            held.clear();
        }
        for plain in report.plain {
            assert!(
                held.remove(&plain.address).is_some(),
                "{plain:?} was never told of"
            );
        }
        let told = report.endpoints.into_iter();
        held.extend(told.map(|one| (one.address, (one.state, one.failures))));
    }

    /// A backend with an endpoint at each of these ports, by how they fare.
    fn at(ports: &BTreeMap<u16, Fares>) -> BackendState {
        let mut backend = backend(&[1; 8]);
        backend
            .endpoints
            .retain(|endpoint| ports.contains_key(&endpoint.address.port()));
        backend
    }

    fn next(news: &mut HealthNews, ports: &BTreeMap<u16, Fares>, now: u64) -> Report {
        news.next([&at(ports)], Millis(now), |endpoint| {
            ports[&endpoint.address.port()]
        })
    }

    fn address(port: u16) -> String {
        SocketAddr::from((Ipv4Addr::LOCALHOST, port)).to_string()
    }

    const fn fares(is_ejected: bool, failures: u64) -> Fares {
        Fares { is_ejected, failures }
    }

    #[test]
    fn of_plain_endpoints_nothing_is_said_and_a_failure_is_told_for_a_while() {
        let lately = u64::try_from(LATELY.as_millis()).unwrap();
        let (mut news, mut held) = (HealthNews::default(), Held::new());
        let mut ports = BTreeMap::from([(1, fares(false, 0)), (2, fares(false, 0))]);
        let first = next(&mut news, &ports, 0);
        assert!(first.whole && first.endpoints.is_empty() && first.plain.is_empty());
        assert_eq!(next(&mut news, &ports, 1_000), Report::default());

        ports.insert(1, fares(true, 3));
        fold(&mut held, next(&mut news, &ports, 2_000));
        assert_eq!(held, [(address(1), (EJECTED, 3))].into());
        assert_eq!(next(&mut news, &ports, 3_000), Report::default());
        ports.insert(1, fares(false, 3));
        fold(&mut held, next(&mut news, &ports, 4_000));
        assert_eq!(held, [(address(1), (HEALTHY, 3))].into());
        // The last failure was noticed at 2,000.
        assert_eq!(next(&mut news, &ports, 2_000 + lately - 1), Report::default());
        fold(&mut held, next(&mut news, &ports, 2_000 + lately));
        assert_eq!(held, Held::new());
        // It is not told of another control plane either.
        news.start_over();
        let whole = next(&mut news, &ports, 3_000 + lately);
        assert!(whole.whole && whole.endpoints.is_empty());
    }

    #[test]
    fn an_endpoint_that_is_gone_is_told_of_once_and_one_in_its_place_is_another() {
        let (mut news, mut held) = (HealthNews::default(), Held::new());
        let mut ports = BTreeMap::from([(1, fares(true, 7)), (2, fares(true, 7))]);
        fold(&mut held, next(&mut news, &ports, 0));
        ports.remove(&1);
        ports.insert(2, fares(false, 0));
        let gone = next(&mut news, &ports, 1);
        assert_eq!((gone.plain.len(), gone.endpoints.len()), (2, 0));
        fold(&mut held, gone);
        assert_eq!(held, Held::new());
        assert_eq!(next(&mut news, &ports, 2), Report::default());
        assert!(news.noted.is_empty());
        ports.insert(1, fares(false, 1));
        fold(&mut held, next(&mut news, &ports, 3));
        assert_eq!(held, [(address(1), (HEALTHY, 1))].into());
    }

    #[derive(Clone, Debug)]
    enum Happens {
        Comes(u16),
        Goes(u16),
        Fails(u16, u64),
        Turns(u16, bool),
        TimePasses(u64),
        /// The stream breaks, and what was told is forgotten.
        AnotherStream,
    }

    fn happens() -> impl Strategy<Value = Happens> {
        let port = || 1..=8_u16;
        prop_oneof![
            port().prop_map(Happens::Comes),
            port().prop_map(Happens::Goes),
            (port(), 1..3_u64).prop_map(|(port, times)| Happens::Fails(port, times)),
            (port(), any::<bool>()).prop_map(|(port, out)| Happens::Turns(port, out)),
            (0..400_000_u64).prop_map(Happens::TimePasses),
            Just(Happens::AnotherStream),
        ]
    }

    proptest! {
        /// Whatever happens between reports, the control plane holds exactly what is not plain.
        #[test]
        fn what_a_control_plane_holds_is_what_is_not_plain(
            script in proptest::collection::vec(proptest::collection::vec(happens(), 0..4), 1..60)
        ) {
            let (mut news, mut held, mut now) = (HealthNews::default(), Held::new(), 0);
            let mut ports = BTreeMap::<u16, Fares>::new();
            // When a report last saw another number of failures, by port.
            let mut failed = BTreeMap::<u16, (u64, u64)>::new();
            for between in script {
                for one in between {
                    match one {
                        Happens::Comes(port) => { ports.entry(port).or_insert(fares(false, 0)); }
                        Happens::Goes(port) => { ports.remove(&port); }
                        Happens::Fails(port, times) => {
                            ports.entry(port).and_modify(|one| one.failures += times);
                        }
                        Happens::Turns(port, out) => {
                            ports.entry(port).and_modify(|one| one.is_ejected = out);
                        }
                        Happens::TimePasses(millis) => now += millis,
                        Happens::AnotherStream => {
                            news.start_over();
                            held.clear();
                        }
                    }
                }
                fold(&mut held, next(&mut news, &ports, now));
                failed.retain(|port, _| ports.get(port).is_some_and(|one| !one.is_untouched()));
                let mut expected = Held::new();
                for (port, one) in ports.iter().filter(|(_, one)| !one.is_untouched()) {
                    let seen = failed.entry(*port).or_insert((one.failures, now));
                    if seen.0 != one.failures {
                        *seen = (one.failures, now);
                    }
                    let lately = now - seen.1 < 600_000;
                    if one.is_ejected || lately {
                        let state = if one.is_ejected { EJECTED } else { HEALTHY };
                        expected.insert(address(*port), (state, one.failures));
                    }
                }
                prop_assert_eq!(&held, &expected);
            }
        }
    }
}
