//! Header fields that end at a proxy, and those that it adds.

use http::{
    HeaderMap, HeaderName, HeaderValue, Request, Uri, Version,
    header::{self, CONNECTION, CONTENT_LENGTH, EXPECT, HOST, SET_COOKIE, TE, TRANSFER_ENCODING, UPGRADE},
    uri::{Authority, Scheme},
};
use sluice_core::{
    BackendState, cors,
    filter::{apply_both, rewrite},
};
use sluice_http1::Facts;
use sluice_model::Protocol;

use super::{choose::Plan, exchange::Exchange, upgrade::Upgrade};
use crate::debug::SLUICE_DEBUG;

// Statics, not constants: a constant of this type is made and dropped at every use.
static HOP_BY_HOP: [HeaderName; 7] = [
    CONNECTION,
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("http2-settings"),
];
static X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
static X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
static X_FORWARDED_CLIENT_CERT: HeaderName = HeaderName::from_static("x-forwarded-client-cert");
static X_SLUICE_REVISION: HeaderName = HeaderName::from_static("x-sluice-revision");
static X_SLUICE_ROUTE: HeaderName = HeaderName::from_static("x-sluice-route");
static X_SLUICE_VARIANT: HeaderName = HeaderName::from_static("x-sluice-variant");

/// Makes a request's head ready for the upstream.
pub(super) fn prepare_request<B>(
    request: &mut Request<B>,
    facts: Facts,
    exchange: &Exchange,
    plan: &Plan<'_>,
    upgrade: Option<&Upgrade>,
) {
    let headers = request.headers_mut();
    let trailers = facts.te && wants_trailers(headers);
    if facts.hop_by_hop {
        strip_hop_by_hop(headers);
    }
    if facts.expect {
        // The client is asked for its body by the time anybody upstream could ask.
        headers.remove(EXPECT);
    }
    if facts.client_cert {
        // Nobody but a proxy says who a client is.
        headers.remove(&X_FORWARDED_CLIENT_CERT);
    }
    if facts.debug {
        // For this proxy, whatever it is worth.
        headers.remove(&SLUICE_DEBUG);
    }
    if facts.lookalike {
        remove_lookalikes(headers);
    }
    let secured = exchange.connection().secured.as_ref();
    if let Some(client) = secured.and_then(|secured| secured.client.as_ref()) {
        headers.insert(&X_FORWARDED_CLIENT_CERT, client.clone());
    }
    if trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
    if let Some(upgrade) = upgrade {
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, upgrade.protocol.clone());
    }
    forward_for(headers, facts, exchange.forwarded_for());
    let scheme = match plan.scheme {
        sluice_model::Scheme::Http => "http",
        sluice_model::Scheme::Https => "https",
    };
    headers.insert(&X_FORWARDED_PROTO, HeaderValue::from_static(scheme));
    if let Some((name, value)) = &plan.variant {
        headers.insert(*name, value.clone());
    }
    apply_both(
        &plan.rule.filters.request_headers,
        &plan.filters.request_headers,
        headers,
    );
    set_host(request, plan);
}

/// Puts a request's target into the form of the protocol that `backend` speaks.
pub(super) fn set_protocol<B>(
    request: &mut Request<B>,
    facts: Facts,
    plan: &Plan<'_>,
    backend: &BackendState,
) {
    match backend.backend.protocol {
        Protocol::Http => set_http1(request, plan, facts.te),
        Protocol::H2c => set_http2(request, plan, backend),
    }
}

/// Makes an upstream's header fields ready for the client.
pub(super) fn prepare_response(headers: &mut HeaderMap, plan: &Plan<'_>) {
    if headers.keys().any(Facts::is_hop_by_hop) {
        strip_hop_by_hop(headers);
    }
    apply_both(
        &plan.rule.filters.response_headers,
        &plan.filters.response_headers,
        headers,
    );
    if let Some((cors, origin)) = &plan.cors {
        cors::apply(cors, origin.as_deref(), headers);
    }
    if let Some(cookie) = &plan.cookie {
        headers.append(SET_COOKIE, cookie.clone());
    }
}

