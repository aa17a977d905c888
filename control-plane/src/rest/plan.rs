//! What a change would do, before it is made.

use std::sync::Arc;

use sluice_intent::{Labels, Namespace, Resource};
use sluice_model::{Revision, Violation};
use tokio::time::Instant;

use super::Api;
use super::access::Caller;
use super::admission::Room;
use super::answer::Answer;
use super::content::{Json, Manifests};
use super::documents::{Documents, judged};
use super::explain::world_at;
use super::operation::Call;
use super::problem::Problem;
use super::query::{self, Fields, Parameter, Query};
use super::write::dangling;
use crate::compile::{DanglingRefs, World};
use crate::live::{Proposal, Published, WriteRequest, readable};
use crate::plan::{Plan, plan as compare};

/// The parameters of a plan.
#[derive(Debug)]
pub(super) struct PlanQuery {
    pub(super) documents: Documents,
    pub(super) dangling: DanglingRefs,
    pub(super) against: Option<Revision>,
}

impl Query for PlanQuery {
    const PARAMETERS: &'static [Parameter] = &[
        Parameter::Namespace,
        Parameter::Prune,
        Parameter::DanglingRefs,
        Parameter::Against,
    ];

    fn read(fields: &Fields) -> Result<Self, Problem> {
        Ok(Self {
            documents: Documents::read(fields)?,
            dangling: fields.get(Parameter::DanglingRefs, dangling)?.unwrap_or_default(),
            against: fields.get(Parameter::Against, query::revision)?.map(Revision),
        })
    }
}

impl PlanQuery {
    /// The namespace of manifests that name none.
    pub(super) fn namespace(&self) -> Option<Namespace> {
        self.documents.namespace()
    }
}

/// A change that is asked about and not made, with its turn: it takes a core for as long as it lasts.
pub(super) struct Asked {
    turn: Room,
    published: Arc<Published>,
    before: World,
    request: WriteRequest,
}

impl Asked {
    /// Reads what is asked about, once it is its turn.
    pub(super) async fn read(call: Call<PlanQuery, Manifests>) -> Result<(Arc<Api>, Self), Problem> {
        let (api, caller, query, content) = call.into_parts();
        let turn = api.admission.plan()?;
        let resources = query.documents.parse(content).await?;
        let asked = Self::of(&api, &caller, query, resources, turn).await?;
        Ok((api, asked))
    }

    /// That `caller` applies `resources`.
    pub(super) async fn of(
        api: &Api,
        caller: &Caller,
        query: PlanQuery,
        resources: Vec<Resource>,
        turn: Room,
    ) -> Result<Self, Problem> {
        let request = judged(query.documents.wish(resources)?, query.dangling, caller);
        Ok(Self {
            turn,
            published: api.live.published(),
            before: world_at(api, query.against).await?,
            request,
        })
    }

    /// Judges it, and makes of it what is wanted, off the runtime's threads.
    pub(super) async fn judge<T: Send + 'static>(
        self,
        make: impl FnOnce(&Proposal) -> Result<T, Vec<Violation>> + Send + 'static,
    ) -> Result<T, Problem> {
        let judged = tokio::task::spawn_blocking(move || {
            // Its turn lasts as long as this does, whether anybody still waits for it or not.
            let _turn = self.turn;
            let proposal = Proposal::judge(self.published, self.before, &self.request)?;
            make(&proposal).map_err(Problem::Violations)
        });
        // It only fails to run when the runtime goes down.
        judged.await.map_err(|_| Problem::Closing)?
    }
}

/// The labels of each proxy.
pub(super) fn labels_of_fleet(api: &Api, published: &Published) -> Vec<Labels> {
    let proxies = api.fleet.proxies(published, Instant::now());
    let labels = proxies.iter().map(|proxy| &proxy.labels);
    labels
        .map(|labels| readable(labels.iter().map(|(name, value)| (&**name, &**value))))
        .collect()
}

/// Parses the manifests, judges them, and says what would happen.
pub(super) async fn plan(call: Call<PlanQuery, Manifests>) -> Result<Answer<Json<Plan>>, Problem> {
    let (api, asked) = Asked::read(call).await?;
    let labels = labels_of_fleet(&api, &asked.published);
    let standing = api.trust.standing();
    let plan = asked.judge(move |proposal| {
        let signer = standing.as_ref().map(|standing| standing.signer());
        compare(proposal, &labels, signer)
    });
    plan.await.map(Into::into)
}
