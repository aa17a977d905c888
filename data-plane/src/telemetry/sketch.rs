//! A mergeable sketch of times (DDSketch), with its bins in the open so that they can travel.

use std::time::Duration;

use sketches_ddsketch::Config;
use sluice_proto::v1;

/// Relative error of every quantile.
const ALPHA: f64 = 0.01;
/// Bins a sketch may have: with this error, from a microsecond to two days.
const MAX_BINS: usize = 1300;

/// Times by logarithmic bins: bin `k` holds `gamma^k <= t < gamma^(k+1)`, in milliseconds, with
/// `gamma = (1 + alpha) / (1 - alpha)`, as `sketches_ddsketch` has it.
#[derive(Clone, Debug)]
pub(crate) struct Sketch {
    mapping: Config,
    /// Index of the first bin.
    first: i32,
    bins: Vec<u64>,
    /// Times below a microsecond.
    zeros: u64,
    /// Milliseconds.
    sum: f64,
}

impl Default for Sketch {
    fn default() -> Self {
        Self {
            mapping: Config::new(ALPHA, MAX_BINS as u32, 1e-3),
            first: 0,
            bins: Vec::new(),
            zeros: 0,
            sum: 0.0,
        }
    }
}

impl Sketch {
    /// Adds one time.
    #[inline]
    pub(crate) fn add(&mut self, time: Duration) {
        let millis = time.as_secs_f64() * 1e3;
        self.sum += millis;
        match millis < 1e-3 {
            true => self.zeros += 1,
            false => self.count(self.mapping.key(millis), 1),
        }
    }

    /// Adds everything in `other`.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (bin, count) in other.bins() {
            self.count(bin, count);
        }
        self.zeros += other.zeros;
        self.sum += other.sum;
    }

    /// Number of times added.
    pub(crate) fn len(&self) -> u64 {
        self.zeros + self.bins.iter().sum::<u64>()
    }

    /// Sum of the times, in seconds.
    pub(crate) fn sum_seconds(&self) -> f64 {
        self.sum / 1e3
    }

    /// Times of at most `seconds` each, for every one of `bounds` (ascending). A bin counts from
    /// the bound that its middle is under: right to the error of the sketch.
    pub(crate) fn cumulative<const N: usize>(&self, bounds: &[f64; N]) -> [u64; N] {
        let mut counts = [0; N];
        for (bin, count) in self.bins() {
            let seconds = self.mapping.value(bin) / 1e3;
            let from = bounds.partition_point(|bound| *bound < seconds);
            counts[from..].iter_mut().for_each(|sum| *sum += count);
        }
        counts.map(|count| count + self.zeros)
    }

    /// The sketch as it travels: only bins that are not empty.
    pub(crate) fn to_wire(&self) -> v1::Sketch {
        let (bins, counts) = self.bins().unzip();
        v1::Sketch {
            alpha: ALPHA,
            bins,
            counts,
            zeros: self.zeros,
            sum: self.sum,
        }
    }

    fn bins(&self) -> impl Iterator<Item = (i32, u64)> + '_ {
        let bins = (self.first..).zip(self.bins.iter().copied());
        bins.filter(|(_, count)| *count != 0)
    }

    #[inline]
    fn count(&mut self, bin: i32, count: u64) {
        let at = bin.wrapping_sub(self.first) as usize;
        match self.bins.get_mut(at) {
            Some(sum) => *sum += count,
            None => self.grow(bin, count),
        }
    }

    #[cold]
    fn grow(&mut self, bin: i32, count: u64) {
        if self.bins.is_empty() {
            self.first = bin;
        }
        let end = self.first.saturating_add(self.bins.len() as i32);
        // Times of more than two days share the last bin; below a microsecond there are none.
        let bin = bin.min(self.first.saturating_add(MAX_BINS as i32 - 1));
        if bin < self.first {
            let more = (self.first - bin) as usize;
            self.bins.splice(0..0, std::iter::repeat_n(0, more));
            self.first = bin;
        } else if bin >= end {
            self.bins.resize((bin - self.first) as usize + 1, 0);
        }
        self.bins[(bin - self.first) as usize] += count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sketch(millis: &[f64]) -> Sketch {
        let mut sketch = Sketch::default();
        for millis in millis {
            sketch.add(Duration::from_secs_f64(millis / 1e3));
        }
        sketch
    }

    #[test]
    fn a_time_travels_in_a_bin_that_is_right_to_one_percent() {
        let wire = sketch(&[250.0, 250.0]).to_wire();
        assert_eq!((wire.bins.len(), &wire.counts[..], wire.zeros), (1, &[2][..], 0));
        let gamma = (1.0 + wire.alpha) / (1.0 - wire.alpha);
        let low = f64::powi(gamma, wire.bins[0]);
        assert!((low..low * gamma).contains(&250.0), "{low}");
        assert!((wire.sum - 500.0).abs() < 1e-6);
    }

    #[test]
    fn merging_is_as_good_as_adding_in_any_order() {
        let all = sketch(&[0.5, 12.0, 0.0, 0.5, 4000.0]);
        let mut merged = sketch(&[4000.0, 0.0]);
        merged.merge(&sketch(&[12.0, 0.5, 0.5]));
        assert_eq!(merged.to_wire(), all.to_wire());
        assert_eq!(merged.len(), 5);
    }

    #[test]
    fn counts_up_to_a_bound_only_grow_and_end_with_everything_below_it() {
        let sketch = sketch(&[0.0, 2.0, 8.0, 30.0, 700.0]);
        assert_eq!(
            sketch.cumulative(&[0.001, 0.005, 0.01, 0.1, 1.0]),
            [1, 2, 3, 4, 5]
        );
    }

    #[test]
    fn however_far_apart_times_are_the_bins_stay_bounded() {
        let sketch = sketch(&[1e-3, 1e15]);
        assert!(sketch.bins.len() <= MAX_BINS);
        assert_eq!(sketch.len(), 2);
    }
}
