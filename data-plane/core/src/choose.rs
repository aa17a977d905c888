//! One of several by weight, request by request.

use sluice_model::Filters;

use crate::{backend::BackendState, mirror::MirrorTarget, registry::Idx};

/// Where a request goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// To this backend.
    Backend(Idx<BackendState>),
    /// To a backend that does not exist: 500 for its share (Gateway API `backendRefs`).
    Dangling,
    /// Nowhere, as no backend has any weight: 500.
    None,
}

/// Backends that share requests by weight.
#[derive(Clone, Debug)]
pub struct Weights {
    cumulative: Cumulative,
    choices: Box<[Choice]>,
    /// In the order of the choices; empty when none of them has any.
    extras: Box<[Extras]>,
}

/// What the requests of one backend of a rule get on top of the rule's own.
#[derive(Clone, Debug, Default)]
pub struct Extras {
    /// Applied after the rule's.
    pub filters: Filters,
    /// Besides the rule's.
    pub mirrors: Box<[MirrorTarget]>,
}

/// What a draw came to.
#[derive(Clone, Copy, Debug)]
pub struct Pick<'a> {
    /// Where the request goes.
    pub choice: Choice,
    /// Changes that only this backend's requests get.
    pub filters: &'a Filters,
    /// Mirrors that only this backend's requests have.
    pub mirrors: &'a [MirrorTarget],
}

impl Weights {
    /// Weights and their backends in the order written; a backend that does not exist is `None`.
    pub fn new(backends: &[(u32, Option<Idx<BackendState>>)]) -> Self {
        let choice = |idx: Option<_>| idx.map_or(Choice::Dangling, Choice::Backend);
        Self {
            cumulative: Cumulative::new(backends.iter().map(|(weight, _)| *weight)),
            choices: backends.iter().map(|(_, idx)| choice(*idx)).collect(),
            extras: Box::default(),
        }
    }

    /// With what each backend adds, in the order of the backends.
    #[must_use]
    pub fn with_extras(self, extras: Vec<Extras>) -> Self {
        let any = extras.iter().any(|one| !one.filters.is_empty());
        Self {
            extras: if any { extras.into() } else { Box::default() },
            ..self
        }
    }

    /// One of them with the probability of its weight, if `random` is uniform. A single one does
    /// not depend on `random`.
    #[inline]
    pub fn choose(&self, random: u64) -> Pick<'_> {
        match self.cumulative.draw(random) {
            Some(at) => self.pick(at),
            None => Pick::nothing(),
        }
    }

    fn pick(&self, at: usize) -> Pick<'_> {
        let choice = self.choices.get(at).copied().unwrap_or(Choice::None);
        match self.extras.get(at) {
            Some(extras) => Pick {
                choice,
                filters: &extras.filters,
                mirrors: &extras.mirrors,
            },
            None => Pick {
                choice,
                ..Pick::nothing()
            },
        }
    }

    /// Every choice with its part of all requests, 0 to 1.
    pub fn shares(&self) -> impl Iterator<Item = (Pick<'_>, f64)> + '_ {
        let total = self.total().max(1) as f64;
        self.parts().map(move |(pick, part)| (pick, part as f64 / total))
    }

    /// Every choice with its weight: its part of [`Self::total`].
    pub(crate) fn parts(&self) -> impl Iterator<Item = (Pick<'_>, u64)> + '_ {
        let starts = std::iter::once(0).chain(self.cumulative.0.iter().copied());
        let parts = self
            .cumulative
            .0
            .iter()
            .zip(starts)
            .map(|(end, start)| end - start);
        (0..self.choices.len()).map(|at| self.pick(at)).zip(parts)
    }

    /// The sum of all weights.
    pub(crate) fn total(&self) -> u64 {
        self.cumulative.0.last().copied().unwrap_or(0)
    }

    /// The backends that exist, those of weight 0 and those of mirrors too.
    pub fn backends(&self) -> impl Iterator<Item = Idx<BackendState>> + '_ {
        let mirrored = self.extras.iter().flat_map(|extras| &extras.mirrors);
        let chosen = self.choices.iter().filter_map(|choice| match choice {
            Choice::Backend(idx) => Some(*idx),
            Choice::Dangling | Choice::None => None,
        });
        chosen.chain(mirrored.filter_map(|mirror| mirror.backend))
    }
}

impl Pick<'_> {
    fn nothing() -> Self {
        static NONE: Filters = Filters::NONE;
        Self {
            choice: Choice::None,
            filters: &NONE,
            mirrors: &[],
        }
    }
}

