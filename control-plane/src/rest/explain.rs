//! Where a request would go and why, by the code that answers live requests.

mod schema;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use serde::Serialize;
use sluice_core::{Explanation, RequestView, Snapshot};
use sluice_intent::{Format, Labels, Namespace, Resource, parse_within};
use sluice_model::{Code, Revision};
use tokio::time::Instant;

use super::answer::Answer;
use super::content::{Json, LongJson, MAX_BODY, MAX_JSON};
use super::operation::Call;
use super::plan::Asked;
use super::problem::{INPUT, Missing, Problem};
use super::question::Question;
use super::{Api, proxy_labels};
use crate::compile::{ViewKey, World};
use crate::live::readable;

/// What would happen to the request.
#[derive(Debug, Serialize)]
pub(super) struct Explained {
    /// As of which revision; of a proposal, the one that it would be.
    revision: u64,
    /// The revision that the manifests were judged against.
    #[serde(skip_serializing_if = "Option::is_none")]
    base: Option<u64>,
    /// The proxy selectors that the labels match.
    view: Vec<String>,
    #[serde(flatten)]
    explanation: Explanation,
}

/// Explains a request.
pub(super) async fn explain(call: Call<(), LongJson<Question>>) -> Result<Answer<Json<Explained>>, Problem> {
    let Call {
        api, caller, content, ..
    } = call;
    // What is long takes a core for a while, so it takes a turn before it is read.
    let turn = match content.is_long() {
        true => Some(api.admission.plan()?),
        false => None,
    };
    let read = tokio::task::spawn_blocking(move || (content.read::<Question>(), content, turn));
    // It only fails to run when the runtime goes down.
    let (question, content, turn) = read.await.map_err(|_| Problem::Closing)?;
    let mut question = question?;
    if content.is_long() && question.manifests.is_none() {
        return Err(Problem::TooLarge(MAX_JSON));
    }
    let asked = question.read().map_err(Problem::Violations)?;
    let terms = question.terms().map_err(Problem::Violations)?;
    let labels = labels(
        &api,
        question.labels.as_ref().map(|few| &few.0),
        question.proxy.as_deref(),
    )?;
    let sight = match question.manifests.take() {
        None => Sight::of(&api, terms.against, &labels).await?,
        Some(text) => {
            let turn = turn.map_or_else(|| api.admission.plan(), Ok)?;
            let resources = parse(content, text, terms.namespace()).await?;
            let asked = Asked::of(&api, &caller, terms, resources, turn).await?;
            Sight::proposed(asked, labels).await?
        }
    };
    let client = question
        .client_ip
        .unwrap_or(Ipv4Addr::LOCALHOST.into())
        .to_canonical();
    // Stands for the draw of a request without a unit; without randomness it is the first share.
    let mut random = [0; 16];
    let _ = getrandom::fill(&mut random);
    let random = u128::from_ne_bytes(random);
    let Sight {
        revision,
        base,
        view,
        snapshot,
    } = sight;
    // Off the runtime's threads: what is looked at is bounded, and may take milliseconds all the same.
    let explained = tokio::task::spawn_blocking(move || {
        let request = RequestView {
            method: &asked.method,
            host: &asked.host,
            path: &asked.path,
            query: asked.query.as_deref(),
            headers: &asked.headers,
        };
        snapshot.explain(asked.port, &request, client, random)
    });
    Ok(Explained {
        revision: revision.0,
        base: base.map(|base| base.0),
        view: view.selectors().iter().map(ToString::to_string).collect(),
        // It only fails to run when the runtime goes down.
        explanation: explained.await.map_err(|_| Problem::Closing)?,
    }
    .into())
}

/// What the proxies that are asked about have, or would have.
struct Sight {
    revision: Revision,
    base: Option<Revision>,
    view: ViewKey,
    snapshot: Snapshot,
}

impl Sight {
    async fn of(api: &Api, revision: Option<Revision>, labels: &Labels) -> Result<Self, Problem> {
        let world = world_at(api, revision).await?;
        let view = world.view_of(labels);
        Ok(Self {
            revision: world.revision(),
            base: None,
            snapshot: snapshot_of(api, &world, &view).await?,
            view,
        })
    }

    /// After manifests that are judged as a plan judges them, and not applied.
    async fn proposed(asked: Asked, labels: Labels) -> Result<Self, Problem> {
        let judged = asked.judge(move |proposal| {
            let world = &proposal.changed.world;
            let view = world.view_of(&labels);
            Ok(Self {
                revision: world.revision(),
                base: Some(proposal.before.revision()),
                snapshot: world.snapshot_of(&view)?,
                view,
            })
        });
        judged.await
    }
}

/// Parses manifests, off the runtime's threads; what they came in takes its room until then.
async fn parse(
    content: LongJson<Question>,
    manifests: String,
    namespace: Option<Namespace>,
) -> Result<Vec<Resource>, Problem> {
    let parsed = tokio::task::spawn_blocking(move || {
        let _room = content;
        let namespace = namespace.as_ref().map_or("default", Namespace::as_str);
        parse_within(manifests.as_bytes(), Format::Auto, namespace, MAX_BODY)
    });
    // It only fails to run when the runtime goes down.
    parsed
        .await
        .map_err(|_| Problem::Closing)?
        .map_err(Problem::Violations)
}

/// The labels of the proxy that is asked about: these, or those of the one with this id; none without either.
pub(super) fn labels(
    api: &Api,
    labels: Option<&BTreeMap<String, String>>,
    proxy: Option<&str>,
) -> Result<Labels, Problem> {
    let labels = match (labels, proxy) {
        (Some(_), Some(_)) => {
            let message = "say either `labels` or `proxy`";
            return Err(Problem::violation(INPUT, "labels", Code::Conflict, message));
        }
        (None, Some(id)) => {
            let proxy = api.fleet.proxy(id, &api.live.published(), Instant::now());
            let missing = || Missing::Proxy(id.chars().take(253).collect());
            proxy.ok_or_else(missing)?.proxy.labels
        }
        (Some(labels), None) => proxy_labels::check(labels.clone()).map_err(Problem::Violations)?,
        (None, None) => return Ok(Labels::default()),
    };
    Ok(readable(labels.iter().map(|(name, value)| (&**name, &**value))))
}

/// What proxies of this view have; made for the question when no proxy has it.
async fn snapshot_of(api: &Api, world: &World, view: &ViewKey) -> Result<Snapshot, Problem> {
    if let Some(known) = world.view(view) {
        return Ok(known.clone());
    }
    let _turn = api.admission.rebuild().await?;
    let (world, view) = (world.clone(), view.clone());
    let made = tokio::task::spawn_blocking(move || world.snapshot_of(&view)).await;
    // It only fails to run when the runtime goes down.
    made.map_err(|_| Problem::Closing)?.map_err(Problem::Violations)
}

/// The newest world, or that of a revision.
pub(super) async fn world_at(api: &Api, revision: Option<Revision>) -> Result<World, Problem> {
    let Some(revision) = revision else {
        return Ok(api.live.published().world.clone());
    };
    let _turn = api.admission.rebuild().await?;
    let past = api.live.world_at(revision).await?;
    past.ok_or_else(|| Missing::Revision(revision).into())
}
