//! What requests are answered with when all went well.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;

use super::content::Json;

/// The way an answer is written. `()` is no content at all.
pub(super) trait Representation: Send {
    /// Its media type; `None` when there is nothing to write.
    const MEDIA_TYPE: Option<&'static str>;
    /// The status of an answer that went well.
    const STATUS: StatusCode = StatusCode::OK;

    /// Its JSON Schema.
    fn schema(generator: &mut SchemaGenerator) -> Option<Schema>;

    /// Its bytes, as they travel.
    fn into_body(self) -> Body;
}

impl Representation for () {
    const MEDIA_TYPE: Option<&'static str> = None;
    const STATUS: StatusCode = StatusCode::NO_CONTENT;

    fn schema(_: &mut SchemaGenerator) -> Option<Schema> {
        None
    }

    fn into_body(self) -> Body {
        Body::empty()
    }
}

impl<T: Serialize + JsonSchema + Send> Representation for Json<T> {
    const MEDIA_TYPE: Option<&'static str> = Some("application/json");

    fn schema(generator: &mut SchemaGenerator) -> Option<Schema> {
        Some(generator.subschema_for::<T>())
    }

    fn into_body(self) -> Body {
        // Every answer is of string keys and finite numbers, so this cannot fail.
        serde_json::to_vec(&self.0).unwrap_or_default().into()
    }
}

/// Metrics in the text format of OpenMetrics.
#[derive(Debug)]
pub(super) struct OpenMetrics(pub(super) String);

impl Representation for OpenMetrics {
    const MEDIA_TYPE: Option<&'static str> =
        Some("application/openmetrics-text; version=1.0.0; charset=utf-8");

    fn schema(_: &mut SchemaGenerator) -> Option<Schema> {
        Some(json_schema!({"type": "string"}))
    }

    fn into_body(self) -> Body {
        self.0.into()
    }
}

/// An answer that went well.
#[derive(Debug)]
pub(super) struct Answer<T> {
    status: StatusCode,
    headers: HeaderMap,
    body: T,
}

impl<T: Representation> Answer<T> {
    /// The usual status, no headers of its own.
    pub(super) fn new(body: T) -> Self {
        Self {
            status: T::STATUS,
            headers: HeaderMap::new(),
            body,
        }
    }

    /// Answers with another status.
    pub(super) fn status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// Adds a header.
    pub(super) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }
}

impl<T: Serialize + JsonSchema + Send> From<T> for Answer<Json<T>> {
    fn from(body: T) -> Self {
        Self::new(Json(body))
    }
}

impl<T: Representation> IntoResponse for Answer<T> {
    fn into_response(self) -> Response {
        let mut response = Response::new(self.body.into_body());
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        if let Some(media_type) = T::MEDIA_TYPE {
            response
                .headers_mut()
                .insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
        }
        response
    }
}
