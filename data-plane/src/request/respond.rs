//! Respond: the head of the answer, from the upstream or from here.

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Response, StatusCode,
    header::{ALLOW, CONTENT_LENGTH, CONTENT_TYPE, LOCATION, RETRY_AFTER},
};
use sluice_core::filter::apply_header_edit;
use sluice_model::HeaderEdit;

use super::{Reason, ResponseBody, choose::Plan, exchange::Exchange, headers, told};
use crate::upstream::UpstreamBody;

const X_SLUICE_REASON: HeaderName = HeaderName::from_static("x-sluice-reason");
/// What is served at all, for `Allow`.
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, TRACE");

/// What the client is to get.
pub(super) enum Answer {
    /// From the upstream, its head made ready.
    Upstream(Response<UpstreamBody>),
    /// The connection becomes another protocol.
    Switch(Response<()>),
    /// A redirect by the rule.
    Redirect {
        status: StatusCode,
        location: HeaderValue,
        edit: HeaderEdit,
    },
    /// To a browser that asks whether it may (Fetch standard, section 3.2.2).
    Preflight(HeaderMap),
    /// To `OPTIONS *`.
    ServerOptions,
}

/// Makes the upstream's head ready for the client.
///
/// # Errors
/// A switch of protocols that nobody asked for.
pub(super) fn from_upstream(
    plan: &Plan<'_>,
    mut response: Response<UpstreamBody>,
    upgrade: bool,
) -> Result<Answer, Reason> {
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        if !upgrade {
            return Err(Reason::UpstreamMalformed);
        }
        let (mut parts, _) = response.into_parts();
        let protocol = parts.headers.get(http::header::UPGRADE).cloned();
        headers::prepare_response(&mut parts.headers, plan);
        headers::add_upgrade(&mut parts.headers, protocol);
        return Ok(Answer::Switch(Response::from_parts(parts, ())));
    }
    if response.status() == StatusCode::NO_CONTENT {
        // It must not have one (RFC 9110 section 8.6); over HTTP/2 that would be malformed.
        response.headers_mut().remove(CONTENT_LENGTH);
    }
    headers::prepare_response(response.headers_mut(), plan);
    Ok(Answer::Upstream(response))
}

/// The answer as its connection sends it.
pub(super) fn answer(mut exchange: Box<Exchange>, answer: Answer) -> Response<ResponseBody> {
    match answer {
        Answer::Upstream(response) => {
            let (mut parts, body) = response.into_parts();
            exchange.answered(parts.status.as_u16(), None);
            add_origin(&mut parts.headers, &exchange);
            if is_bodiless(&exchange, parts.status) {
                exchange.complete();
                return Response::from_parts(parts, ResponseBody::empty());
            }
            Response::from_parts(parts, ResponseBody::upstream(exchange, body))
        }
        Answer::Switch(mut response) => {
            exchange.answered(StatusCode::SWITCHING_PROTOCOLS.as_u16(), None);
            if exchange.told.is_some() {
                told::add(response.headers_mut(), &exchange);
            }
            response.map(|()| ResponseBody::switch(exchange))
        }
        Answer::Redirect {
            status,
            location,
            edit,
        } => {
            let mut response = Response::new(());
            *response.status_mut() = status;
            response.headers_mut().insert(LOCATION, location);
            apply_header_edit(&edit, response.headers_mut());
            bare(exchange, response, None)
        }
        Answer::Preflight(headers) => {
            let mut response = Response::new(());
            *response.status_mut() = StatusCode::NO_CONTENT;
            *response.headers_mut() = headers;
            bare(exchange, response, None)
        }
        Answer::ServerOptions => {
            let mut response = Response::new(());
            response.headers_mut().insert(ALLOW, METHODS);
            bare(exchange, response, None)
        }
    }
}

/// Says where the answer comes from, to whoever may know.
fn add_origin(headers: &mut HeaderMap, exchange: &Exchange) {
    if exchange.worker().settings.provenance {
        headers::add_provenance(headers, exchange);
    }
    if exchange.told.is_some() {
        told::add(headers, exchange);
    }
}

/// Whether the client takes what follows the head for the next answer (RFC 9112 section 6.3). Our HTTP/1
/// reads no such body; over HTTP/2 an upstream can send one.
fn is_bodiless(exchange: &Exchange, status: StatusCode) -> bool {
    exchange.is_head() || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}

/// The answer to a request that went wrong: a small JSON text, and the reason in a header.
pub(super) fn refuse(exchange: Box<Exchange>, reason: Reason) -> Response<ResponseBody> {
    let (parts, text) = broken_answer(reason).into_parts();
    bare(exchange, Response::from_parts(parts, ()), Some((text, reason)))
}

/// What a client gets instead of an answer.
pub(crate) fn broken_answer(reason: Reason) -> Response<Bytes> {
    let mut response = Response::new(());
    *response.status_mut() = reason.status();
    let headers = response.headers_mut();
    headers.insert(X_SLUICE_REASON, HeaderValue::from_static(reason.as_str()));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    match reason {
        Reason::MethodRefused => drop(headers.insert(ALLOW, METHODS)),
        Reason::Overloaded | Reason::ListenerFull => {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        _ => {}
    }
    let status = reason.status().as_u16();
    let (name, detail) = (reason.as_str(), reason.detail());
    let text = format!("{{\"status\":{status},\"reason\":\"{name}\",\"detail\":\"{detail}\"}}\n");
    response.map(|()| text.into())
}

/// An answer of our own.
fn bare(
    mut exchange: Box<Exchange>,
    response: Response<()>,
    text: Option<(Bytes, Reason)>,
) -> Response<ResponseBody> {
    let (mut parts, ()) = response.into_parts();
    let reason = text.as_ref().map(|(_, reason)| *reason);
    exchange.answered(parts.status.as_u16(), reason);
    add_origin(&mut parts.headers, &exchange);
    let length = text.as_ref().map_or(0, |(text, _)| text.len());
    parts.headers.insert(CONTENT_LENGTH, length.into());
    let body = match text {
        Some((text, _)) if !exchange.is_head() => ResponseBody::text(exchange, text),
        Some(_) | None => {
            exchange.complete();
            ResponseBody::empty()
        }
    };
    Response::from_parts(parts, body)
}
