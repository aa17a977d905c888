//! Resources of a kind, page by page in the order of their names.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;
use sluice_intent::{Kind, LabelSelector, Namespace, ResourceId};

use super::answer::Answer;
use super::conditions::Programming;
use super::content::Json;
use super::manifest::Manifest;
use super::operation::Call;
use super::problem::Problem;
use super::query::{self, Fields, Parameter, ParameterError, Query};
use crate::clock;
use crate::compile::{Intent, World};
use crate::store::{Scope, Verb};

/// Longest page.
const MAX_PAGE: u32 = 1_000;
/// Page when nothing is said.
const USUAL_PAGE: u32 = 500;

/// The parameters of a list.
#[derive(Debug)]
pub(super) struct ListQuery {
    selector: LabelSelector,
    limit: usize,
    /// `NAMESPACE/NAME` of the last resource of the page before.
    after: Option<String>,
}

impl Query for ListQuery {
    const PARAMETERS: &'static [Parameter] = &[
        Parameter::LabelSelector,
        Parameter::Limit(MAX_PAGE),
        Parameter::Continue,
    ];

    fn read(fields: &Fields) -> Result<Self, Problem> {
        let limit = fields.get(Parameter::Limit(MAX_PAGE), |text| query::limit(text, MAX_PAGE))?;
        // Whether it names a resource can be told with any kind.
        let after = |text: &str| match place(Kind::Gateway, text) {
            Some(_) => Ok(text.to_owned()),
            None => Err(ParameterError::Continue),
        };
        Ok(Self {
            selector: fields
                .get(Parameter::LabelSelector, query::selector)?
                .unwrap_or_default(),
            limit: limit.unwrap_or(USUAL_PAGE) as usize,
            after: fields.get(Parameter::Continue, after)?,
        })
    }
}

fn place(kind: Kind, after: &str) -> Option<ResourceId> {
    format!("{kind}/{after}").parse().ok()
}

/// One page.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct ManifestList {
    /// The resources.
    items: Vec<Manifest>,
    /// Brings the next page when it is given as `continue`; absent on the last one.
    #[serde(rename = "continue", skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// The resources of a kind in one namespace, or with `-` in all that the token may see. Each page is of one revision; what
/// comes or goes between two pages may be seen or not, and nothing is seen twice.
pub(super) async fn list(call: Call<ListQuery>) -> Result<Answer<Json<ManifestList>>, Problem> {
    let Call {
        api,
        caller,
        path,
        query,
        ..
    } = call;
    let (kind, namespace) = (path.kind()?, path.namespace()?);
    if let Some(namespace) = &namespace {
        caller.must(Verb::Get, kind, namespace)?;
    }
    let published = api.live.published();
    let (page, more) = page(&published.world, kind, namespace.as_ref(), &query, &caller.scope);
    let next = page.last().filter(|_| more).map(|last| {
        let id = &last.resource.id;
        format!("{}/{}", id.namespace, id.name)
    });
    let programming = Programming::now(&api, &published);
    let world = published.world.clone().at(clock::since_1970());
    let items = page
        .iter()
        .map(|intent| Manifest::of(&world, intent, &programming, &api.live))
        .collect();
    Ok(ManifestList { items, next }.into())
}

/// The page, and whether there is more behind it.
fn page<'a>(
    world: &'a World,
    kind: Kind,
    namespace: Option<&Namespace>,
    query: &ListQuery,
    scope: &Scope,
) -> (Vec<&'a Arc<Intent>>, bool) {
    let after = query.after.as_deref().and_then(|after| place(kind, after));
    let mut selected = world
        .of_kind(kind, after.as_ref())
        .skip_while(|intent| namespace.is_some_and(|wanted| intent.resource.id.namespace < *wanted))
        .take_while(|intent| namespace.is_none_or(|wanted| intent.resource.id.namespace == *wanted))
        .filter(|intent| query.selector.matches(&intent.resource.labels))
        .filter(|intent| scope.allows_to(Verb::Get, &intent.resource.id));
    let page = selected.by_ref().take(query.limit).collect();
    let more = selected.next().is_some();
    (page, more)
}
