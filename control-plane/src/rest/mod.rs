//! REST: what people and CI jobs talk to.
//!
//! One request, in order: it gets its id ([`request_id`]); the table of operations ([`table`]) finds
//! whose it is; the token says who asks ([`access`]); query and body are read into the types that
//! the operation's function takes ([`query`], [`content`], [`operation`]); the function answers
//! ([`answer`]) or tells the one thing that is wrong or all of them ([`problem`]). The same table
//! makes the OpenAPI document ([`openapi`]).

mod access;
mod admission;
mod answer;
mod apply;
mod audit;
mod authority;
mod conditions;
mod content;
mod debug_tokens;
mod diff;
mod documents;
mod explain;
mod export;
mod health;
mod join_tokens;
mod lint;
mod list;
mod manifest;
mod metrics;
mod objects;
mod openapi;
mod operation;
mod plan;
mod problem;
mod proxies;
mod proxy_labels;
mod query;
mod question;
mod receipts;
mod replay;
mod request_id;
mod resource;
mod revisions;
mod sampled;
mod secret;
mod serve;
mod table;
mod tokens;
mod traffic;
mod write;

use std::sync::Arc;

use axum::{Router, middleware};
use tokio_util::sync::CancellationToken;

pub use serve::serve;

use access::Gatekeeper;
use admission::Admission;
use metrics::Metrics;
use problem::{Missing, Problem};

use crate::fleet::Fleet;
use crate::live::Live;
use crate::store::Store;
use crate::trust::Trust;

/// What operations work on.
#[derive(Debug)]
struct Api {
    store: Store,
    live: Live,
    fleet: Arc<Fleet>,
    trust: Trust,
    gatekeeper: Gatekeeper,
    admission: Admission,
    metrics: Metrics,
    shutdown: CancellationToken,
}

/// The REST interface. Requests that wait end with `shutdown`.
pub fn router(
    store: Store,
    live: Live,
    fleet: Arc<Fleet>,
    trust: Trust,
    shutdown: CancellationToken,
) -> Router {
    let api = Api {
        gatekeeper: Gatekeeper::new(store.clone()),
        metrics: Metrics::new(Arc::clone(&fleet), &live, trust.clone()),
        store,
        live,
        fleet,
        trust,
        admission: Admission::new(),
        shutdown,
    };
    let mut router = Router::new();
    for operation in table::operations() {
        router = router.route(operation.path, operation.service);
    }
    router
        .fallback(async || Problem::from(Missing::Path))
        .method_not_allowed_fallback(async || Problem::MethodNotAllowed)
        .layer(middleware::from_fn(request_id::name))
        .with_state(Arc::new(api))
}
