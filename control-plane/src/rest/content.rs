//! What requests bring in their bodies.

use std::marker::PhantomData;
use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http_body_util::BodyExt as _;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sluice_intent::{Format, Kind, Namespace, Resource, parse_within};
use sluice_model::Code;

use super::admission::{Admission, Room};
use super::objects;
use super::problem::{INPUT, Problem};

/// Longest body of an apply, in bytes: some 10,000 routes and more.
pub(super) const MAX_BODY: usize = 64 * 1024 * 1024;
/// Longest body of anything else, in bytes.
pub(super) const MAX_JSON: usize = 1024 * 1024;
/// Longest time for a body to arrive.
const MAX_ARRIVAL: Duration = Duration::from_secs(60);

const JSON: &str = "application/json";
const YAML: &str = "application/yaml";
const MERGE_PATCH: &str = "application/merge-patch+json";

/// What a request brings. `()` brings nothing, and what comes anyway is not read.
pub(super) trait Content: Sized + Send {
    /// Media types it may be written in; the first is the usual one.
    const MEDIA_TYPES: &'static [&'static str];
    /// Whether it may be left out.
    const OPTIONAL: bool = false;

    /// Its JSON Schema; `None` when there is nothing to bring.
    fn schema(generator: &mut SchemaGenerator) -> Option<Schema>;

    /// Reads it.
    fn receive(
        admission: &Admission,
        headers: &HeaderMap,
        body: Body,
    ) -> impl Future<Output = Result<Self, Problem>> + Send;
}

impl Content for () {
    const MEDIA_TYPES: &'static [&'static str] = &[];

    fn schema(_: &mut SchemaGenerator) -> Option<Schema> {
        None
    }

    async fn receive(_: &Admission, _: &HeaderMap, _: Body) -> Result<Self, Problem> {
        Ok(())
    }
}

/// A JSON document of a known shape.
#[derive(Debug)]
pub(super) struct Json<T>(pub(super) T);

impl<T: DeserializeOwned + JsonSchema + Send> Content for Json<T> {
    const MEDIA_TYPES: &'static [&'static str] = &[JSON];

    fn schema(generator: &mut SchemaGenerator) -> Option<Schema> {
        Some(generator.subschema_for::<T>())
    }

    async fn receive(admission: &Admission, headers: &HeaderMap, body: Body) -> Result<Self, Problem> {
        media_type(headers, Self::MEDIA_TYPES)?;
        let received = Received::read(admission, headers, body, MAX_JSON).await?;
        json(&received.bytes).map(Self)
    }
}

impl<T: DeserializeOwned + JsonSchema + Send> Content for Option<Json<T>> {
    const MEDIA_TYPES: &'static [&'static str] = &[JSON];
    const OPTIONAL: bool = true;

    fn schema(generator: &mut SchemaGenerator) -> Option<Schema> {
        Json::<T>::schema(generator)
    }

    async fn receive(admission: &Admission, headers: &HeaderMap, body: Body) -> Result<Self, Problem> {
        let received = Received::read(admission, headers, body, MAX_JSON).await?;
        if received.bytes.is_empty() {
            return Ok(None);
        }
        media_type(headers, Self::MEDIA_TYPES)?;
        json(&received.bytes).map(|content| Some(Json(content)))
    }
}

/// A JSON merge patch (RFC 7386).
#[derive(Debug)]
pub(super) struct MergePatch(pub(super) Value);

impl Content for MergePatch {
    const MEDIA_TYPES: &'static [&'static str] = &[MERGE_PATCH, JSON];

    fn schema(_: &mut SchemaGenerator) -> Option<Schema> {
        Some(json_schema!({
            "type": "object",
            "description": "What to change of the manifest: members are replaced one by one, null removes one (RFC 7386)."
        }))
    }

    async fn receive(admission: &Admission, headers: &HeaderMap, body: Body) -> Result<Self, Problem> {
        media_type(headers, Self::MEDIA_TYPES)?;
        let received = Received::read(admission, headers, body, MAX_BODY).await?;
        match json(&received.bytes)? {
            patch @ Value::Object(_) => Ok(Self(patch)),
            _ => Err(Problem::violation(
                INPUT,
                "",
                Code::WrongType,
                "a patch must be an object",
            )),
        }
    }
}

