//! What is probably not meant, of what is live or of what manifests would make of it.

use sluice_intent::ResourceId;

use super::Api;
use super::access::Caller;
use super::answer::Answer;
use super::content::{Json, Manifests};
use super::documents::{Documents, judged};
use super::operation::Call;
use super::problem::Problem;
use super::query::{Fields, Parameter, Query};
use super::write::dangling;
use crate::clock;
use crate::compile::DanglingRefs;
use crate::lint::{Report, lint_changed, lint_world};
use crate::live::Proposal;

/// The parameters of the linter.
#[derive(Debug)]
pub(super) struct LintQuery {
    documents: Documents,
    dangling: DanglingRefs,
}

impl Query for LintQuery {
    const PARAMETERS: &'static [Parameter] =
        &[Parameter::Namespace, Parameter::Prune, Parameter::DanglingRefs];

    fn read(fields: &Fields) -> Result<Self, Problem> {
        Ok(Self {
            documents: Documents::read(fields)?,
            dangling: fields.get(Parameter::DanglingRefs, dangling)?.unwrap_or_default(),
        })
    }
}

/// Looks at what is live, or at what the manifests would be among it.
pub(super) async fn lint(call: Call<LintQuery, Option<Manifests>>) -> Result<Answer<Json<Report>>, Problem> {
    let (api, caller, query, content) = call.into_parts();
    let turn = api.admission.plan()?;
    let request = match content {
        None => None,
        Some(manifests) => {
            let resources = query.documents.parse(manifests).await?;
            Some(judged(query.documents.wish(resources)?, query.dangling, &caller))
        }
    };
    let world = live(&api);
    let looked = tokio::task::spawn_blocking(move || {
        // Its turn lasts as long as this does, whether anybody still waits for it or not.
        let _turn = turn;
        let Some(request) = request else {
            return Ok::<_, Problem>(lint_world(&world));
        };
        let changed = Proposal::changed(&world, &request).map_err(Problem::from)?;
        Ok(lint_changed(&changed))
    });
    // It only fails to run when the runtime goes down.
    let mut report: Report = looked.await.map_err(|_| Problem::Closing)??;
    report.items.retain(|item| may_see(&caller, &item.resource));
    let told = report.items.into_iter().map(|item| match &item.other {
        Some(other) if !may_see(&caller, &other.resource) => item.without_other(),
        _ => item,
    });
    report.items = told.collect();
    Ok(report.into())
}

/// What is live, with certificates judged by the clock.
fn live(api: &Api) -> crate::compile::World {
    api.live.published().world.clone().at(clock::since_1970())
}

/// Whether the token may ask about a resource.
fn may_see(caller: &Caller, resource: &str) -> bool {
    let Ok(id) = resource.parse::<ResourceId>() else {
        // What does not build is everybody's business.
        return true;
    };
    caller.scope.may_ask(&id)
}