/// Weights made ready to draw from in logarithmic time: each one's end on a line of their sum.
#[derive(Clone, Debug)]
pub(crate) struct Cumulative(Box<[u64]>);

impl Cumulative {
    /// From weights in the order of their indices; 0 is never drawn.
    pub(crate) fn new(weights: impl IntoIterator<Item = u32>) -> Self {
        let ends = weights.into_iter().scan(0, |end, weight| {
            *end += u64::from(weight);
            Some(*end)
        });
        Self(ends.collect())
    }

    /// An index with the probability of its weight, if `random` is uniform. `None` if all are 0.
    #[inline]
    pub(crate) fn draw(&self, random: u64) -> Option<usize> {
        match &*self.0 {
            [] | [.., 0] => None,
            [_] => Some(0),
            [.., total] => {
                let point = scale(random, *total);
                Some(self.0.partition_point(|end| *end <= point))
            }
        }
    }
}

/// `random` scaled from the 64-bit range to `0..bound`; uniform up to `bound` in 2^64.
#[inline]
pub(crate) fn scale(random: u64, bound: u64) -> u64 {
    ((u128::from(random) * u128::from(bound)) >> 64) as u64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sluice_model::{FilterSet, HeaderEdit, Key};

    use super::*;
    use crate::registry::Registry;

    fn backends<const N: usize>() -> [Idx<BackendState>; N] {
        let mut registry = Registry::new();
        std::array::from_fn(|at| registry.acquire(&Key::parse(&format!("backend/default/{at}")).unwrap()))
    }

    fn count(weights: &Weights, choice: Choice) -> usize {
        // Evenly spaced, so that counts are exact to one.
        (0..1000u64)
            .filter(|step| weights.choose(step * (u64::MAX / 1000)).choice == choice)
            .count()
    }

    #[test]
    fn requests_are_shared_by_weight_and_a_dangling_share_is_told() {
        let [a, b] = backends();
        let weights = Weights::new(&[(7, Some(a)), (1, None), (2, Some(b))]);
        assert!((699..=701).contains(&count(&weights, Choice::Backend(a))));
        assert!((99..=101).contains(&count(&weights, Choice::Dangling)));
        assert!((199..=201).contains(&count(&weights, Choice::Backend(b))));
        assert_eq!(weights.backends().collect::<Vec<_>>(), [a, b]);
    }

    #[test]
    fn what_a_backend_adds_goes_with_its_requests_alone() {
        let [a, b] = backends();
        let edited = Filters::from(FilterSet {
            request_headers: HeaderEdit {
                remove: vec![http::header::COOKIE],
                ..HeaderEdit::default()
            },
            ..FilterSet::default()
        });
        let extras = vec![
            Extras::default(),
            Extras {
                filters: edited.clone(),
                mirrors: Box::default(),
            },
        ];
        let weights = Weights::new(&[(1, Some(a)), (1, Some(b))]).with_extras(extras);
        for (random, choice, filters) in [(0, a, &Filters::NONE), (u64::MAX, b, &edited)] {
            let pick = weights.choose(random);
            assert_eq!((pick.choice, pick.filters), (Choice::Backend(choice), filters));
        }
    }

    #[test]
    fn weight_zero_gets_nothing_wherever_it_stands() {
        let [x, a, y] = backends();
        let weights = Weights::new(&[(0, Some(x)), (1, Some(a)), (0, None), (0, Some(y))]);
        assert_eq!(count(&weights, Choice::Backend(a)), 1000);
        assert_eq!(weights.choose(u64::MAX).choice, Choice::Backend(a));
        assert_eq!(weights.backends().collect::<Vec<_>>(), [x, a, y]);
    }

    #[test]
    fn nothing_is_chosen_when_no_backend_has_weight() {
        let [a] = backends();
        for listed in [&[][..], &[(0, Some(a))], &[(0, Some(a)), (0, None)]] {
            assert_eq!(count(&Weights::new(listed), Choice::None), 1000);
        }
    }

    proptest! {
        #[test]
        fn the_range_is_cut_in_the_proportions_of_the_weights(
            weights in prop::collection::vec(0u32..=1_000_000, 0..20), random: u64,
        ) {
            let total: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
            let drawn = Cumulative::new(weights.iter().copied()).draw(random);
            prop_assert_eq!(drawn.is_some(), total > 0);
            if let Some(at) = drawn {
                prop_assert!(weights[at] > 0);
                let before: u64 = weights[..at].iter().map(|weight| u64::from(*weight)).sum();
                let point = (u128::from(random) * u128::from(total)) >> 64;
                prop_assert!((u128::from(before)..u128::from(before + u64::from(weights[at]))).contains(&point));
            }
        }
    }
}
