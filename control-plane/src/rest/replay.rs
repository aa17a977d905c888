//! What a change would do to requests that were made.

use std::time::Duration;

use sluice_intent::{Format, Namespace, Resource, parse_within};
use sluice_model::Code;

use super::Api;
use super::answer::Answer;
use super::content::{Json, LongJson, MAX_BODY};
use super::explain::labels;
use super::operation::Call;
use super::plan::{Asked, PlanQuery};
use super::problem::{INPUT, Problem};
use super::sampled::Sampled;
use super::traffic::{ManifestsOf, Traffic};
use crate::live::Proposal;
use crate::plan::{self, Feed, TrafficReplay};

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
        Some(since) => Some(Sampled::since(&api, since).await?),
        None => None,
    };
    let asked = Asked::of(&api, &caller, query, resources, turn).await?;
    let replayed = asked.judge(move |proposal| Ok(run(&api, proposal, &content, sampled)));
    replayed.await?.map(Into::into)
}

/// Replays what is brought, or sampled. Takes a core for a while.
fn run(
    api: &Api,
    proposal: &Proposal,
    content: &Brought,
    sampled: Option<Sampled>,
) -> Result<TrafficReplay, Problem> {
    let traffic: Traffic<'_> = content.read()?;
    if sampled.is_some() && traffic.has_keys() {
        let message = "say either `keys` or `since`";
        return Err(Problem::violation(INPUT, "since", Code::Conflict, message));
    }
    let labels = labels(api, traffic.labels.as_ref(), traffic.proxy.as_deref())?;
    let recorded = traffic.recorded().map_err(Problem::Violations)?;
    let feed = |feed: &mut Feed<'_>| match sampled {
        Some(sampled) => sampled.feed(feed),
        None => traffic.feed(recorded.as_deref(), feed),
    };
    plan::replay(proposal, &labels, feed).map_err(Problem::Violations)
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
