//! Many manifests, one revision.

use sluice_intent::Namespace;
use sluice_model::{Code, Revision};

use super::answer::Answer;
use super::content::{Json, Manifests};
use super::operation::Call;
use super::problem::{INPUT, Problem};
use super::query::{self, Fields, Parameter, ParameterError, Query};
use super::write::{Applied, WriteQuery, audited, write};
use crate::live::{Prune, Wish};

/// The parameters of an apply.
#[derive(Debug)]
pub(super) struct ApplyQuery {
    write: WriteQuery,
    namespace: Option<Namespace>,
    prune: Option<Prune>,
    base: Option<Revision>,
}

impl Query for ApplyQuery {
    const PARAMETERS: &'static [Parameter] = &[
        Parameter::Namespace,
        Parameter::Prune,
        Parameter::BaseRevision,
        Parameter::DryRun,
        Parameter::DanglingRefs,
        Parameter::Message,
        Parameter::Wait,
        Parameter::Quorum,
    ];

    fn read(fields: &Fields) -> Result<Self, Problem> {
        let namespace = |text: &str| text.parse().map_err(|_| ParameterError::Namespace);
        Ok(Self {
            write: WriteQuery::read(fields)?,
            namespace: fields.get(Parameter::Namespace, namespace)?,
            prune: fields.get(Parameter::Prune, query::prune)?,
            base: fields
                .get(Parameter::BaseRevision, query::revision)?
                .map(Revision),
        })
    }
}

/// Parses the manifests, writes them, and waits if asked to.
pub(super) async fn apply(call: Call<ApplyQuery, Manifests>) -> Result<Answer<Json<Applied>>, Problem> {
    let Call {
        api,
        caller,
        headers,
        query,
        content,
        ..
    } = call;
    let room = api.admission.write()?;
    let parsed = content.parse(query.namespace).await;
    drop(room);
    let resources = audited(&api, &caller, query.write.dry_run, parsed).await?;
    if resources.is_empty() {
        // With `prune` it would delete everything that is meant.
        return Err(Problem::violation(
            INPUT,
            "",
            Code::Missing,
            "there is no manifest in it",
        ));
    }
    let wish = Wish::Apply {
        resources,
        prune: query.prune,
    };
    write(&api, &caller, &headers, query.write, query.base, wish)
        .await
        .map(Into::into)
}
