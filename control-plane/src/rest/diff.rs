//! What is live and what manifests say, side by side.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use serde_json::Value;
use sluice_intent::{Kind, ResourceId};

use super::answer::Answer;
use super::content::{Json, Manifests};
use super::operation::Call;
use super::plan::{Asked, PlanQuery};
use super::problem::Problem;
use crate::compile::{Action, World};
use crate::live::Proposal;
use crate::store::{Scope, Verb};

/// Bytes of manifests in one answer; what differs beyond is named.
const MAX_BYTES: usize = 16 * 1024 * 1024;
/// Resources that are named.
const MAX_NAMED: usize = 10_000;

/// What differs.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Comparison {
    /// The revision that the manifests are compared with.
    revision: u64,
    /// How many resources there are only in the manifests.
    created: usize,
    /// How many there are in both, and differ.
    updated: usize,
    /// How many there are only at the revision; none without `prune`.
    deleted: usize,
    /// How many are the same.
    unchanged: usize,
    /// Those that differ; at most 10,000.
    resources: Vec<Differing>,
}

/// A resource that is not the same.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Differing {
    /// `HTTPRoute`, `Backend`, ...
    kind: String,
    /// Its namespace.
    namespace: String,
    /// Its name.
    name: String,
    /// What an apply would do to it: `created`, `updated` or `deleted`.
    action: &'static str,
    /// As it is at the revision; absent where it is not, and where `isCut` says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<Written>,
    /// As the manifests have it, without what the server adds.
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<Written>,
    /// Whether both are left out, for there are too many to show.
    is_cut: bool,
    /// Whether all that differs may be what a Secret holds, which is never shown, or the token may not get what is
    /// live.
    is_hidden: bool,
}

/// A manifest; the values of a Secret are not in it.
#[derive(Debug, Serialize)]
#[serde(transparent)]
struct Written(Value);

impl JsonSchema for Written {
    fn schema_name() -> Cow<'static, str> {
        "WrittenManifest".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "description": "A resource as it was written, without its status. The values of a Secret are not in it.",
            "required": ["apiVersion", "kind", "metadata"],
        })
    }
}

/// Compares the manifests with what is live, or was, as an apply would.
pub(super) async fn diff(call: Call<PlanQuery, Manifests>) -> Result<Answer<Json<Comparison>>, Problem> {
    let scope = call.caller.scope.clone();
    let (_, asked) = Asked::read(call).await?;
    let compared = asked.judge(move |proposal| Ok(compare(proposal, &scope))).await;
    compared.map(Into::into)
}

fn compare(proposal: &Proposal, scope: &Scope) -> Comparison {
    let actions = &proposal.changed.actions;
    let count = |wanted: Action| actions.iter().filter(|(_, action)| *action == wanted).count();
    let mut left = MAX_BYTES;
    let differing = actions
        .iter()
        .filter(|(_, action)| *action != Action::Unchanged)
        .take(MAX_NAMED);
    Comparison {
        revision: proposal.before.revision().0,
        created: count(Action::Created),
        updated: count(Action::Updated),
        deleted: count(Action::Deleted),
        unchanged: count(Action::Unchanged),
        resources: differing
            .map(|(id, action)| differ(proposal, scope, id, *action, &mut left))
            .collect(),
    }
}

fn differ(
    proposal: &Proposal,
    scope: &Scope,
    id: &ResourceId,
    action: Action,
    left: &mut usize,
) -> Differing {
    let written = |world: &World| world.get(id).map(|intent| intent.resource.to_json());
    let (before, after) = (written(&proposal.before), written(&proposal.changed.world));
    let may_see = scope.allows_to(Verb::Get, id);
    let is_hidden = !may_see || (id.kind == Kind::Secret && before == after);
    let before = before.filter(|_| may_see);
    // Of a Secret that was left out it would be what is live.
    let after = after.filter(|_| may_see || id.kind != Kind::Secret || action == Action::Created);
    let size = |one: &Option<Value>| one.as_ref().map_or(0, |value| value.to_string().len());
    let size = size(&before) + size(&after);
    let is_cut = size > *left;
    // Whatever comes after the first that is too long is left out, too, so that it shows where it ends.
    *left = if is_cut { 0 } else { *left - size };
    Differing {
        kind: id.kind.to_string(),
        namespace: id.namespace.to_string(),
        name: id.name.to_string(),
        action: action.as_str(),
        before: before.filter(|_| !is_cut).map(Written),
        after: after.filter(|_| !is_cut).map(Written),
        is_cut,
        is_hidden,
    }
}
