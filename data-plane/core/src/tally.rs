//! Kinds of requests, or of anything, counted within a bound.
//!
//! While there is room everything counts. When there are too many kinds, each thing that was counted is
//! kept or dropped by a fair coin, and from then on only every second one counts; and so on. So what is there is
//! always a sample in which everything is as likely to be as anything else, and shares of it are off by no more
//! than chance.

use std::collections::{BTreeMap, btree_map::Entry};

/// Kinds, and how many there were of each. What is kept of the same things in the same order is the same.
#[derive(Clone, Debug)]
pub struct Tally<K> {
    counts: BTreeMap<K, u64>,
    bounds: TallyBounds,
    bytes: usize,
    bytes_of: fn(&K) -> usize,
    all: u64,
    sampled: u64,
    halvings: u32,
    coins: Coins,
}

/// What is kept at most.
#[derive(Clone, Copy, Debug)]
pub struct TallyBounds {
    /// Kinds.
    pub kinds: usize,
    /// Bytes of them.
    pub bytes: usize,
}

impl<K: Ord> Tally<K> {
    /// Nothing yet. `bytes_of` says how many bytes a kind has.
    pub fn new(bounds: TallyBounds, bytes_of: fn(&K) -> usize) -> Self {
        Self {
            counts: BTreeMap::new(),
            bounds,
            bytes: 0,
            bytes_of,
            all: 0,
            sampled: 0,
            halvings: 0,
            coins: Coins(0),
        }
    }

    /// Counts `weight` things of one kind.
    pub fn add(&mut self, kind: K, weight: u64) {
        self.all = self.all.saturating_add(weight);
        let mut kept = weight;
        for _ in 0..self.halvings {
            kept = self.coins.half(kept);
        }
        if kept == 0 {
            return;
        }
        self.sampled = self.sampled.saturating_add(kept);
        match self.counts.entry(kind) {
            Entry::Occupied(mut count) => *count.get_mut() = count.get().saturating_add(kept),
            Entry::Vacant(place) => {
                self.bytes += (self.bytes_of)(place.key());
                place.insert(kept);
            }
        }
        while self.counts.len() > self.bounds.kinds || self.bytes > self.bounds.bytes {
            self.halve();
        }
    }

    /// How many there were.
    pub fn all(&self) -> u64 {
        self.all
    }

    /// How many of them are counted, if not all are.
    pub fn sampled(&self) -> Option<u64> {
        (self.halvings > 0).then_some(self.sampled)
    }

    /// By how much a share may be off in 95 of 100 samples, in percent of all; 0 where all count.
    pub fn error_percent(&self) -> f64 {
        self.sampled().map_or(0.0, error_percent)
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// How many things each that is counted stands for.
    pub fn factor(&self) -> u64 {
        1_u64.checked_shl(self.halvings).unwrap_or(u64::MAX)
    }

    /// The kinds in their order, and how many of each are counted.
    pub fn kinds(&self) -> impl Iterator<Item = (&K, u64)> {
        self.counts.iter().map(|(kind, count)| (kind, *count))
    }

    /// The same, for whoever wants to keep them.
    pub fn into_kinds(self) -> impl Iterator<Item = (K, u64)> {
        self.counts.into_iter()
    }

    fn halve(&mut self) {
        let (coins, bytes_of) = (&mut self.coins, self.bytes_of);
        let (mut bytes, mut sampled) = (0, 0_u64);
        self.counts.retain(|kind, count| {
            *count = coins.half(*count);
            if *count > 0 {
                bytes += bytes_of(kind);
                sampled = sampled.saturating_add(*count);
            }
            *count > 0
        });
        (self.bytes, self.sampled) = (bytes, sampled);
        self.halvings += 1;
    }
}

/// By how much a share of `sampled` things may be off in 95 of 100 samples, in percent of all.
pub fn error_percent(sampled: u64) -> f64 {
    // Twice the standard error of a share of one half, which has the largest.
    1.96 * 50.0 / (sampled.max(1) as f64).sqrt()
}

/// Fair coins (splitmix64).
#[derive(Clone, Debug)]
struct Coins(u64);

impl Coins {
    /// 64 of them.
    fn toss(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// How many of so many are kept, one coin for each; of very many, half.
    fn half(&mut self, count: u64) -> u64 {
        const EXACT: u64 = 1 << 20;
        if count > EXACT {
            return count / 2;
        }
        let whole: u64 = (0..count / 64).map(|_| u64::from(self.toss().count_ones())).sum();
        let mask = (1_u64 << (count % 64)) - 1;
        whole + u64::from((self.toss() & mask).count_ones())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(kinds: usize) -> Tally<u64> {
        let bounds = TallyBounds { kinds, bytes: 8_000 };
        Tally::new(bounds, |_| 8)
    }

    #[test]
    fn while_there_is_room_everything_counts() {
        let mut tally = tally(10);
        (0..10).for_each(|at| tally.add(at, at + 1));
        tally.add(3, 6);
        assert_eq!(
            (tally.all(), tally.sampled(), tally.error_percent()),
            (61, None, 0.0)
        );
        let counts: BTreeMap<_, _> = tally.into_kinds().collect();
        assert_eq!((counts.len(), counts[&3]), (10, 10));
    }

    #[test]
    fn past_the_bound_shares_are_off_by_no_more_than_is_said() {
        // Three quarters are one kind, and the rest are all different.
        for mut tally in [tally(1_000), tally(usize::MAX)] {
            for at in 0..40_000_u64 {
                tally.add(if at % 4 == 0 { at } else { 1 }, 1);
            }
            let (sampled, error) = (tally.sampled().unwrap(), tally.error_percent());
            assert_eq!(tally.all(), 40_000);
            assert!((1_000..4_100).contains(&sampled), "{sampled}");
            assert!((sampled * tally.factor()).abs_diff(40_000) < 4_000, "{sampled}");
            let counts: BTreeMap<_, _> = tally.into_kinds().collect();
            assert!(counts.len() <= 1_000);
            assert_eq!(counts.values().sum::<u64>(), sampled);
            let percent = counts[&1] as f64 * 100.0 / sampled as f64;
            assert!(
                (percent - 75.0).abs() < error,
                "{percent} is not 75 within {error}"
            );
            assert!((1.5..3.2).contains(&error), "{error}");
        }
    }

    #[test]
    fn a_coin_is_tossed_for_each() {
        let mut coins = Coins(7);
        for count in [0, 1, 63, 64, 65, 100_000, u64::MAX] {
            let half = coins.half(count);
            assert!(half <= count);
            let expected = count as f64 / 2.0;
            assert!(
                (half as f64 - expected).abs() <= 4.0 * (count as f64).sqrt(),
                "{half} of {count}"
            );
        }
    }
}
