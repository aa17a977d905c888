//! What manifests are to be: the parameters that everything has which takes them, and a judgement on them.

use sluice_intent::{Namespace, Resource};
use sluice_model::Code;

use super::access::Caller;
use super::content::Manifests;
use super::problem::{INPUT, Problem};
use super::query::{self, Fields, Parameter, ParameterError};
use crate::compile::DanglingRefs;
use crate::live::{Prune, Wish, WriteRequest};

/// What manifests are applied as.
#[derive(Debug)]
pub(super) struct Documents {
    /// Of those that name none.
    pub(super) namespace: Option<Namespace>,
    /// What would be deleted if it is not among them.
    pub(super) prune: Option<Prune>,
}

impl Documents {
    /// Reads [`Parameter::Namespace`] and [`Parameter::Prune`].
    pub(super) fn read(fields: &Fields) -> Result<Self, Problem> {
        let namespace = |text: &str| text.parse().map_err(|_| ParameterError::Namespace);
        Ok(Self {
            namespace: fields.get(Parameter::Namespace, namespace)?,
            prune: fields.get(Parameter::Prune, query::prune)?,
        })
    }

    /// The namespace of manifests that name none.
    pub(super) fn namespace(&self) -> Option<Namespace> {
        self.namespace.clone()
    }

    /// Parses the manifests.
    pub(super) async fn parse(&self, manifests: Manifests) -> Result<Vec<Resource>, Problem> {
        manifests.parse(self.namespace()).await
    }

    /// The wish that they are there, of which one at least has to be: with `prune`, none would delete all that
    /// is meant.
    pub(super) fn wish(self, resources: Vec<Resource>) -> Result<Wish, Problem> {
        if resources.is_empty() {
            let message = "there is no manifest in it";
            return Err(Problem::violation(INPUT, "", Code::Missing, message));
        }
        let prune = self.prune;
        Ok(Wish::Apply { resources, prune })
    }
}

/// A write that is judged and not made.
pub(super) fn judged(wish: Wish, dangling: DanglingRefs, caller: &Caller) -> WriteRequest {
    WriteRequest {
        wish,
        dry_run: true,
        dangling,
        base: None,
        author: caller.name.to_string(),
        scope: caller.scope.clone(),
        message: String::new(),
        idempotency_key: None,
    }
}
