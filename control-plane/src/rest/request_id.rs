//! Every answer names its request, so that what a client saw is found in the log.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderMap, HeaderName, HeaderValue};
use tracing::Instrument as _;

/// The header of a request and of its answer.
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longest id that is taken from a client, in bytes.
const MAX_LENGTH: usize = 128;

/// Serves the request under its id: the client's, or a new one.
pub(super) async fn name(request: Request, next: Next) -> Response {
    let id = given(request.headers()).unwrap_or_else(random);
    let span = tracing::info_span!(
        "request",
        id = id.to_str().unwrap_or_default(),
        method = %request.method(),
        path = request.uri().path(),
    );
    let mut response = next.run(request).instrument(span.clone()).await;
    span.in_scope(|| {
        let status = response.status();
        match status.is_server_error() {
            true => tracing::warn!(%status, "answered"),
            false => tracing::debug!(%status, "answered"),
        }
    });
    response.headers_mut().insert(REQUEST_ID, id);
    response
}

/// What the client calls the request, if it is fit to be printed.
fn given(headers: &HeaderMap) -> Option<HeaderValue> {
    let id = headers.get(REQUEST_ID)?;
    let fits = (1..=MAX_LENGTH).contains(&id.len()) && id.as_bytes().iter().all(u8::is_ascii_graphic);
    fits.then(|| id.clone())
}

fn random() -> HeaderValue {
    let id = uuid::Uuid::new_v4().simple().to_string();
    HeaderValue::try_from(id).unwrap_or_else(|_| HeaderValue::from_static("none"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clients_id_is_kept_if_it_can_be_printed() {
        let given = |value: &[u8]| {
            given(&HeaderMap::from_iter([(
                REQUEST_ID,
                HeaderValue::from_bytes(value).unwrap(),
            )]))
        };
        assert_eq!(given(b"abc-1").unwrap(), "abc-1");
        for unfit in [&b""[..], b"a b", b"\xff", &[b'a'; MAX_LENGTH + 1]] {
            assert_eq!(given(unfit), None);
        }
    }
}