/// Manifests in YAML or JSON, not parsed yet.
#[derive(Debug)]
pub(super) struct Manifests {
    received: Received,
    format: Format,
}

impl Content for Manifests {
    const MEDIA_TYPES: &'static [&'static str] =
        &[JSON, YAML, "application/x-yaml", "text/yaml", "text/x-yaml"];

    fn schema(_: &mut SchemaGenerator) -> Option<Schema> {
        let kinds = Kind::ALL.map(|kind| json_schema!({"$ref": format!("#/components/schemas/{kind}")}));
        Some(json_schema!({
            "description": "Manifests; in YAML many documents, in JSON one after the other, in both a `List` of them.",
            "anyOf": kinds
        }))
    }

    async fn receive(admission: &Admission, headers: &HeaderMap, body: Body) -> Result<Self, Problem> {
        let format = match media_type(headers, Self::MEDIA_TYPES)? {
            Some(JSON) => Format::Json,
            Some(_) => Format::Yaml,
            None => Format::Auto,
        };
        let received = Received::read(admission, headers, body, MAX_BODY).await?;
        Ok(Self { received, format })
    }
}

impl Content for Option<Manifests> {
    const MEDIA_TYPES: &'static [&'static str] = Manifests::MEDIA_TYPES;
    const OPTIONAL: bool = true;

    fn schema(generator: &mut SchemaGenerator) -> Option<Schema> {
        Manifests::schema(generator)
    }

    async fn receive(admission: &Admission, headers: &HeaderMap, body: Body) -> Result<Self, Problem> {
        let Manifests { received, format } = Manifests::receive(admission, headers, body).await?;
        let is_there = !received.bytes.is_empty();
        Ok(is_there.then_some(Manifests { received, format }))
    }
}

impl Manifests {
    /// Parses them, off the runtime's threads. Those that name no namespace get `namespace`, or
    /// else `default`.
    pub(super) async fn parse(self, namespace: Option<Namespace>) -> Result<Vec<Resource>, Problem> {
        let parse = move || {
            // The room is given back once all that came of the bytes is built.
            let Self { received, format } = self;
            let namespace = namespace.as_ref().map_or("default", Namespace::as_str);
            parse_within(&received.bytes, format, namespace, MAX_BODY)
        };
        let parsed = tokio::task::spawn_blocking(parse)
            .await
            .map_err(|_| Problem::Closing)?;
        parsed.map_err(Problem::Violations)
    }
}

/// A JSON document that may be as long as an apply, received and not read yet: `T` is what it has to be.
#[derive(Debug)]
pub(super) struct LongJson<T> {
    received: Received,
    shape: PhantomData<fn() -> T>,
}

impl<T: JsonSchema> Content for LongJson<T> {
    const MEDIA_TYPES: &'static [&'static str] = &[JSON];

    fn schema(generator: &mut SchemaGenerator) -> Option<Schema> {
        Some(generator.subschema_for::<T>())
    }

    async fn receive(admission: &Admission, headers: &HeaderMap, body: Body) -> Result<Self, Problem> {
        media_type(headers, Self::MEDIA_TYPES)?;
        let received = Received::read(admission, headers, body, MAX_BODY).await?;
        Ok(Self {
            received,
            shape: PhantomData,
        })
    }
}

impl<T> LongJson<T> {
    /// Whether it is longer than other documents may be.
    pub(super) fn is_long(&self) -> bool {
        self.received.bytes.len() > MAX_JSON
    }

    /// Reads it, or a part of it, into what may refer to its bytes; it takes a core for a while.
    pub(super) fn read<'a, P: Deserialize<'a>>(&'a self) -> Result<P, Problem> {
        json(&self.received.bytes)
    }
}

/// A whole body, and the room that it takes.
#[derive(Debug)]
struct Received {
    bytes: Bytes,
    _room: Option<Room>,
}

impl Received {
    async fn read(
        admission: &Admission,
        headers: &HeaderMap,
        body: Body,
        most: usize,
    ) -> Result<Self, Problem> {
        let declared = headers
            .get(CONTENT_LENGTH)
            .and_then(|length| length.to_str().ok()?.parse().ok());
        // Said before a byte of it is read; a client that expects `100 Continue` sends none.
        if declared.is_some_and(|length: usize| length > most) {
            return Err(Problem::TooLarge(most));
        }
        let read = Self::read_frames(admission, body, most);
        tokio::time::timeout(MAX_ARRIVAL, read)
            .await
            .map_err(|_| Problem::Slow)?
    }

