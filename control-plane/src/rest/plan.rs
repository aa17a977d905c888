//! What a change would do, before it is made.

use sluice_intent::{LabelSelector, Labels, Namespace};
use sluice_model::{Code, Revision};
use tokio::time::Instant;

use super::answer::Answer;
use super::content::{Json, Manifests};
use super::explain::world_at;
use super::operation::Call;
use super::problem::{INPUT, Problem};
use super::query::{self, Fields, Parameter, ParameterError, Query};
use super::write::dangling;
use crate::compile::DanglingRefs;
use crate::live::{Proposal, Wish, WriteRequest, readable};
use crate::plan::{Plan, plan as compare};

/// The parameters of a plan.
#[derive(Debug)]
pub(super) struct PlanQuery {
    namespace: Option<Namespace>,
    prune: Option<LabelSelector>,
    dangling: DanglingRefs,
    against: Option<Revision>,
}

impl Query for PlanQuery {
    const PARAMETERS: &'static [Parameter] = &[
        Parameter::Namespace,
        Parameter::Prune,
        Parameter::DanglingRefs,
        Parameter::Against,
    ];

    fn read(fields: &Fields) -> Result<Self, Problem> {
        let namespace = |text: &str| text.parse().map_err(|_| ParameterError::Namespace);
        Ok(Self {
            namespace: fields.get(Parameter::Namespace, namespace)?,
            prune: fields.get(Parameter::Prune, query::narrow_selector)?,
            dangling: fields.get(Parameter::DanglingRefs, dangling)?.unwrap_or_default(),
            against: fields.get(Parameter::Against, query::revision)?.map(Revision),
        })
    }
}

/// Parses the manifests, judges them, and says what would happen.
pub(super) async fn plan(call: Call<PlanQuery, Manifests>) -> Result<Answer<Json<Plan>>, Problem> {
    let Call {
        api,
        caller,
        query,
        content,
        ..
    } = call;
    let turn = api.admission.plan()?;
    let resources = content.parse(query.namespace).await?;
    if resources.is_empty() {
        return Err(Problem::violation(
            INPUT,
            "",
            Code::Missing,
            "there is no manifest in it",
        ));
    }
    let request = WriteRequest {
        wish: Wish::Apply {
            resources,
            prune: query.prune,
        },
        dry_run: true,
        dangling: query.dangling,
        base: None,
        author: caller.name.to_string(),
        scope: caller.scope.clone(),
        message: String::new(),
        idempotency_key: None,
    };
    let published = api.live.published();
    let before = world_at(&api, query.against).await?;
    let proxies = api.fleet.proxies(&published, Instant::now());
    let labels = proxies.iter().map(|proxy| &proxy.labels);
    let labels: Vec<Labels> = labels
        .map(|labels| readable(labels.iter().map(|(name, value)| (&**name, &**value))))
        .collect();
    let standing = api.trust.standing();
    let compared = tokio::task::spawn_blocking(move || {
        // Its turn lasts as long as this does, whether anybody still waits for it or not.
        let _turn = turn;
        let proposal = Proposal::judge(published, before, &request)?;
        let signer = standing.as_ref().map(|standing| standing.signer());
        compare(&proposal, &labels, signer).map_err(Problem::Violations)
    });
    // It only fails to run when the runtime goes down.
    compared.await.map_err(|_| Problem::Closing)?.map(Into::into)
}
