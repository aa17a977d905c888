//! For those who watch this process: is it alive, is it ready, what does it count.

use schemars::JsonSchema;
use serde::Serialize;

use super::answer::{Answer, OpenMetrics};
use super::content::Json;
use super::operation::Call;
use super::problem::Problem;

/// That all is well.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Health {
    /// Always `ok`.
    status: &'static str,
}

/// That requests can be served.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Readiness {
    /// Always `ok`.
    status: &'static str,
    /// The revision that is live here.
    revision: u64,
    /// The newest revision in the store; a moment ahead when another replica just wrote.
    head: u64,
}

/// Whether the process serves at all.
pub(super) async fn healthz(_: Call) -> Result<Answer<Json<Health>>, Problem> {
    Ok(Health { status: "ok" }.into())
}

/// Whether the store answers; without it, nothing can be written and nobody can be let in. The
/// streams to proxies do not depend on it.
pub(super) async fn readyz(call: Call) -> Result<Answer<Json<Readiness>>, Problem> {
    let head = call.api.store.head().await?;
    let revision = call.api.live.published().revision();
    Ok(Readiness {
        status: "ok",
        revision: revision.0,
        head: head.revision.0,
    }
    .into())
}

/// Counters and gauges.
pub(super) async fn metrics(call: Call) -> Result<Answer<OpenMetrics>, Problem> {
    let text = call.api.metrics.encode();
    Ok(Answer::new(OpenMetrics(text)))
}
