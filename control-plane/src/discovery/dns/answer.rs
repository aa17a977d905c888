//! What answers of the DNS mean for endpoints. No IO.

use std::net::IpAddr;
use std::time::Duration;

use crate::compile::{Found, NO_PORT};

/// A name is not asked for more often, whatever its time to live is.
const SHORTEST: Duration = Duration::from_secs(1);
/// Nor less often: time enough, and a name whose owner was wrong about it is not wrong for long.
const LONGEST: Duration = Duration::from_secs(300);
/// How long a name without records is believed to have none, if the answer does not say.
const NEGATIVE: Duration = Duration::from_secs(30);
/// First and longest pause after a lookup that failed.
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LAST_RETRY: Duration = Duration::from_secs(30);

/// The answer to one question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer<T> {
    /// These records, for so many seconds.
    Records(Vec<T>, u32),
    /// There are none, for so many seconds, if the answer says.
    Nothing(Option<u32>),
    /// Nobody knows.
    Failed(String),
}

/// What came of looking a source up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// What it knows now, and for how long.
    Found(Vec<Found>, Duration),
    /// It has nothing; to be asked again after this.
    Nothing(Duration),
    /// It cannot be asked.
    Failed(String),
}

/// One service of a name (RFC 2782).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Service {
    pub(super) priority: u16,
    pub(super) weight: u16,
    pub(super) port: u16,
    pub(super) target: String,
}

/// What a name leads to by its A and its AAAA records. Of a family that cannot be asked, while the
/// other answers, the addresses in `known` stay.
pub(super) fn addresses(v4: Answer<IpAddr>, v6: Answer<IpAddr>, known: &[Found]) -> Outcome {
    let kept = |is_family: fn(&IpAddr) -> bool| {
        let known = known.iter().map(|one| one.address);
        known.filter(is_family).collect::<Vec<_>>()
    };
    match (v4, v6) {
        (Answer::Records(mut all, ttl), Answer::Records(more, other)) => {
            all.extend(more);
            found(all, ttl.min(other))
        }
        (Answer::Records(all, ttl), Answer::Nothing(_)) | (Answer::Nothing(_), Answer::Records(all, ttl)) => {
            found(all, ttl)
        }
        (Answer::Records(mut all, ttl), Answer::Failed(_)) => {
            all.extend(kept(IpAddr::is_ipv6));
            found(all, ttl)
        }
        (Answer::Failed(_), Answer::Records(mut all, ttl)) => {
            all.extend(kept(IpAddr::is_ipv4));
            found(all, ttl)
        }
        (Answer::Nothing(one), Answer::Nothing(other)) => Outcome::Nothing(negative(one, other)),
        (Answer::Failed(why), _) | (_, Answer::Failed(why)) => Outcome::Failed(why),
    }
}

fn found(addresses: Vec<IpAddr>, ttl: u32) -> Outcome {
    let port = NO_PORT;
    let found = addresses.into_iter().map(|address| Found {
        address,
        port,
        weight: 1,
    });
    Outcome::Found(found.collect(), seconds(ttl))
}

/// How long none of two answers will have records.
pub(super) fn negative(one: Option<u32>, other: Option<u32>) -> Duration {
    match one.into_iter().chain(other).min() {
        Some(ttl) => seconds(ttl),
        None => NEGATIVE,
    }
}

/// The addresses of `service`, when its target leads to `found`. Among others a weight of 0 gets next
/// to nothing (RFC 2782), which 1 is here.
pub(super) fn at_service(service: &Service, found: Vec<Found>) -> impl Iterator<Item = Found> {
    let (port, weight) = (service.port, u32::from(service.weight).max(1));
    found.into_iter().map(move |one| Found {
        address: one.address,
        port,
        weight,
    })
}

/// The pause after so many failures in a row.
pub(super) fn retry(failures: u32) -> Duration {
    let factor = 1u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX);
    FIRST_RETRY.saturating_mul(factor).min(LAST_RETRY)
}

pub(super) fn seconds(ttl: u32) -> Duration {
    Duration::from_secs(ttl.into()).clamp(SHORTEST, LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ips(texts: &[&str]) -> Vec<IpAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn records(texts: &[&str], ttl: u32) -> Answer<IpAddr> {
        Answer::Records(ips(texts), ttl)
    }

    /// The addresses and the seconds of an outcome with some.
    fn read(outcome: Outcome) -> (Vec<IpAddr>, u64) {
        match outcome {
            Outcome::Found(found, ttl) => (found.iter().map(|one| one.address).collect(), ttl.as_secs()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn both_families_count_and_the_shorter_life_of_the_two() {
        let both = addresses(records(&["10.0.0.1"], 60), records(&["::1"], 20), &[]);
        assert_eq!(read(both), (ips(&["10.0.0.1", "::1"]), 20));
        // That there is no AAAA record says nothing about how long the A record is good.
        let one = addresses(records(&["10.0.0.1"], 60), Answer::Nothing(Some(5)), &[]);
        assert_eq!(read(one), (ips(&["10.0.0.1"]), 60));
    }

    #[test]
    fn a_family_that_cannot_be_asked_keeps_its_addresses() {
        let known = [ips(&["10.0.0.9", "::9"]), Vec::new()].concat();
        let known: Vec<_> = match found(known, 1) {
            Outcome::Found(known, _) => known,
            other => panic!("{other:?}"),
        };
        let failed = || Answer::Failed("away".into());
        let kept = addresses(records(&["10.0.0.1"], 60), failed(), &known);
        assert_eq!(read(kept).0, ips(&["10.0.0.1", "::9"]));
        let kept = addresses(failed(), records(&["::1"], 60), &known);
        assert_eq!(read(kept).0, ips(&["::1", "10.0.0.9"]));
        assert_eq!(
            addresses(Answer::Nothing(None), failed(), &known),
            Outcome::Failed("away".into())
        );
    }

    #[test]
    fn that_a_name_does_not_exist_is_believed_as_long_as_the_answer_says() {
        let nothing = |one, other| match addresses(Answer::Nothing(one), Answer::Nothing(other), &[]) {
            Outcome::Nothing(again) => again.as_secs(),
            other => panic!("{other:?}"),
        };
        assert_eq!(nothing(Some(40), Some(50)), 40);
        assert_eq!(nothing(None, None), 30);
    }

    #[test]
    fn lives_are_bounded_and_failures_slow_down() {
        assert_eq!([0, 7, 86_400].map(|ttl| seconds(ttl).as_secs()), [1, 7, 300]);
        let pauses = [1, 2, 3, 6, 99].map(|failures| retry(failures).as_secs());
        assert_eq!(pauses, [1, 2, 4, 30, 30]);
    }

    #[test]
    fn a_service_says_port_and_weight() {
        let service = |weight| Service {
            priority: 0,
            weight,
            port: 8080,
            target: "a".into(),
        };
        let at = |weight| {
            let target = Found {
                address: [10, 0, 0, 1].into(),
                port: NO_PORT,
                weight: 1,
            };
            let found: Vec<_> = at_service(&service(weight), vec![target]).collect();
            (found[0].port, found[0].weight)
        };
        assert_eq!([at(0), at(1), at(500)], [(8080, 1), (8080, 1), (8080, 500)]);
    }
}