/// Says that the connection becomes `protocol`.
pub(super) fn add_upgrade(headers: &mut HeaderMap, protocol: Option<HeaderValue>) {
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    if let Some(protocol) = protocol {
        headers.insert(UPGRADE, protocol);
    }
}

/// Says which revision, route and variant an answer comes from.
pub(super) fn add_provenance(headers: &mut HeaderMap, exchange: &Exchange) {
    headers.insert(&X_SLUICE_REVISION, exchange.revision().into());
    if let Some(route) = exchange.route() {
        headers.insert(&X_SLUICE_ROUTE, route.route.clone());
        if let Some(variant) = &route.variant {
            headers.insert(&X_SLUICE_VARIANT, variant.clone());
        }
    }
}

/// Takes out what an application may take for a proxy's word.
#[cold]
fn remove_lookalikes(headers: &mut HeaderMap) {
    let names: Vec<_> = headers
        .keys()
        .filter(|name| Facts::is_lookalike(name))
        .cloned()
        .collect();
    for name in names {
        headers.remove(name);
    }
}

/// Takes out what is for this hop alone, and what `Connection` says is.
fn strip_hop_by_hop(headers: &mut HeaderMap) {
    for name in connection_options(headers) {
        headers.remove(name);
    }
    for name in &HOP_BY_HOP {
        headers.remove(name);
    }
}

/// Fields that `Connection` names. Not those that say where the message goes and where it ends:
/// naming them is an attempt to make the next hop misread it.
fn connection_options(headers: &HeaderMap) -> Vec<HeaderName> {
    let lines = headers.get_all(CONNECTION).iter();
    lines
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
        .filter_map(|option| HeaderName::from_bytes(option.trim_ascii()).ok())
        .filter(|name| ![HOST, CONTENT_LENGTH, header::CONTENT_TYPE].contains(name))
        .collect()
}

/// Whether `TE` names trailers.
fn wants_trailers(headers: &HeaderMap) -> bool {
    let mut lines = headers.get_all(TE).iter();
    lines.any(|line| names(line, b"trailers"))
}

/// Whether a list of tokens names `token`, in any case (RFC 9110 section 5.6.1).
pub(super) fn names(value: &HeaderValue, token: &[u8]) -> bool {
    let mut options = value.as_bytes().split(|byte| *byte == b',');
    options.any(|option| option.trim_ascii().eq_ignore_ascii_case(token))
}

fn add_connection_option(headers: &mut HeaderMap, option: &'static str) {
    let value = match headers.get(CONNECTION) {
        None => HeaderValue::from_static(option),
        Some(held) => match HeaderValue::from_bytes(&[held.as_bytes(), b", ", option.as_bytes()].concat()) {
            Ok(both) => both,
            Err(_) => return,
        },
    };
    headers.insert(CONNECTION, value);
}

/// Adds the client to `X-Forwarded-For`, in one line: many applications look at the first alone.
fn forward_for(headers: &mut HeaderMap, facts: Facts, client: &HeaderValue) {
    let held = if facts.forwarded_for {
        headers.get(&X_FORWARDED_FOR)
    } else {
        None
    };
    let Some(held) = held else {
        headers.insert(&X_FORWARDED_FOR, client.clone());
        return;
    };
    let mut chain = held.as_bytes().to_vec();
    for line in headers.get_all(&X_FORWARDED_FOR).iter().skip(1).chain([client]) {
        chain.extend_from_slice(b", ");
        chain.extend_from_slice(line.as_bytes());
    }
    // Values joined by what values may hold.
    if let Ok(chain) = HeaderValue::from_bytes(&chain) {
        headers.insert(&X_FORWARDED_FOR, chain);
    }
}

/// Sets Host to what the rule says, or to the host of a target that names one: in absolute form,
/// and in HTTP/2.
fn set_host<B>(request: &mut Request<B>, plan: &Plan<'_>) {
    let rewrite = rewrite(&plan.rule.filters, plan.filters);
    let rewritten = rewrite.and_then(|rewrite| rewrite.hostname.clone());
    let named = || HeaderValue::from_str(request.uri().authority()?.as_str()).ok();
    if let Some(host) = rewritten.or_else(named) {
        request.headers_mut().insert(HOST, host);
    }
}

