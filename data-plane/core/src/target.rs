//! Where the requests of a rule go.

use sluice_model::{Experiment, Key, Split, WeightedBackend};

use crate::{
    backend::BackendState,
    choose::{Extras, Weights},
    mirror::MirrorTarget,
    registry::Idx,
};

/// What a rule refers to, with its backends found.
#[derive(Debug)]
pub enum Target {
    /// By weight, request by request.
    Split(Weights),
    /// By user, over a slot table. Boxed, as most targets are splits and a fifth of its size.
    Experiment(Box<ExperimentTarget>),
}

/// An experiment with its backends found. How it chooses stands in `experiment.rs`.
#[derive(Debug)]
pub struct ExperimentTarget {
    /// As it was sent.
    pub experiment: Experiment,
    /// Backends of each variant, in the order of the variants.
    pub variants: Vec<Weights>,
}

impl Target {
    pub(crate) fn from_split(split: &Split, acquire: impl FnMut(&Key) -> Idx<BackendState>) -> Self {
        Self::Split(weights(&split.backends, acquire))
    }

    pub(crate) fn from_experiment(
        experiment: Experiment,
        mut acquire: impl FnMut(&Key) -> Idx<BackendState>,
    ) -> Self {
        let variants = experiment
            .variants
            .iter()
            .map(|variant| weights(&variant.backends, &mut acquire));
        let variants = variants.collect();
        Self::Experiment(Box::new(ExperimentTarget { experiment, variants }))
    }

    /// Every backend it refers to, once for every reference.
    pub(crate) fn backends(&self) -> impl Iterator<Item = Idx<BackendState>> {
        let splits = match self {
            Self::Split(weights) => std::slice::from_ref(weights),
            Self::Experiment(experiment) => &experiment.variants,
        };
        splits.iter().flat_map(Weights::backends)
    }
}

fn weights(backends: &[WeightedBackend], mut acquire: impl FnMut(&Key) -> Idx<BackendState>) -> Weights {
    let mut found = Vec::with_capacity(backends.len());
    let mut extras = Vec::with_capacity(backends.len());
    for one in backends {
        found.push((one.weight, one.backend.as_ref().map(&mut acquire)));
        extras.push(Extras {
            filters: one.filters.clone(),
            mirrors: MirrorTarget::find(&one.filters.mirrors, &mut acquire),
        });
    }
    Weights::new(&found).with_extras(extras)
}