    async fn read_frames(admission: &Admission, mut body: Body, most: usize) -> Result<Self, Problem> {
        let mut bytes = BytesMut::new();
        let mut room: Option<Room> = None;
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| Problem::Incomplete)?;
            let Ok(data) = frame.into_data() else { continue };
            if bytes.len() + data.len() > most {
                return Err(Problem::TooLarge(most));
            }
            let more = admission.body(data.len())?;
            match &mut room {
                Some(room) => room.merge(more),
                None => room = Some(more),
            }
            bytes.extend_from_slice(&data);
        }
        Ok(Self {
            bytes: bytes.freeze(),
            _room: room,
        })
    }
}

/// Reads an object. A list with its members in their order would do for serde, and means nothing here.
fn json<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Problem> {
    if bytes.trim_ascii_start().starts_with(b"[") {
        return Err(Problem::violation(
            INPUT,
            "",
            Code::WrongType,
            "must be an object",
        ));
    }
    objects::read(bytes).map_err(|error| {
        let code = match error.classify() {
            serde_json::error::Category::Data => Code::Invalid,
            _ => Code::Malformed,
        };
        Problem::violation(INPUT, "", code, error.to_string())
    })
}

/// The media type of the body, as one of `known`; `None` when the request does not say.
fn media_type(headers: &HeaderMap, known: &'static [&'static str]) -> Result<Option<&'static str>, Problem> {
    let Some(value) = headers.get(CONTENT_TYPE) else {
        return Ok(None);
    };
    let value = value.to_str().unwrap_or_default();
    let essence = value.split(';').next().unwrap_or_default().trim();
    let found = known
        .iter()
        .copied()
        .find(|known| essence.eq_ignore_ascii_case(known));
    found.map(Some).ok_or(Problem::MediaType(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(value: &str) -> HeaderMap {
        HeaderMap::from_iter([(CONTENT_TYPE, value.parse().unwrap())])
    }

    async fn manifests(headers: HeaderMap, body: impl Into<Body>) -> Result<Manifests, Problem> {
        Manifests::receive(&Admission::new(), &headers, body.into()).await
    }

    #[tokio::test]
    async fn the_media_type_says_how_manifests_are_read() {
        for (written, format) in [
            ("application/json", Format::Json),
            ("Application/JSON; charset=utf-8", Format::Json),
            ("application/yaml", Format::Yaml),
            ("text/x-yaml;q=1", Format::Yaml),
        ] {
            assert_eq!(
                manifests(typed(written), "").await.unwrap().format,
                format,
                "{written}"
            );
        }
        assert_eq!(
            manifests(HeaderMap::new(), "").await.unwrap().format,
            Format::Auto
        );
        let refused = manifests(typed("application/x-www-form-urlencoded"), "").await;
        assert!(matches!(refused, Err(Problem::MediaType(_))));
    }

    #[test]
    fn a_list_is_no_object() {
        let read = |text: &'static str| json::<(u8, u8)>(text.as_bytes());
        assert!(matches!(read(" [1, 2]"), Err(Problem::Violations(_))));
        assert!(json::<Value>(b" {}").is_ok());
    }

    #[tokio::test]
    async fn a_body_that_is_too_long_is_refused_whether_it_says_so_or_not() {
        let said = HeaderMap::from_iter([(CONTENT_LENGTH, (MAX_BODY + 1).into())]);
        assert!(matches!(manifests(said, "").await, Err(Problem::TooLarge(_))));
        let silent = manifests(HeaderMap::new(), vec![b' '; MAX_BODY + 1]).await;
        assert!(matches!(silent, Err(Problem::TooLarge(_))));
    }

    #[tokio::test]
    async fn room_for_a_body_is_given_back_with_it() {
        let admission = Admission::new();
        let half = Manifests::receive(&admission, &HeaderMap::new(), vec![b' '; MAX_BODY].into())
            .await
            .unwrap();
        let rest = admission.body(3 * MAX_BODY).unwrap();
        let refused = Manifests::receive(&admission, &HeaderMap::new(), "a".into()).await;
        assert!(matches!(refused, Err(Problem::Busy)));
        drop((half, rest));
        assert!(admission.body(4 * MAX_BODY).is_ok());
    }
}
