//! Receipts: who runs a revision, now or once enough do.

use std::sync::Arc;
use std::time::Duration;

use sluice_model::Revision;
use tokio::time::Instant;

use super::Api;
use super::answer::Answer;
use super::content::Json;
use super::operation::Call;
use super::problem::{Missing, Problem};
use super::query::{self, Fields, Parameter, Query};
use crate::fleet::{Quorum, Receipt};
use crate::store::StoreError;

/// How long to wait, and for how many.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    wait: Duration,
    quorum: Quorum,
}

impl Patience {
    pub(super) fn read(fields: &Fields) -> Result<Option<Self>, Problem> {
        let wait = fields.get(Parameter::Wait, query::wait)?;
        let quorum = fields
            .get(Parameter::Quorum, query::quorum)?
            .unwrap_or(Quorum::ALL);
        Ok(wait.map(|wait| Self { wait, quorum }))
    }

    /// The receipt once the quorum is decided or time is up; what it is by then, when the control
    /// plane shuts down.
    pub(super) async fn wait(self, api: &Api, revision: Revision) -> Result<Receipt, Problem> {
        let _room = api.admission.wait()?;
        let wait = api.fleet.wait(revision, self.quorum, self.wait, api.live.watch());
        match api.shutdown.run_until_cancelled(wait).await {
            Some(receipt) => Ok(receipt),
            None => Ok(current(api, revision)),
        }
    }
}

/// The parameters of a receipt.
#[derive(Debug)]
pub(super) struct ReceiptQuery(Option<Patience>);

impl Query for ReceiptQuery {
    const PARAMETERS: &'static [Parameter] = &[Parameter::Wait, Parameter::Quorum];

    fn read(fields: &Fields) -> Result<Self, Problem> {
        Patience::read(fields).map(Self)
    }
}

/// The receipt of one revision. Who runs it is what holds now; how long that took is known by the
/// control planes that saw it, and afterwards from the store: what is told of more proxies is right.
pub(super) async fn get(call: Call<ReceiptQuery>) -> Result<Answer<Json<Receipt>>, Problem> {
    let Call { api, path, query, .. } = call;
    let revision = path.revision()?;
    // What another replica just wrote may not be live here yet; it is pending then.
    if revision > api.live.published().revision() && revision > api.store.head().await?.revision {
        return Err(Missing::Revision(revision).into());
    }
    let mut receipt = match query.0 {
        Some(patience) => patience.wait(&api, revision).await?,
        None => current(&api, revision),
    };
    if timed(&receipt) < receipt.applied {
        let stored = stored(&api, revision).await?;
        let stored = stored.filter(|stored| timed(stored) > timed(&receipt));
        receipt.applied_ms = stored.and_then(|stored| stored.applied_ms).or(receipt.applied_ms);
    }
    Ok(receipt.into())
}

/// For the history: how it went, as far as that is known.
pub(super) async fn known(api: &Arc<Api>, revision: Revision) -> Result<Option<Receipt>, StoreError> {
    match api.fleet.is_timed(revision, &api.live.published()) {
        true => Ok(Some(current(api, revision))),
        false => stored(api, revision).await,
    }
}

fn timed(receipt: &Receipt) -> usize {
    receipt.applied_ms.map_or(0, |ms| ms.proxies)
}

fn current(api: &Api, revision: Revision) -> Receipt {
    api.fleet.receipt(revision, &api.live.published(), Instant::now())
}

async fn stored(api: &Api, revision: Revision) -> Result<Option<Receipt>, StoreError> {
    let stored = api.store.receipt(revision).await?;
    let receipt = stored.map(|stored| serde_json::from_str(&stored.summary));
    receipt.transpose().map_err(|_| StoreError::Corrupt)
}
