//! Order statistics of small samples.

use serde::Serialize;

/// Median and range of what the rounds measured.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

/// Percentiles of many single events.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Percentiles {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) max: f64,
}

/// `None` of nothing.
pub(crate) fn spread(mut values: Vec<f64>) -> Option<Spread> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    let median = if values.len().is_multiple_of(2) {
        f64::midpoint(values[middle - 1], upper)
    } else {
        upper
    };
    Some(Spread {
        median,
        min: *values.first()?,
        max: *values.last()?,
    })
}

/// By nearest rank; `None` of nothing.
pub(crate) fn percentiles(mut values: Vec<f64>) -> Option<Percentiles> {
    values.sort_by(f64::total_cmp);
    let rank = |percent: usize| {
        values
            .get((values.len() * percent).div_ceil(100).checked_sub(1)?)
            .copied()
    };
    Some(Percentiles {
        p50: rank(50)?,
        p99: rank(99)?,
        max: rank(100)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_is_between_the_middle_two() {
        let spread = spread(vec![4.0, 1.0, 2.0, 9.0]).unwrap();
        assert_eq!(
            spread,
            Spread {
                median: 3.0,
                min: 1.0,
                max: 9.0
            }
        );
    }

    #[test]
    fn the_99th_percentile_of_a_hundred_is_the_last_but_one() {
        let percentiles = percentiles((1..=100).map(f64::from).collect()).unwrap();
        assert_eq!(
            percentiles,
            Percentiles {
                p50: 50.0,
                p99: 99.0,
                max: 100.0
            }
        );
    }

    #[test]
    fn nothing_has_no_statistics() {
        assert_eq!(spread(Vec::new()), None);
        assert_eq!(percentiles(Vec::new()), None);
    }
}
