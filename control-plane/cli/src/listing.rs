//! Reading lists of resources, page after page.

use serde_json::{Value, json};
use sluice_intent::{Kind, Namespace, ObjectName};

use crate::client::{Client, Request};
use crate::failure::Failure;

/// Resources that one request asks for.
const PAGE: u32 = 500;

/// Every resource of `kind`, of one namespace or of all, that `selector` selects.
///
/// # Errors
/// When the control plane refuses or does not answer.
pub(crate) async fn resources(
    client: &Client,
    kind: Kind,
    namespace: Option<&Namespace>,
    selector: Option<&str>,
) -> Result<Vec<Value>, Failure> {
    // `-` in the place of a namespace stands for all of them.
    let namespace = namespace.map_or("-", Namespace::as_str);
    let path = ["v1", "namespaces", namespace, kind.plural()];
    let mut items = Vec::new();
    let mut from: Option<String> = None;
    loop {
        let request = Request::get(&path)
            .query("limit", PAGE)
            .query_if("labelSelector", selector)
            .query_if("continue", from.as_deref());
        let mut page = client.send(request).await?;
        if let Some(Value::Array(more)) = page.get_mut("items").map(Value::take) {
            items.extend(more);
        }
        match page.get("continue").and_then(Value::as_str) {
            Some(next) if !next.is_empty() => from = Some(next.to_owned()),
            _ => return Ok(items),
        }
    }
}

/// One resource.
///
/// # Errors
/// When there is none, or the control plane refuses or does not answer.
pub(crate) async fn resource(
    client: &Client,
    kind: Kind,
    namespace: &Namespace,
    name: &ObjectName,
) -> Result<Value, Failure> {
    let path = [
        "v1",
        "namespaces",
        namespace.as_str(),
        kind.plural(),
        name.as_str(),
    ];
    client.send(Request::get(&path)).await
}

/// Resources as one manifest, which can be applied again.
pub(crate) fn list_manifest(items: Vec<Value>) -> Value {
    json!({"apiVersion": "v1", "kind": "List", "items": items})
}
