//! Which endpoint of a backend a request goes to: the less busy of two drawn by weight.
//!
//! Two choices keep the busiest endpoint nearly as short of work as a look at all of them would
//! (Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing"), at the cost of two
//! looks. Both are drawn by weight, and the second is taken only if, with the request, it would
//! still carry no more for its weight than the first carries now. So an idle backend is used in the
//! exact proportion of its weights, and a busy one carries load in that proportion.

use std::sync::Arc;

use crate::{
    backend::{BackendState, EndpointState},
    choose::scale,
    health::Millis,
};

/// Draws that may hit an endpoint of no use before all are looked at.
const DRAWS: usize = 4;

/// The endpoint for the next request of `backend`. `None` when it has none with any weight.
///
/// `in_flight` is how many requests are under way to an endpoint, by the caller's count. Ejected
/// endpoints and the one whose uid is `exclude` (just tried without success) are passed over while
/// there are others; when all are ejected all are used (panic routing), and when nothing else is
/// left the excluded one is. `random` is uniform. Does not allocate.
#[inline]
pub fn pick(
    backend: &BackendState,
    in_flight: impl Fn(&EndpointState) -> u32,
    now: Millis,
    random: u64,
    exclude: Option<u64>,
) -> Option<&Arc<EndpointState>> {
    match &*backend.endpoints {
        [] => None,
        [only] => (only.weight > 0).then_some(only),
        endpoints => pick_of_many(backend, endpoints, &in_flight, now, random, exclude),
    }
}

fn pick_of_many<'a>(
    backend: &'a BackendState,
    endpoints: &'a [Arc<EndpointState>],
    in_flight: &impl Fn(&EndpointState) -> u32,
    now: Millis,
    random: u64,
    exclude: Option<u64>,
) -> Option<&'a Arc<EndpointState>> {
    let mut draws = Draws { backend, random };
    let healthy = |one: &EndpointState| !one.health.is_ejected(now);
    let fresh = |one: &EndpointState| Some(one.uid) != exclude;
    let (first, panic) = match draws
        .usable(|one| healthy(one) && fresh(one))
        .or_else(|| draws.usable(healthy))
    {
        Some(first) => (first, false),
        None => (draws.usable(fresh).or_else(|| draws.usable(|_| true))?, true),
    };
    let one = &endpoints[first];
    let other = |other: &EndpointState| other.uid != one.uid && fresh(other) && (panic || healthy(other));
    let Some(second) = draws.usable(other) else {
        return Some(one);
    };
    let two = &endpoints[second];
    // (b + 1) / weight of b <= a / weight of a
    let carried = u64::from(in_flight(one)) * u64::from(two.weight);
    let would = (u64::from(in_flight(two)) + 1) * u64::from(one.weight);
    Some(if would <= carried { two } else { one })
}

/// Draws indices of endpoints by weight from one random number.
struct Draws<'a> {
    backend: &'a BackendState,
    random: u64,
}

