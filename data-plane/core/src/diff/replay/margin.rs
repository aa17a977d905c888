//! How far a share may be off by chance when it is one of samples.

/// Standard normal deviations within which 95 % lies.
const DEVIATIONS: f64 = 1.959_963_984_540_054;

/// Where a share lies with a confidence of 95 %; both between 0 and 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// At least.
    pub low: f64,
    /// At most.
    pub high: f64,
}

impl Interval {
    /// The score interval (Wilson, 1927) of a `share`, 0 to 1, that was seen in a sample of `size`. It holds for small
    /// shares, too, and never leaves the range. Of a sample of nothing nothing is known.
    pub fn wilson(share: f64, size: f64) -> Self {
        // A size that is no number is none, either.
        if size.is_nan() || size <= 0.0 {
            return Self { low: 0.0, high: 1.0 };
        }
        let share = share.clamp(0.0, 1.0);
        let square = DEVIATIONS * DEVIATIONS;
        let scale = 1.0 + square / size;
        let middle = (share + square / (2.0 * size)) / scale;
        let spread = share * (1.0 - share) / size + square / (4.0 * size * size);
        let half = DEVIATIONS * spread.sqrt() / scale;
        // At either end it is exact; the sums above are not.
        Self {
            low: if share == 0.0 {
                0.0
            } else {
                (middle - half).max(0.0)
            },
            high: if share == 1.0 {
                1.0
            } else {
                (middle + half).min(1.0)
            },
        }
    }
}

/// As how many draws of one request each the kinds of a sample count whose weights have this `sum`, and whose squares
/// of weights have that one (Kish, 1965): as many as there are kinds if all weigh the same, fewer the more they
/// differ. Requests of one kind that were drawn several times count as one draw, so it is never too many.
pub fn effective_size(sum: f64, squares: f64) -> f64 {
    if squares > 0.0 { sum * sum / squares } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(seen: f64, size: f64) -> [f64; 2] {
        let Interval { low, high } = Interval::wilson(seen / size, size);
        [low, high].map(|end| (end * 10_000.0).round() / 10_000.0)
    }

    #[test]
    fn intervals_are_those_of_the_table() {
        // Newcombe, Statistics in Medicine 17 (1998), table I, method 3.
        assert_eq!(of(81.0, 263.0), [0.2553, 0.3662]);
        assert_eq!(of(15.0, 148.0), [0.0624, 0.1605]);
        assert_eq!(of(0.0, 20.0), [0.0, 0.1611]);
        assert_eq!(of(1.0, 29.0), [0.0061, 0.1718]);
    }

    #[test]
    fn the_ends_are_exact_and_nothing_is_known_of_nothing() {
        assert_eq!(of(20.0, 20.0), [0.8389, 1.0]);
        assert_eq!(Interval::wilson(0.3, 0.0), Interval { low: 0.0, high: 1.0 });
        let one = Interval::wilson(1e-9, 1e12);
        assert!(one.low > 0.0 && one.high < 2e-9, "{one:?}");
    }

    #[test]
    fn the_more_weights_differ_the_fewer_draws_they_count_as() {
        let size = |weights: &[f64]| {
            let squares = weights.iter().map(|weight| weight * weight).sum();
            effective_size(weights.iter().sum(), squares)
        };
        assert_eq!(size(&[7.0; 50]), 50.0);
        assert_eq!(size(&[3.0, 1.0]), 1.6);
        assert!((1.0..1.01).contains(&size(&[1e6, 1.0, 1.0])));
        assert_eq!(size(&[]), 0.0);
    }
}
