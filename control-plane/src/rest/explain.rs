//! Where a request would go and why, by the code that answers live requests.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use sluice_core::{Explanation, RequestView, Snapshot};
use sluice_intent::Labels;
use sluice_model::{Code, Revision};
use tokio::time::Instant;

use super::answer::Answer;
use super::content::Json;
use super::operation::Call;
use super::problem::{INPUT, Missing, Problem};
use super::question::Question;
use super::{Api, proxy_labels};
use crate::compile::{ViewKey, World};
use crate::live::readable;

/// What would happen to the request.
#[derive(Debug, Serialize)]
pub(super) struct Explained {
    /// As of which revision.
    revision: u64,
    /// The proxy selectors that the labels match.
    view: Vec<String>,
    #[serde(flatten)]
    explanation: Explanation,
}

/// Explains a request.
pub(super) async fn explain(call: Call<(), Json<Question>>) -> Result<Answer<Json<Explained>>, Problem> {
    let Call {
        api,
        content: Json(question),
        ..
    } = call;
    let asked = question.read().map_err(Problem::Violations)?;
    let labels = labels(&api, question.labels.as_ref(), question.proxy.as_deref())?;
    let world = world_at(&api, question.revision.map(Revision)).await?;
    let view = world.view_of(&labels);
    let snapshot = snapshot_of(&api, &world, &view).await?;
    let client = question
        .client_ip
        .unwrap_or(Ipv4Addr::LOCALHOST.into())
        .to_canonical();
    let request = RequestView {
        method: &asked.method,
        host: &asked.host,
        path: &asked.path,
        query: asked.query.as_deref(),
        headers: &asked.headers,
    };
    // Stands for the draw of a request without a unit; without randomness it is the first share.
    let mut random = [0; 16];
    let _ = getrandom::fill(&mut random);
    let explanation = snapshot.explain(asked.port, &request, client, u128::from_ne_bytes(random));
    Ok(Explained {
        revision: world.revision().0,
        view: view.selectors().iter().map(ToString::to_string).collect(),
        explanation,
    }
    .into())
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

impl JsonSchema for Explained {
    fn schema_name() -> Cow<'static, str> {
        "Explanation".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "description": "What would happen to the request, and what nearly took it.",
            "required": ["revision", "view", "decision", "nearMisses"],
            "properties": {
                "revision": {"type": "integer", "description": "As of which revision."},
                "view": {
                    "type": "array",
                    "description": "The proxy selectors of Gateways that the proxy's labels match.",
                    "items": {"type": "string"}
                },
                "listener": {"type": "string", "description": "Key of the listener that takes it."},
                "decision": decision_schema(),
                "mirrors": copies_schema(),
                "cors": {
                    "type": "object",
                    "description": "What the rule says of the page's origin, if it says anything.",
                    "required": ["allowed"],
                    "properties": {
                        "origin": {"type": "string", "description": "The one that the request names."},
                        "allowed": {"type": "boolean", "description": "Whether its pages may read the answer."}
                    }
                },
                "nearMisses": {
                    "type": "array",
                    "description": "Matches on the path that lost, best first; at most 100.",
                    "items": near_miss_schema()
                }
            }
        })
    }
}

/// Written by hand: the types are of the package that decides, which knows nothing of schemas.
fn decision_schema() -> Schema {
    let outcomes = [
        "noListener",
        "noRoute",
        "preflight",
        "redirect",
        "noBackends",
        "split",
        "experiment",
    ];
    json_schema!({
        "type": "object",
        "required": ["outcome"],
        "properties": {
            "outcome": {"type": "string", "enum": outcomes},
            "rule": {
                "type": "object",
                "description": "The rule that took it: its key, route, place and match.",
                "properties": {
                    "key": {"type": "string"},
                    "route": {"type": "string"},
                    "index": {"type": "integer"},
                    "matchIndex": {"type": "integer"}
                }
            },
            "status": {"type": "integer", "description": "Of a redirect."},
            "location": {"type": "string", "description": "Of a redirect."},
            "experiment": {"type": "string", "description": "Key of the experiment."},
            "variant": {"type": "string"},
            "slot": {"type": "integer", "description": "Absent when the request has no unit."},
            "forced": {"type": "boolean", "description": "Whether a header chose the variant."},
            "backends": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["percent", "endpoints"],
                    "properties": {
                        "backend": {"type": "string", "description": "Absent: 500."},
                        "percent": {"type": "number"},
                        "endpoints": {"type": "integer"},
                        "filters": {
                            "type": "array",
                            "description": "What is changed for this backend alone.",
                            "items": {"type": "string", "enum": ["requestHeaders", "responseHeaders", "rewrite"]}
                        },
                        "mirrors": copies_schema()
                    }
                }
            }
        }
    })
}

fn copies_schema() -> Schema {
    json_schema!({
        "type": "array",
        "description": "Who gets copies of the requests, and of how many.",
        "items": {
            "type": "object",
            "required": ["percent"],
            "properties": {
                "backend": {"type": "string", "description": "Absent: the reference leads nowhere, nothing is sent."},
                "percent": {"type": "number"}
            }
        }
    })
}

fn near_miss_schema() -> Schema {
    json_schema!({
        "type": "object",
        "required": ["rule", "matchIndex", "lostBy", "detail"],
        "properties": {
            "rule": {"type": "string"},
            "matchIndex": {"type": "integer"},
            "lostBy": {"type": "string", "enum": ["method", "header", "query", "precedence"]},
            "detail": {"type": "string"}
        }
    })
}