impl Draws<'_> {
    /// One of those that are `usable`, by weight.
    #[inline]
    fn usable(&mut self, usable: impl Fn(&EndpointState) -> bool) -> Option<usize> {
        for _ in 0..DRAWS {
            let random = self.next();
            let drawn = self.backend.weights.draw(random)?;
            if usable(&self.backend.endpoints[drawn]) {
                return Some(drawn);
            }
        }
        self.search(usable)
    }

    /// The same, looking at all of them: for when few are usable.
    #[cold]
    fn search(&mut self, usable: impl Fn(&EndpointState) -> bool) -> Option<usize> {
        let random = self.next();
        let endpoints = || {
            self.backend
                .endpoints
                .iter()
                .enumerate()
                .filter(|(_, one)| usable(one))
        };
        let total: u64 = endpoints().map(|(_, one)| u64::from(one.weight)).sum();
        let mut point = scale(random, total);
        let mut found = endpoints().filter(|(_, one)| one.weight > 0);
        let hit = found.find(|(_, one)| match point.checked_sub(u64::from(one.weight)) {
            Some(rest) => {
                point = rest;
                false
            }
            None => true,
        });
        hit.map(|(at, _)| at)
    }

    /// SplitMix64 (Steele, Lea, Flood 2014): as many numbers from one as a pick needs.
    #[inline]
    fn next(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sluice_model::Outlier;

    use super::*;
    use crate::backend::tests::backend;

    const NOW: Millis = Millis(0);

    /// Ejects what stands at `at`, whatever the percentage would say.
    fn eject(backend: &BackendState, at: usize) {
        let outlier = Outlier {
            failures: 1,
            max_ejected_percent: 100,
            ..Outlier::default()
        };
        assert!(
            backend.endpoints[at]
                .health
                .record_failure(NOW, &outlier, backend)
        );
    }

    /// How often each endpoint is picked in 10,000 rounds with these requests under way.
    fn picks(backend: &BackendState, load: &[u32], exclude: Option<u64>) -> Vec<u32> {
        let mut picks = vec![0; backend.endpoints.len()];
        for random in 0..10_000 {
            // The helper numbers endpoints from 1.
            let in_flight = |one: &EndpointState| load[one.uid as usize - 1];
            let picked = pick(backend, in_flight, NOW, random, exclude).unwrap();
            picks[picked.uid as usize - 1] += 1;
        }
        picks
    }

    fn assert_near(picks: u32, expected: u32) {
        // Five standard deviations of 10,000 fair coins.
        assert!(picks.abs_diff(expected) < 250, "{picks} is far from {expected}");
    }

    #[test]
    fn an_idle_backend_is_used_in_the_proportion_of_its_weights() {
        for (weights, expected) in [
            (&[1, 1][..], &[5000, 5000][..]),
            (&[9, 1], &[9000, 1000]),
            (&[3, 0, 5, 2], &[3000, 0, 5000, 2000]),
        ] {
            let backend = backend(weights);
            let picks = picks(&backend, &vec![0; weights.len()], None);
            for (picks, expected) in picks.iter().zip(expected) {
                assert_near(*picks, *expected);
            }
            assert!(
                weights
                    .iter()
                    .zip(&picks)
                    .all(|(weight, picks)| (*weight == 0) == (*picks == 0))
            );
        }
    }

    #[test]
    fn the_less_busy_of_two_is_taken() {
        assert_eq!(picks(&backend(&[1, 1]), &[3, 2], None), [0, 10_000]);
        assert_eq!(picks(&backend(&[2, 1]), &[2, 3], None), [10_000, 0]);
        assert_eq!(picks(&backend(&[2, 1]), &[7, 2], None), [0, 10_000]);
        let picks = picks(&backend(&[1; 4]), &[1, 1, 1, 9], None);
        assert_eq!(picks[3], 0);
        assert_near(picks[0], 3333);
    }

    #[test]
    fn load_settles_in_the_proportion_of_the_weights() {
        let weights = [100, 10, 1];
        let backend = backend(&weights);
        let mut load = [0u32; 3];
        for random in 0..11_100 {
            let picked = pick(&backend, |one| load[one.uid as usize - 1], NOW, random, None).unwrap();
            load[picked.uid as usize - 1] += 1;
        }
        for (load, weight) in load.iter().zip(weights) {
            assert!(
                load.abs_diff(weight * 100) <= weight * 2 + 2,
                "{load} for weight {weight}"
            );
        }
    }

    #[test]
    fn ejected_endpoints_get_nothing_until_all_are_ejected() {
        let backend = backend(&[1, 1, 1]);
        eject(&backend, 0);
        assert_eq!(picks(&backend, &[0, 9, 9], None)[0], 0);
        eject(&backend, 1);
        assert_eq!(picks(&backend, &[0, 0, 9], None), [0, 0, 10_000]);
        eject(&backend, 2);
        picks(&backend, &[0; 3], None)
            .iter()
            .for_each(|picks| assert_near(*picks, 3333));
    }

    #[test]
    fn a_retry_goes_elsewhere_if_there_is_an_elsewhere() {
        let two = backend(&[1, 1]);
        assert_eq!(picks(&two, &[0, 9], Some(1)), [0, 10_000]);
        eject(&two, 1);
        assert_eq!(picks(&two, &[0, 0], Some(1)), [10_000, 0]);
        eject(&two, 0);
        assert_eq!(picks(&two, &[0, 9], Some(1)), [0, 10_000]);
        assert_eq!(picks(&backend(&[1]), &[0], Some(1)), [10_000]);
        assert_eq!(picks(&backend(&[1, 0]), &[0, 0], Some(1)), [10_000, 0]);
    }

    #[test]
    fn nothing_is_picked_where_nothing_has_weight() {
        for weights in [&[][..], &[0], &[0, 0]] {
            assert!(
                pick(&backend(weights), |_| 0, NOW, 7, None).is_none(),
                "{weights:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn what_is_picked_is_the_best_kind_there_is(
            endpoints in prop::collection::vec((0u32..4, any::<bool>(), 0u32..10), 2..20),
            exclude in prop::option::of(1u64..20),
            random: u64,
        ) {
            let weights: Vec<u32> = endpoints.iter().map(|(weight, ..)| *weight).collect();
            let backend = backend(&weights);
            let out = endpoints.iter().enumerate().filter(|(_, (_, ejected, _))| *ejected);
            out.for_each(|(at, _)| eject(&backend, at));
            let rank = |one: &EndpointState| match (one.health.is_ejected(NOW), Some(one.uid) == exclude) {
                (false, false) => 0,
                (false, true) => 1,
                (true, false) => 2,
                (true, true) => 3,
            };
            let best = backend.endpoints.iter().filter(|one| one.weight > 0).map(|one| rank(one)).min();
            let picked = pick(&backend, |one| endpoints[one.uid as usize - 1].2, NOW, random, exclude);
            prop_assert_eq!(picked.map(|one| rank(one)), best);
            prop_assert!(picked.is_none_or(|one| one.weight > 0));
        }
    }
}
