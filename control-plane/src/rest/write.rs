//! What all writes share: their parameters, their preconditions, the receipt they may wait for.

use std::sync::Arc;

use http::header::{ETAG, IF_MATCH, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue};
use schemars::JsonSchema;
use serde::Serialize;
use sluice_model::Revision;

use super::Api;
use super::access::Caller;
use super::answer::Answer;
use super::content::Json;
use super::problem::{Problem, ViolationDetails};
use super::query::{self, Fields, Parameter, ParameterError, Query};
use super::receipts::Patience;
use crate::clock;
use crate::compile::DanglingRefs;
use crate::fleet::Receipt;
use crate::live::{ChangeReport, Precondition, Wish, WriteRequest, Written};

/// Longest idempotency key, in bytes.
const MAX_KEY: usize = 200;
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// The parameters of every write.
#[derive(Debug)]
pub(super) struct WriteQuery {
    pub(super) dry_run: bool,
    pub(super) dangling: DanglingRefs,
    pub(super) message: String,
    pub(super) patience: Option<Patience>,
}

impl Query for WriteQuery {
    const PARAMETERS: &'static [Parameter] = &[
        Parameter::DryRun,
        Parameter::DanglingRefs,
        Parameter::Message,
        Parameter::Wait,
        Parameter::Quorum,
    ];

    fn read(fields: &Fields) -> Result<Self, Problem> {
        Ok(Self {
            dry_run: fields.get(Parameter::DryRun, query::boolean)?.unwrap_or_default(),
            dangling: fields.get(Parameter::DanglingRefs, dangling)?.unwrap_or_default(),
            message: fields
                .get(Parameter::Message, query::message)?
                .unwrap_or_default(),
            patience: Patience::read(fields)?,
        })
    }
}

pub(super) fn dangling(text: &str) -> Result<DanglingRefs, ParameterError> {
    match text {
        "refuse" => Ok(DanglingRefs::Refuse),
        "warn" => Ok(DanglingRefs::Warn),
        _ => Err(ParameterError::DanglingRefs),
    }
}

/// The answer to a write.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Applied {
    /// The revision that holds the change; the newest one when nothing changed. Of a dry run, the
    /// one that it would be.
    revision: u64,
    /// What happened to each resource.
    changes: Vec<ChangeReport>,
    /// What is allowed but probably not meant.
    warnings: Vec<ViolationDetails>,
    /// With `wait`: who runs it by then.
    #[serde(skip_serializing_if = "Option::is_none")]
    receipt: Option<Receipt>,
}

/// Makes a write, and waits for its receipt if asked to.
pub(super) async fn write(
    api: &Arc<Api>,
    caller: &Caller,
    headers: &HeaderMap,
    query: WriteQuery,
    base: Option<Revision>,
    wish: Wish,
) -> Result<Applied, Problem> {
    let patience = query.patience.filter(|_| !query.dry_run);
    let request = WriteRequest {
        wish,
        dry_run: query.dry_run,
        dangling: query.dangling,
        base,
        author: caller.name.to_string(),
        scope: caller.scope.clone(),
        message: query.message,
        idempotency_key: idempotency_key(headers, caller)?,
    };
    let dry_run = request.dry_run;
    let room = api.admission.write()?;
    let written = api.live.write(request).await.map_err(Problem::from);
    drop(room);
    let Written {
        revision,
        changes,
        warnings,
    } = audited(api, caller, dry_run, written).await?;
    if !dry_run {
        tracing::info!(%revision, author = %caller.name, resources = changes.len(), "write answered");
    }
    let receipt = match patience {
        Some(patience) => Some(patience.wait(api, revision).await?),
        None => None,
    };
    let warnings = warnings.into_iter().map(Into::into).collect();
    Ok(Applied {
        revision: revision.0,
        changes,
        warnings,
        receipt,
    })
}

/// Leaves a line in the audit trail when a write is refused for what it says.
pub(super) async fn audited<T>(
    api: &Api,
    caller: &Caller,
    dry_run: bool,
    result: Result<T, Problem>,
) -> Result<T, Problem> {
    if !dry_run
        && let Some(detail) = result.as_ref().err().and_then(Problem::refusal)
        && let Err(error) = api
            .store
            .record_refusal(clock::wall(), &caller.name, &detail)
            .await
    {
        tracing::warn!(%error, "a refusal is not in the audit trail");
    }
    result
}

impl Applied {
    /// Whether the first resource is new.
    pub(super) fn is_created(&self) -> bool {
        self.changes
            .first()
            .is_some_and(|change| change.action == "created")
    }

