//! Forward: pick an endpoint, connect, send, wait for the head; once more if that is safe.

use std::{future::poll_fn, pin::pin, rc::Rc, task::Poll, time::Instant};

use http::{Request, Response, StatusCode};
use sluice_core::{EndpointState, balance};

use super::{
    Reason, RequestBody,
    choose::Plan,
    exchange::{Exchange, Sent},
    reason::{Fault, Retry},
};
use crate::{
    upstream::{SendError, UpstreamBody},
    worker::{Elapsed, Worker},
};

/// An attempt that brought no response.
#[derive(Clone, Copy, Debug)]
struct Failed {
    reason: Reason,
    /// The request is whole again, and may be sent once more.
    again: bool,
}

/// Sends `request` to an endpoint of the plan's backend; resolves with the head of the response.
///
/// One more attempt follows when the first could not connect, and when a kept connection turned out
/// to be dead before a byte of the response. The first case avoids the endpoint, if there are
/// others; the second takes a new connection, as its neighbours may be as dead.
///
/// # Errors
/// Why there is no response, after the last attempt.
pub(super) async fn forward(
    exchange: &mut Exchange,
    plan: &Plan<'_>,
    request: &mut Request<RequestBody>,
) -> Result<Response<UpstreamBody>, Reason> {
    let mut avoid = None;
    let mut fresh = false;
    loop {
        let endpoint = pick(exchange, plan, avoid).ok_or(Reason::NoEndpoints)?;
        let Failed { reason, again } = match attempt(exchange, plan, endpoint, request, fresh).await {
            Ok(response) => {
                judge(exchange, plan, endpoint, response.status());
                return Ok(response);
            }
            Err(failed) => failed,
        };
        exchange.unlease();
        // A connection that had died before is not the endpoint's fault.
        fresh = again && reason.retry() == Retry::Reused;
        if reason.fault() == Fault::Upstream && !fresh {
            fail(exchange, plan, endpoint);
        }
        if !again || exchange.was_retried() {
            return Err(reason);
        }
        exchange.retry();
        avoid = (!fresh).then_some(endpoint.uid);
    }
}

fn pick<'p>(exchange: &Exchange, plan: &Plan<'p>, avoid: Option<u64>) -> Option<&'p EndpointState> {
    let worker = exchange.worker();
    let in_flight = |endpoint: &EndpointState| worker.upstreams.in_flight(endpoint);
    let now = worker.millis(exchange.started());
    balance::pick(plan.backend, in_flight, now, exchange.random(), avoid).map(|endpoint| &**endpoint)
}

/// One request to one endpoint, within the rule's limits or the default one.
async fn attempt(
    exchange: &mut Exchange,
    plan: &Plan<'_>,
    endpoint: &EndpointState,
    request: &mut Request<RequestBody>,
    fresh: bool,
) -> Result<Response<UpstreamBody>, Failed> {
    let limit = exchange.limited(&plan.rule.timeouts);
    let worker = Rc::clone(exchange.worker());
    let upload = exchange.sent_counter();
    let mut sent = pin!(send(&worker, exchange, plan, endpoint, request, fresh));
    let late = match limit {
        Some(limit) => match tokio::time::timeout_at(limit.at, sent.as_mut()).await {
            Ok(sent) => return sent,
            Err(_) => limit.reason,
        },
        None => match patiently(&worker, upload.as_deref(), sent.as_mut()).await {
            Ok(sent) => return sent,
            Err(Elapsed) => Reason::ResponseTimeout,
        },
    };
    Err(Failed {
        reason: late,
        again: false,
    })
}

/// Waits for the head of a response. Its time begins anew with every piece of the request's body: how
/// long that may take is the client's limits' to say.
async fn patiently<F: Future>(worker: &Worker, upload: Option<&Sent>, sent: F) -> Result<F::Output, Elapsed> {
    let time = worker.settings.timeouts.response_head;
    let deadline = worker.deadlines.after(time);
    let mut sent = pin!(sent);
    let mut seen = 0;
    poll_fn(|cx| {
        if let Poll::Ready(output) = sent.as_mut().poll(cx) {
            return Poll::Ready(Ok(output));
        }
        // Over HTTP/2 another task sends, and this one is woken by the deadline alone.
        let bytes = upload.map_or(0, |upload| upload.bytes.get());
        if bytes != seen {
            seen = bytes;
            deadline.reset(time);
        }
        deadline.poll_elapsed(cx).map(|()| Err(Elapsed))
    })
    .await
}

async fn send(
    worker: &Worker,
    exchange: &mut Exchange,
    plan: &Plan<'_>,
    endpoint: &EndpointState,
    request: &mut Request<RequestBody>,
    fresh: bool,
) -> Result<Response<UpstreamBody>, Failed> {
    let upstream = worker.upstreams.of(plan.backend, endpoint);
    exchange.goes_to(&upstream);
    let backend = &plan.backend.backend;
    let kept = if fresh {
        None
    } else {
        upstream.kept(backend.protocol, plan.dial)
    };
    let may_be_dead = kept.is_some() && !exchange.was_retried();
    match kept {
        Some(lease) => exchange.leased(lease, None),
        None => {
            let began = Instant::now();
            // Boxed: connections are made rarely, and making one takes a lot of state.
            match Box::pin(upstream.connect(backend.protocol, backend.connect_timeout, plan.dial)).await {
                Ok((lease, made)) => exchange.leased(lease, made.then(|| began.elapsed())),
                Err(reason) => {
                    let again = reason.retry() == Retry::Elsewhere;
                    return Err(Failed { reason, again });
                }
            }
        }
    }
    let connection = Rc::clone(exchange.connection());
    let version = exchange.version();
    let mut interim = |head| connection.interim(version, head);
    let Some(lease) = exchange.lease_mut() else {
        return Err(Failed {
            reason: Reason::ConnectFailed,
            again: false,
        });
    };
    match lease.send(request, may_be_dead, &mut interim).await {
        Ok(response) => {
            exchange.first_byte();
            Ok(response)
        }
        Err(SendError { reason, whole }) => {
            let reason = exchange.body_fault().unwrap_or(reason);
            let again = may_be_dead
                && reason.retry() == Retry::Reused
                && whole
                && request.method().is_idempotent()
                && exchange.body_is_untouched();
            Err(Failed { reason, again })
        }
    }
}

/// What an answer says about its endpoint: 502, 503 and 504 are those of a server that cannot serve.
fn judge(exchange: &Exchange, plan: &Plan<'_>, endpoint: &EndpointState, status: StatusCode) {
    match status {
        StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
            fail(exchange, plan, endpoint);
        }
        _ => endpoint.health.record_success(),
    }
}

#[cold]
fn fail(exchange: &Exchange, plan: &Plan<'_>, endpoint: &EndpointState) {
    let worker = exchange.worker();
    let now = worker.clock.now();
    let outlier = &plan.backend.backend.outlier;
    if endpoint.health.record_failure(now, outlier, plan.backend) {
        worker.stats.count(|counters| counters.ejections += 1);
        tracing::info!(backend = %plan.backend.backend.key, address = %endpoint.address, "endpoint ejected");
    }
}
