//! Copies of requests (Gateway API `HTTPRequestMirrorFilter`).

use sluice_model::{Key, Mirror};

use crate::{backend::BackendState, choose::scale, registry::Idx};

/// A mirror with its backend found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MirrorTarget {
    /// `None`: the reference dangles, and nothing is sent.
    pub backend: Option<Idx<BackendState>>,
    numerator: u32,
    denominator: u32,
}

impl MirrorTarget {
    /// Finds the backends of `mirrors`.
    pub(crate) fn find(
        mirrors: &[Mirror],
        mut acquire: impl FnMut(&Key) -> Idx<BackendState>,
    ) -> Box<[Self]> {
        let one = |mirror: &Mirror| Self {
            backend: mirror.backend.as_ref().map(&mut acquire),
            numerator: mirror.numerator,
            denominator: mirror.denominator,
        };
        mirrors.iter().map(one).collect()
    }

    /// Whether this request is copied; `random` is uniform, and each mirror has its own.
    #[inline]
    pub fn draws(&self, random: u64) -> bool {
        scale(random, self.denominator.into()) < u64::from(self.numerator)
    }

    /// Its part of all requests, 0 to 1.
    pub fn fraction(&self) -> f64 {
        f64::from(self.numerator) / f64::from(self.denominator)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_mirror_copies_exactly_its_fraction(denominator in 1u32..500, part in 0.0..=1.0f64) {
            let numerator = (f64::from(denominator) * part) as u32;
            let mirror = MirrorTarget { backend: None, numerator, denominator };
            // The middle of each of `denominator` equal parts of the range.
            let width = u64::MAX / u64::from(denominator);
            let copied = (0..u64::from(denominator)).filter(|at| mirror.draws(at * width + width / 2)).count();
            prop_assert_eq!(copied, numerator as usize);
        }
    }

    #[test]
    fn all_is_all_and_none_is_none() {
        for random in [0, 1, u64::MAX / 2, u64::MAX] {
            let mirror = |numerator| MirrorTarget {
                backend: None,
                numerator,
                denominator: 1000,
            };
            assert!(mirror(1000).draws(random));
            assert!(!mirror(0).draws(random));
        }
    }
}
