//! One request, from its head to the end of its answer.

mod admit;
mod body;
mod choose;
mod exchange;
mod forward;
mod headers;
mod http2_body;
mod mirror;
mod reason;
mod respond;
mod told;
mod upgrade;
mod url;

use std::rc::Rc;

use http::{Request, Response};
use sluice_http1::Facts;

pub(crate) use self::{
    body::{Arriving, BodyError, RequestBody, ResponseBody},
    exchange::Exchange,
    reason::Reason,
    respond::broken_answer,
    upgrade::tunnel,
};
use self::{choose::Action, respond::Answer};
use crate::worker::Connection;

/// Answers one request. The stages, in order:
///
/// 1. admit: what this proxy does not do, or could misread, is refused
/// 2. normalize: host and path get the one spelling that is matched and forwarded
/// 3. match: the snapshot, pinned until the response's head, names the rule
/// 4. choose: experiment and split name the backend
/// 5. forward: balance, connect, send, try again if that is safe
/// 6. respond: the response's head is made ready for the client
/// 7. finish: when the last byte is out, or the client gone, it is counted and logged
pub(crate) fn handle(
    connection: Rc<Connection>,
    request: Request<Arriving>,
) -> impl Future<Output = Response<ResponseBody>> {
    let mut exchange = Exchange::begin(connection, &request);
    let facts = request.body().facts(request.headers());
    if facts.debug {
        told::admit(&mut exchange, request.headers());
    }
    let mut request = request.map(|body| exchange.request_body(body));
    // Everything below works on these two where they stand: hyper copies the future once per
    // request, and each level that took the request by value would add its size twice.
    async move {
        match stages(&mut exchange, &mut request, facts).await {
            Ok(answer) => respond::answer(exchange, answer),
            Err(reason) => respond::refuse(exchange, reason),
        }
    }
}

/// The answer to a head that is no request.
pub(crate) fn reject(connection: Rc<Connection>, reason: Reason) -> Response<ResponseBody> {
    respond::refuse(Exchange::unread(connection), reason)
}

async fn stages(
    exchange: &mut Exchange,
    request: &mut Request<RequestBody>,
    facts: Facts,
) -> Result<Answer, Reason> {
    if let Some(answer) = admit::admit(exchange, request, facts)? {
        return Ok(answer);
    }
    let snapshot = exchange.pin();
    let plan = {
        let url = url::normalize(request)?;
        let view = url.view(request);
        let matched = exchange.matched(&snapshot, &view);
        if exchange.told.is_some() {
            told::explain(exchange, &snapshot, &view);
        }
        let connection = exchange.connection();
        admit::directed(connection, &snapshot, view.host, matched.as_ref())?;
        admit::seated(connection, &snapshot, view.host, matched.as_ref())?;
        exchange.sampled(&view);
        let matched = matched.ok_or(Reason::NoRoute)?;
        let most = matched
            .rule
            .rule
            .body_bytes
            .unwrap_or(matched.listener.limits.body_bytes);
        exchange.limit_body(request.body(), most)?;
        match choose::choose(exchange, &snapshot, &matched, &view)? {
            Action::Answer(answer) => return Ok(answer),
            Action::Forward(plan) => plan.with_target(request.uri(), &url)?,
        }
    };
    if let Some(told) = &mut exchange.told {
        told.chose(&plan.backend.backend.key);
    }
    let upgrade = upgrade::requested(request, facts, &plan);
    headers::prepare_request(request, facts, exchange, &plan, upgrade.as_ref());
    if !plan.mirrors.is_empty() {
        mirror::send(exchange.worker(), &plan, request);
    }
    headers::set_protocol(request, facts, &plan, plan.backend);
    let response = forward::forward(exchange, &plan, request).await?;
    respond::from_upstream(&plan, response, upgrade.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size_of_output<C, R, F: Future>(_: fn(C, R) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn the_state_of_a_request_stays_small() {
        // hyper copies it for every request, and an HTTP/2 connection holds 200 of it.
        assert!(size_of_output(handle) <= 1536, "{}", size_of_output(handle));
        assert!(size_of::<Response<ResponseBody>>() <= 192);
    }
}