    /// The answer of an operation on one resource, with the tag of what it is now.
    pub(super) fn tagged(self, now: Option<Revision>) -> Answer<Json<Self>> {
        let answer = Answer::from(self);
        match now.and_then(etag) {
            Some(tag) => answer.header(ETAG, tag),
            None => answer,
        }
    }
}

/// Keys are the client's own: another token with the same key means another write.
fn idempotency_key(headers: &HeaderMap, caller: &Caller) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get(IDEMPOTENCY_KEY) else {
        return Ok(None);
    };
    let key = value
        .to_str()
        .ok()
        .filter(|key| (1..=MAX_KEY).contains(&key.len()));
    let key = key.ok_or(Problem::Header {
        name: IDEMPOTENCY_KEY,
        rule: "1 to 200 printable ASCII characters",
    })?;
    Ok(Some(format!("{}/{key}", caller.token)))
}

/// The entity tag of content from `revision`.
pub(super) fn etag(revision: Revision) -> Option<HeaderValue> {
    HeaderValue::try_from(format!("\"{revision}\"")).ok()
}

/// What `If-Match` and `If-None-Match` ask for (RFC 9110 section 13.1).
pub(super) fn precondition(headers: &HeaderMap) -> Result<Precondition, Problem> {
    let text = |name: http::HeaderName| {
        headers
            .get(name)
            .map(|value| value.to_str().unwrap_or_default().trim())
    };
    match (text(IF_MATCH), text(IF_NONE_MATCH)) {
        (None, None) => Ok(Precondition::None),
        (Some("*"), None) => Ok(Precondition::Exists),
        (None, Some("*")) => Ok(Precondition::Absent),
        (Some(tags), None) => {
            let rule = "`*`, or entity tags such as \"42\"";
            let wrong = || Problem::Header {
                name: "if-match",
                rule,
            };
            // A tag that is not one of ours is a tag all the same; it matches nothing.
            let tags = tags
                .split(',')
                .map(|tag| tag_revision(tag.trim()))
                .collect::<Option<Vec<_>>>();
            tags.map(|tags| Precondition::OneOf(tags.into_iter().flatten().collect()))
                .ok_or_else(wrong)
        }
        (None, Some(_)) => Err(Problem::Header {
            name: "if-none-match",
            rule: "`*`",
        }),
        (Some(_), Some(_)) => Err(Problem::Header {
            name: "if-none-match",
            rule: "left out beside If-Match",
        }),
    }
}

/// The revision in a tag; nothing for tags of others, which include weak ones: they never match
/// strongly (RFC 9110 section 8.8.3.2). `None` for what is no tag.
fn tag_revision(tag: &str) -> Option<Option<Revision>> {
    let opaque = tag
        .strip_prefix("W/")
        .unwrap_or(tag)
        .strip_prefix('"')?
        .strip_suffix('"')?;
    let ours =
        !tag.starts_with("W/") && !opaque.is_empty() && opaque.bytes().all(|byte| byte.is_ascii_digit());
    Some(ours.then(|| opaque.parse().ok().map(Revision)).flatten())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(http::HeaderName::from_static(name), value.parse().unwrap())])
    }

    #[test]
    fn preconditions_are_read_as_http_has_them() {
        let one_of =
            |revisions: &[u64]| Precondition::OneOf(revisions.iter().copied().map(Revision).collect());
        for (name, value, expected) in [
            ("if-match", "*", Precondition::Exists),
            ("if-none-match", "*", Precondition::Absent),
            ("if-match", "\"42\"", one_of(&[42])),
            ("if-match", "\"1\", \"2\"", one_of(&[1, 2])),
            ("if-match", "W/\"42\"", one_of(&[])),
            ("if-match", "\"abc\"", one_of(&[])),
        ] {
            assert_eq!(
                precondition(&headers(name, value)).unwrap(),
                expected,
                "{name}: {value}"
            );
        }
        assert_eq!(precondition(&HeaderMap::new()).unwrap(), Precondition::None);
        for (name, value) in [("if-match", "42"), ("if-match", ""), ("if-none-match", "\"1\"")] {
            assert!(precondition(&headers(name, value)).is_err(), "{name}: {value}");
        }
    }

    #[test]
    fn an_idempotency_key_is_the_tokens_own() {
        let caller = Caller {
            token: "t1".into(),
            ..Caller::nobody()
        };
        let key = |value: &str| idempotency_key(&headers(IDEMPOTENCY_KEY, value), &caller);
        assert_eq!(key("abc").unwrap().as_deref(), Some("t1/abc"));
        assert!(key("").is_err());
        assert!(key(&"k".repeat(MAX_KEY + 1)).is_err());
        assert_eq!(idempotency_key(&HeaderMap::new(), &caller).unwrap(), None);
    }
}
