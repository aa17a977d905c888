//! Many manifests, one revision.

use sluice_model::Revision;

use super::answer::Answer;
use super::content::{Json, Manifests};
use super::documents::Documents;
use super::operation::Call;
use super::problem::Problem;
use super::query::{self, Fields, Parameter, Query};
use super::write::{Applied, WriteQuery, audited, write};

/// The parameters of an apply.
#[derive(Debug)]
pub(super) struct ApplyQuery {
    write: WriteQuery,
    documents: Documents,
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
        Ok(Self {
            write: WriteQuery::read(fields)?,
            documents: Documents::read(fields)?,
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
    let parsed = query.documents.parse(content).await;
    drop(room);
    let resources = audited(&api, &caller, query.write.dry_run, parsed).await?;
    let wish = query.documents.wish(resources)?;
    write(&api, &caller, &headers, query.write, query.base, wish)
        .await
        .map(Into::into)
}
