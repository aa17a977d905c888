//! Malformed and odd answers of an upstream, through a real proxy.
//!
//! A scripted upstream answers the bytes of a case. The client must get a well-formed answer or see
//! that there is none, and requests after it, on the same connection and on others, must get
//! their own answers.

mod case;
mod client;
mod read;
mod script;

use std::sync::Arc;

use serde_json::json;

pub use case::{Case, Expect};
pub use client::{Fault, Got};
pub use read::{Answer, Seen, read as read_answer};

use crate::manifest::{HOST, backend, gateway, route};
use crate::site::Site;

/// A case that did not pass.
#[derive(Debug)]
pub struct Failure {
    /// The case.
    pub case: Case,
    /// What the client got.
    pub got: Got,
    /// What is wrong with that.
    pub faults: Vec<Fault>,
}

/// Runs all cases, one after the other, against a proxy of its own: a connection that a case has
/// spoilt must not be lent to the next request.
///
/// # Errors
/// When the proxy does not start.
pub async fn run(cases: Vec<Case>) -> anyhow::Result<Vec<Failure>> {
    let cases: Arc<[Case]> = cases.into();
    let upstream = script::serve(Arc::clone(&cases)).await?;
    let site = Site::start(1).await?;
    // An upstream that stalls is given up.
    let rules = json!([{
        "name": "all",
        "timeouts": {"request": "1s"},
        "backendRefs": [{"name": "scripted"}],
    }]);
    let scripted = backend_that_is_never_ejected(&upstream);
    site.apply(&[gateway(), scripted, route("all", HOST, &rules)])
        .await?;
    let address = site.address().await?;

    let mut failures = Vec::new();
    for (number, case) in cases.iter().enumerate() {
        let (got, faults) = client::judge(address, case, number).await?;
        if !faults.is_empty() {
            failures.push(Failure {
                case: case.clone(),
                got,
                faults,
            });
        }
    }
    Ok(failures)
}

fn backend_that_is_never_ejected(upstream: &crate::upstream::Upstream) -> serde_json::Value {
    let mut backend = backend("scripted", &[upstream.address]);
    backend["spec"]["outlierDetection"] = json!({"consecutiveFailures": 0});
    backend
}
