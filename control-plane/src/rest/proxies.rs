//! The fleet as this control plane sees it.

use schemars::JsonSchema;
use serde::Serialize;
use tokio::time::Instant;

use super::answer::Answer;
use super::content::Json;
use super::operation::Call;
use super::problem::{Missing, Problem};
use crate::fleet::{Forget, ProxyDetail, ProxyView};

/// All proxies.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Fleet")]
pub(super) struct FleetView {
    /// By id.
    proxies: Vec<ProxyView>,
}

/// Every proxy.
pub(super) async fn list(call: Call) -> Result<Answer<Json<FleetView>>, Problem> {
    let published = call.api.live.published();
    let proxies = call.api.fleet.proxies(&published, Instant::now());
    Ok(FleetView { proxies }.into())
}

/// One proxy, with what it reports.
pub(super) async fn get(call: Call) -> Result<Answer<Json<ProxyDetail>>, Problem> {
    let id = call.path.get("proxy");
    let published = call.api.live.published();
    let proxy = call.api.fleet.proxy(id, &published, Instant::now());
    Ok(proxy.ok_or_else(|| missing(id))?.into())
}

/// Takes a proxy off the list: a lost one that will not come back.
pub(super) async fn forget(call: Call) -> Result<Answer<()>, Problem> {
    let id = call.path.get("proxy");
    match call.api.fleet.forget(id) {
        Forget::Done => Ok(Answer::new(())),
        Forget::Unknown => Err(missing(id).into()),
    }
}

fn missing(id: &str) -> Missing {
    Missing::Proxy(id.chars().take(253).collect())
}