fn set_http1<B>(request: &mut Request<B>, plan: &Plan<'_>, te: bool) {
    if !plan.keeps(request.uri()) {
        *request.uri_mut() = plan.path_and_query(request.uri()).into();
    }
    let headers = request.headers_mut();
    if !headers.contains_key(HOST) {
        // RFC 9112 section 3.2: empty when there is none to name.
        headers.insert(HOST, HeaderValue::from_static(""));
    }
    if te && headers.contains_key(TE) {
        // TE is for the next hop alone (RFC 9110 section 10.1.4).
        add_connection_option(headers, "te");
    }
}

fn set_http2<B>(request: &mut Request<B>, plan: &Plan<'_>, backend: &BackendState) {
    *request.version_mut() = Version::HTTP_2;
    let host = request.headers_mut().remove(HOST);
    let authority = host.and_then(|host| Authority::try_from(host.as_bytes()).ok());
    let mut uri = http::uri::Parts::default();
    uri.path_and_query = Some(plan.path_and_query(request.uri()));
    uri.scheme = Some(match backend.backend.tls {
        Some(_) => Scheme::HTTPS,
        None => Scheme::HTTP,
    });
    // HTTP/1.0 may name no host; the h2 crate cannot send a request without.
    uri.authority = Some(authority.unwrap_or(Authority::from_static("localhost")));
    *request.uri_mut() = Uri::from_parts(uri).unwrap_or_default();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    /// Lines after stripping, without those of `x-kept`.
    fn stripped(lines: &[(&'static str, &'static str)]) -> Vec<String> {
        let mut headers = map(lines);
        headers.insert("x-kept", HeaderValue::from_static("1"));
        strip_hop_by_hop(&mut headers);
        assert!(headers.remove("x-kept").is_some());
        headers.keys().map(|name| name.as_str().to_owned()).collect()
    }

    #[test]
    fn what_is_for_one_hop_ends_here() {
        for (name, value) in [
            ("connection", "close"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "keep-alive"),
            ("te", "trailers"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
        ] {
            assert!(stripped(&[(name, value)]).is_empty(), "{name}");
        }
        assert_eq!(stripped(&[("trailer", "grpc-status")]), ["trailer"]);
    }

    #[test]
    fn what_connection_names_ends_here_too_unless_it_frames_the_message() {
        let lines = [
            ("connection", "X-One , x-two"),
            ("connection", "host,content-length, b@d"),
            ("x-one", "1"),
            ("x-two", "2"),
            ("host", "a"),
            ("content-length", "0"),
        ];
        assert_eq!(stripped(&lines), ["host", "content-length"]);
    }

    #[test]
    fn trailers_are_asked_for_in_any_spelling() {
        assert!(wants_trailers(&map(&[("te", "deflate;q=0.5, Trailers")])));
        assert!(wants_trailers(&map(&[("te", "gzip"), ("te", "trailers")])));
        assert!(!wants_trailers(&map(&[("te", "gzip")])));
    }

    #[test]
    fn no_client_says_in_another_spelling_what_only_proxies_say() {
        let mut headers = map(&[
            ("x_forwarded_for", "192.0.2.9"),
            ("x-forwarded_proto", "https"),
            ("x_forwarded_client_cert", "Subject=\"CN=admin\""),
            ("x_forwarded_host", "kept"),
        ]);
        assert!(Facts::of(&headers).lookalike);
        remove_lookalikes(&mut headers);
        assert_eq!(headers.keys().collect::<Vec<_>>(), ["x_forwarded_host"]);
    }

    #[test]
    fn the_client_is_added_at_the_end_of_one_chain() {
        let client = HeaderValue::from_static("192.0.2.1");
        let mut headers = HeaderMap::new();
        let facts = Facts::of(&headers);
        forward_for(&mut headers, facts, &client);
        assert_eq!(headers[&X_FORWARDED_FOR], "192.0.2.1");
        let mut headers = map(&[("x-forwarded-for", "a, b"), ("x-forwarded-for", "c")]);
        let facts = Facts::of(&headers);
        forward_for(&mut headers, facts, &client);
        assert_eq!(headers[&X_FORWARDED_FOR], "a, b, c, 192.0.2.1");
        assert_eq!(headers.get_all(&X_FORWARDED_FOR).iter().count(), 1);
    }
}
