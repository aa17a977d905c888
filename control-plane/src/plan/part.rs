//! Which part of some requests proxies of one view would have answered with each of the views that they would have.

/// A number of proxies among others: so much of the requests of all of them is theirs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// Of those that come before these, how many are in each part.
    earlier: Vec<u64>,
    own: u64,
    /// These and all that come later.
    rest: u64,
}

impl Part {
    /// The parts of so many proxies each, in this order.
    pub(super) fn of(proxies: &[u64]) -> Vec<Self> {
        let part = |(at, own): (usize, &u64)| Self {
            earlier: proxies[..at].to_vec(),
            own: *own,
            rest: proxies[at..].iter().sum(),
        };
        proxies.iter().enumerate().map(part).collect()
    }

    /// Whether it is the first of them.
    pub(super) fn is_first(&self) -> bool {
        self.earlier.is_empty()
    }

    /// How many of the first so many requests are its own. Those of all parts are all of them; of each further
    /// request it is one more, or as many.
    pub(super) fn of_first(&self, requests: u128) -> u128 {
        let mut left = requests;
        let mut proxies = u128::from(self.rest) + self.earlier.iter().copied().map(u128::from).sum::<u128>();
        // Each takes its share of what those before it left: so rounding takes nothing from anybody twice.
        for count in self.earlier.iter().copied().map(u128::from) {
            left -= left * count / proxies.max(1);
            proxies -= count;
        }
        left * u128::from(self.own) / proxies.max(1)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What each part gets of kinds that come one after another.
    fn shares(part: &Part, weights: &[u64]) -> Vec<u128> {
        let (mut sum, mut before) = (0_u128, 0_u128);
        let share = |weight: &u64| {
            sum += u128::from(*weight);
            let until = part.of_first(sum);
            let share = until - before;
            before = until;
            share
        };
        weights.iter().map(share).collect()
    }

    #[test]
    fn light_kinds_are_shared_as_the_proxies_are() {
        let parts = Part::of(&[9, 1]);
        let [most, few] = [&parts[0], &parts[1]].map(|part| shares(part, &[1; 100]));
        assert_eq!((most.iter().sum::<u128>(), few.iter().sum::<u128>()), (90, 10));
        for (tenth, others) in few.chunks(10).zip(most.chunks(10)) {
            assert_eq!(
                (tenth.iter().sum::<u128>(), others.iter().sum::<u128>()),
                (1, 9),
                "spread over all"
            );
        }
        let of_three = Part::of(&[1, 1, 1]);
        let sums = of_three
            .iter()
            .map(|part| shares(part, &[1; 90]).iter().sum::<u128>());
        assert_eq!(sums.collect::<Vec<_>>(), [30, 30, 30]);
        assert!(of_three[0].is_first() && !of_three[1].is_first());
    }

    proptest! {
        #[test]
        fn parts_are_all_of_each_kind_and_no_part_is_far_from_its_share(
            proxies in prop::collection::vec(1..10_000_u64, 1..8),
            weights in prop::collection::vec(prop_oneof![4 => 1..5_u64, 1 => 1..=1_u64 << 40], 1..60),
        ) {
            let parts = Part::of(&proxies);
            let each: Vec<_> = parts.iter().map(|part| shares(part, &weights)).collect();
            for (at, weight) in weights.iter().enumerate() {
                let sum: u128 = each.iter().map(|shares| shares[at]).sum();
                prop_assert_eq!(sum, u128::from(*weight));
            }
            let all: u128 = weights.iter().copied().map(u128::from).sum();
            let fleet: u128 = proxies.iter().copied().map(u128::from).sum();
            for (own, shares) in proxies.iter().zip(&each) {
                let due = all * u128::from(*own) / fleet;
                let off = shares.iter().sum::<u128>().abs_diff(due);
                prop_assert!(off <= proxies.len() as u128, "{} off {}", off, due);
            }
        }
    }
}
