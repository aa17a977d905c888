//! What a change would do to requests that were made.

use std::time::Duration;

use sluice_intent::{Format, Namespace, Resource, parse_within};
use sluice_model::Code;

use super::Api;
use super::answer::Answer;
use super::content::{Json, LongJson, MAX_BODY};
use super::explain::labels;
use super::operation::Call;
use super::plan::{Asked, PlanQuery, labels_of_fleet};
use super::problem::{INPUT, Problem};
use super::sampled;
use super::traffic::{ManifestsOf, Traffic};
use super::write::audited;
use crate::live::Proposal;
use crate::plan::{self, Sampled, TrafficReplay};

/// What is brought.
type Brought = LongJson<Traffic<'static>>;

/// Judges the manifests, and replays the requests on both sides of them.
pub(super) async fn replay(call: Call<PlanQuery, Brought>) -> Result<Answer<Json<TrafficReplay>>, Problem> {
    let Call {
        api,
        caller,
        query,
        content,
        ..
    } = call;
    let turn = api.admission.plan()?;
    let namespace = query.namespace();
    let parsed = tokio::task::spawn_blocking(move || {
        let resources = manifests(&content, namespace.as_ref());
        (content, resources)
    });
    // It only fails to run when the runtime goes down.
    let (content, parsed) = parsed.await.map_err(|_| Problem::Closing)?;
    let (resources, since) = parsed?;
    let sampled = match since {
        Some(age) => {
            let permitted = caller.must_read_samples().map_err(Problem::from);
            audited(&api, &caller, false, permitted).await?;
            Some(sampled::since(&api, age).await?)
        }
        None => None,
    };
    let asked = Asked::of(&api, &caller, query, resources, turn).await?;
    let replayed = asked.judge(move |proposal| Ok(run(&api, proposal, &content, sampled.as_ref())));
    replayed.await?.map(Into::into)
}

/// Replays what is brought, or sampled. Takes a core for a while.
fn run(
    api: &Api,
    proposal: &Proposal,
    content: &Brought,
    sampled: Option<&Sampled>,
) -> Result<TrafficReplay, Problem> {
    let traffic: Traffic<'_> = content.read()?;
    let labels = labels(api, traffic.labels.as_ref(), traffic.proxy.as_deref())?;
    let recorded = traffic.recorded().map_err(Problem::Violations)?;
    let replayed = match sampled {
        None => plan::replay(proposal, &labels, |feed| traffic.feed(recorded.as_deref(), feed)),
        Some(_) if traffic.brings_requests() => {
            let message = "says that samples are meant, so there may be no `keys` and `recorded`";
            return Err(Problem::violation(INPUT, "since", Code::Conflict, message));
        }
        Some(sampled) => {
            let is_asked = traffic.labels.is_some() || traffic.proxy.is_some();
            let fleet = labels_of_fleet(api, &proposal.published);
            plan::replay_samples(proposal, is_asked.then_some(&labels), &fleet, sampled)
        }
    };
    replayed.map_err(Problem::Violations)
}

/// Keys are passed over: they are read when the manifests are known to be good.
fn manifests(
    content: &Brought,
    namespace: Option<&Namespace>,
) -> Result<(Vec<Resource>, Option<Duration>), Problem> {
    let of: ManifestsOf<'_> = content.read()?;
    let since = of.since.as_deref().map(|since| {
        let duration = since.parse::<sluice_intent::Duration>();
        let message = "must be a duration such as `24h`";
        duration.map_err(|_| Problem::violation(INPUT, "since", Code::Invalid, message))
    });
    let since = since.transpose()?.map(sluice_intent::Duration::to_std);
    let namespace = namespace.map_or("default", Namespace::as_str);
    let resources = parse_within(of.manifests.as_bytes(), Format::Auto, namespace, MAX_BODY);
    Ok((resources.map_err(Problem::Violations)?, since))
}
