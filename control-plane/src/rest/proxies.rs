//! The fleet, and the control planes that hold it.

use schemars::JsonSchema;
use serde::Serialize;
use tokio::time::Instant;

use super::answer::Answer;
use super::content::Json;
use super::operation::Call;
use super::problem::{Missing, Problem};
use super::query::{self, Fields, Parameter, Query};
use crate::clock;
use crate::fleet::{Authentication, FleetSummary, Forget, ProxyDetail, ProxyStatus, ProxyView, ReplicaView};
use crate::trust::Trust;

/// All proxies.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Fleet")]
pub(super) struct FleetView {
    /// By id.
    proxies: Vec<ProxyView>,
    /// How many are where, over all proxies, whichever were asked for.
    summary: FleetSummary,
}

/// Which proxies are asked for.
#[derive(Debug)]
pub(super) struct FleetQuery {
    statuses: Vec<ProxyStatus>,
}

impl Query for FleetQuery {
    const PARAMETERS: &'static [Parameter] = &[Parameter::Status];

    fn read(fields: &Fields) -> Result<Self, Problem> {
        let statuses = fields.get(Parameter::Status, query::statuses)?;
        Ok(Self {
            statuses: statuses.unwrap_or_else(|| ProxyStatus::ALL.into()),
        })
    }
}

/// All control planes.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Replicas")]
pub(super) struct ReplicasView {
    /// The one that answers first, then the others by id.
    replicas: Vec<ReplicaView>,
}

/// Every control plane on this database that was heard of in the last 15 seconds.
pub(super) async fn replicas(call: Call) -> Result<Answer<Json<ReplicasView>>, Problem> {
    let leader = call.api.store.leader().await?;
    let replicas = call.api.fleet.replicas(&leader, Instant::now());
    Ok(ReplicasView { replicas }.into())
}

/// Every proxy, or those of some statuses.
pub(super) async fn list(call: Call<FleetQuery>) -> Result<Answer<Json<FleetView>>, Problem> {
    let published = call.api.live.published();
    let fleet = &call.api.fleet;
    let (mut proxies, summary) = fleet.listed(&call.query.statuses, &published, Instant::now());
    for proxy in &mut proxies {
        certify(&call.api.trust, proxy);
    }
    Ok(FleetView { proxies, summary }.into())
}

/// One proxy, with what it reports.
pub(super) async fn get(call: Call) -> Result<Answer<Json<ProxyDetail>>, Problem> {
    let id = call.path.get("proxy");
    let published = call.api.live.published();
    let proxy = call.api.fleet.proxy(id, &published, Instant::now());
    let mut proxy = proxy.ok_or_else(|| missing(id))?;
    certify(&call.api.trust, &mut proxy.proxy);
    Ok(proxy.into())
}

/// Adds until when its certificate is good.
fn certify(trust: &Trust, proxy: &mut ProxyView) {
    if proxy.authentication == Authentication::Certificate {
        proxy.certificate_expires_at_ms = trust.certificate_expiry(&proxy.id).map(|end| end.0);
    }
}

/// Takes a proxy off the list: a lost one that will not come back.
pub(super) async fn forget(call: Call) -> Result<Answer<()>, Problem> {
    let id = call.path.get("proxy");
    match call.api.fleet.forget(id) {
        Forget::Done => Ok(Answer::new(())),
        Forget::Elsewhere => {
            call.api.store.forget(id).await?;
            Ok(Answer::new(()))
        }
        Forget::Unknown => Err(missing(id).into()),
    }
}

/// Takes the certificate of a proxy back, and cuts its stream.
pub(super) async fn revoke(call: Call) -> Result<Answer<()>, Problem> {
    let id = call.path.get("proxy");
    let store = &call.api.store;
    match store
        .revoke_identity(id, &call.caller.name, clock::wall())
        .await?
    {
        true => Ok(Answer::new(())),
        false => Err(Missing::Certificate(id.chars().take(253).collect()).into()),
    }
}

fn missing(id: &str) -> Missing {
    Missing::Proxy(id.chars().take(253).collect())
}
