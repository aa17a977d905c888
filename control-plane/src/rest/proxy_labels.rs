//! Labels of proxies that operators set, over those that proxies say of themselves.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sluice_intent::{LabelKey, LabelValue};
use sluice_model::{Code, Violation};

use super::answer::Answer;
use super::content::Json;
use super::operation::Call;
use super::problem::{INPUT, Missing, Problem};
use crate::clock;
use crate::live::MAX_OPERATOR_LABELS;

type Labels = BTreeMap<String, String>;

/// Labels to set and to take away.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(transparent)]
pub(super) struct LabelChange(
    /// Null takes the operators' label of that name away.
    BTreeMap<String, Option<String>>,
);

/// What operators say of a proxy.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct ProxyLabels {
    /// By name; in place of those that the proxy says itself.
    labels: Labels,
}

/// Sets some labels and takes others away; they count at once. The proxy need not be there yet.
pub(super) async fn change(call: Call<(), Json<LabelChange>>) -> Result<Answer<Json<ProxyLabels>>, Problem> {
    let Json(LabelChange(change)) = &call.content;
    let with_changes = |mut labels: Labels| {
        for (name, value) in change {
            match value {
                Some(value) => labels.insert(name.clone(), value.clone()),
                None => labels.remove(name),
            };
        }
        labels
    };
    write(&call, with_changes).await
}

/// Takes all labels that operators set away.
pub(super) async fn clear(call: Call) -> Result<Answer<()>, Problem> {
    write(&call, |_| Labels::new()).await?;
    Ok(Answer::new(()))
}

async fn write<B>(
    call: &Call<(), B>,
    change: impl FnOnce(Labels) -> Labels,
) -> Result<Answer<Json<ProxyLabels>>, Problem> {
    let id = call.path.get("proxy");
    if !is_id(id) {
        return Err(Missing::Proxy(id.chars().take(253).collect()).into());
    }
    let checked = |labels: Labels| check(change(labels));
    let author = &call.caller.name;
    let labels = call
        .api
        .store
        .change_proxy_labels(id, author, clock::wall(), checked)
        .await?;
    let labels = labels.map_err(Problem::Violations)?;
    Ok(ProxyLabels { labels }.into())
}

/// Labels as Kubernetes allows them: others cannot be selected by.
pub(super) fn check(labels: Labels) -> Result<Labels, Vec<Violation>> {
    let mut refused = Vec::new();
    let mut refuse = |name: &str, code, message: String| {
        let field = format!("labels[{name:?}]");
        refused.push(Violation::new(INPUT, field, code, message));
    };
    for (name, value) in &labels {
        if let Err(error) = name.parse::<LabelKey>() {
            refuse(name, Code::Invalid, error.to_string());
        } else if let Err(error) = value.parse::<LabelValue>() {
            refuse(name, Code::Invalid, error.to_string());
        }
    }
    if labels.len() > MAX_OPERATOR_LABELS {
        let message = format!("there may be {MAX_OPERATOR_LABELS} labels, not {}", labels.len());
        refused.push(Violation::new(INPUT, "labels", Code::OutOfRange, message));
    }
    match refused.is_empty() {
        true => Ok(labels),
        false => Err(refused),
    }
}

/// Whether a proxy can be called so.
fn is_id(id: &str) -> bool {
    let printable = |byte: u8| byte.is_ascii_graphic() && byte != b'/';
    (1..=253).contains(&id.len()) && id.bytes().all(printable)
}
