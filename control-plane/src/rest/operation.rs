//! One operation: a method of a path, what it takes and answers, and the function behind it. The
//! function's own types say what is read, checked and documented, so the three cannot disagree.

use std::sync::Arc;

use axum::extract::{FromRequestParts as _, RawPathParams, Request, State};
use axum::response::IntoResponse as _;
use axum::routing::{MethodFilter, MethodRouter, on};
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use schemars::{Schema, SchemaGenerator};
use sluice_intent::{Kind, Namespace, ObjectName, ResourceId};
use sluice_model::Revision;

use super::Api;
use super::access::Caller;
use super::answer::{Answer, Representation};
use super::content::Content;
use super::problem::{Missing, Problem};
use super::query::{Fields, Parameter, Query};
use super::write::audited;

/// A method of a path.
pub(super) struct Operation {
    pub(super) method: Method,
    pub(super) path: &'static str,
    /// Its name in the OpenAPI document.
    pub(super) id: &'static str,
    /// What is done, in one line.
    pub(super) summary: &'static str,
    pub(super) access: Access,
    pub(super) parameters: &'static [Parameter],
    pub(super) content: Described,
    pub(super) answer: Described,
    pub(super) status: StatusCode,
    pub(super) service: MethodRouter<Arc<Api>>,
}

/// For whom an operation is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// For everybody.
    Open,
    /// For whoever has a token; what it allows is asked where it is known what is wanted.
    Token,
    /// For whoever has a token that may do everything.
    Unlimited,
}

/// The methods in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Get,
    Put,
    Post,
    Patch,
    Delete,
}

/// Media types and schema of a body.
pub(super) struct Described {
    pub(super) media_types: Vec<&'static str>,
    pub(super) optional: bool,
    pub(super) schema: fn(&mut SchemaGenerator) -> Option<Schema>,
}

/// One request to an operation, read and let in.
pub(super) struct Call<Q = (), B = ()> {
    pub(super) api: Arc<Api>,
    /// Who asks; nobody in particular where no token is needed.
    pub(super) caller: Caller,
    pub(super) path: Segments,
    pub(super) headers: HeaderMap,
    pub(super) query: Q,
    pub(super) content: B,
}

/// What is done for everybody lies outside; all that lies under it needs a token.
const GUARDED: &str = "/v1/";

/// What does an operation.
pub(super) trait Handle<Q, B, T>: Clone + Send + Sync + 'static {
    /// Answers one request.
    fn handle(self, call: Call<Q, B>) -> impl Future<Output = Result<Answer<T>, Problem>> + Send;
}

impl<Q, B, T, F, A> Handle<Q, B, T> for F
where
    F: Fn(Call<Q, B>) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Result<Answer<T>, Problem>> + Send,
{
    fn handle(self, call: Call<Q, B>) -> impl Future<Output = Result<Answer<T>, Problem>> + Send {
        self(call)
    }
}

impl Operation {
    /// The operation that `handle` does.
    pub(super) fn new<Q: Query + 'static, B: Content + 'static, T: Representation + 'static>(
        method: Method,
        path: &'static str,
        id: &'static str,
        summary: &'static str,
        handle: impl Handle<Q, B, T>,
    ) -> Self {
        let access = if path.starts_with(GUARDED) {
            Access::Token
        } else {
            Access::Open
        };
        Self::of(access, method, path, (id, summary), handle)
    }

    /// The same, for those alone who may do everything.
    pub(super) fn unlimited<Q: Query + 'static, B: Content + 'static, T: Representation + 'static>(
        method: Method,
        path: &'static str,
        id: &'static str,
        summary: &'static str,
        handle: impl Handle<Q, B, T>,
    ) -> Self {
        Self::of(Access::Unlimited, method, path, (id, summary), handle)
    }

    /// The same, answered with this status when all went well.
    pub(super) fn answering(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    fn of<Q: Query + 'static, B: Content + 'static, T: Representation + 'static>(
        access: Access,
        method: Method,
        path: &'static str,
        (id, summary): (&'static str, &'static str),
        handle: impl Handle<Q, B, T>,
    ) -> Self {
        let serve = move |State(api): State<Arc<Api>>, request: Request| {
            let handle = handle.clone();
            async move {
                let answer = match Call::read(Arc::clone(&api), request, access).await {
                    Ok(call) => handle.handle(call).await,
                    Err(problem) => Err(problem),
                };
                let response = answer.map_or_else(Problem::into_response, Answer::into_response);
                api.metrics.answered(method.as_str(), path, response.status());
                response
            }
        };
        Self {
            method,
            path,
            id,
            summary,
            access,
            parameters: Q::PARAMETERS,
            content: Described {
                media_types: B::MEDIA_TYPES.into(),
                optional: B::OPTIONAL,
                schema: B::schema,
            },
            answer: Described {
                media_types: Vec::from_iter(T::MEDIA_TYPE),
                optional: false,
                schema: T::schema,
            },
            status: T::STATUS,
            service: on(method.filter(), serve),
        }
    }
}

impl<Q, B> Call<Q, B> {
    /// What matters to whom path and headers say nothing.
    pub(super) fn into_parts(self) -> (Arc<Api>, Caller, Q, B) {
        (self.api, self.caller, self.query, self.content)
    }
}

impl<Q: Query, B: Content> Call<Q, B> {
    /// Who asks comes first: strangers learn nothing, and no body of theirs is read.
    async fn read(api: Arc<Api>, request: Request, access: Access) -> Result<Self, Problem> {
        let (mut parts, body) = request.into_parts();
        let caller = match access {
            Access::Open => Caller::nobody(),
            Access::Token | Access::Unlimited => api.gatekeeper.admit(&parts.headers).await?,
        };
        if access == Access::Unlimited {
            let permitted = caller.must_be_unlimited().map_err(Problem::from);
            // What only reads leaves no trace.
            audited(&api, &caller, parts.method.is_safe(), permitted).await?;
        }
        let path = Segments::of(&mut parts).await?;
        let fields = Fields::split(parts.uri.query(), Q::PARAMETERS)?;
        let query = Q::read(&fields)?;
        let content = B::receive(&api.admission, &parts.headers, body).await?;
        Ok(Self {
            api,
            caller,
            path,
            headers: parts.headers,
            query,
            content,
        })
    }
}

/// What stands in the variable places of a path, decoded.
#[derive(Debug)]
pub(super) struct Segments(Vec<(String, String)>);

impl Segments {
    async fn of(parts: &mut Parts) -> Result<Self, Problem> {
        let segments = RawPathParams::from_request_parts(parts, &()).await;
        // Only what is not UTF-8 is refused, and no name is that.
        let segments = segments.map_err(|_| Missing::Path)?;
        Ok(Self(
            segments
                .iter()
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        ))
    }

    /// The segment in the place of `{name}`.
    pub(super) fn get(&self, name: &str) -> &str {
        self.0
            .iter()
            .find(|(known, _)| known == name)
            .map_or("", |(_, value)| value)
    }

    pub(super) fn kind(&self) -> Result<Kind, Missing> {
        let plural = self.get("plural");
        Kind::by_plural(plural).ok_or_else(|| Missing::Plural(plural.chars().take(100).collect()))
    }

    /// The namespace; `None` is all of them.
    pub(super) fn namespace(&self) -> Result<Option<Namespace>, Missing> {
        match self.get("namespace") {
            "-" => Ok(None),
            name => name.parse().map(Some).map_err(|_| Missing::Path),
        }
    }

    /// The resource that `{namespace}/{plural}/{name}` names.
    pub(super) fn resource(&self) -> Result<ResourceId, Missing> {
        let kind = self.kind()?;
        let namespace = self.namespace()?.ok_or(Missing::Path)?;
        let name: ObjectName = self.get("name").parse().map_err(|_| Missing::Path)?;
        Ok(ResourceId {
            kind,
            namespace,
            name,
        })
    }

    pub(super) fn revision(&self) -> Result<Revision, Missing> {
        self.get("revision")
            .parse()
            .map(Revision)
            .map_err(|_| Missing::Path)
    }
}

impl Method {
    const fn filter(self) -> MethodFilter {
        match self {
            // HEAD comes with GET.
            Self::Get => MethodFilter::GET,
            Self::Put => MethodFilter::PUT,
            Self::Post => MethodFilter::POST,
            Self::Patch => MethodFilter::PATCH,
            Self::Delete => MethodFilter::DELETE,
        }
    }

    /// The name of the member of an OpenAPI path item.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Put => "put",
            Self::Post => "post",
            Self::Patch => "patch",
            Self::Delete => "delete",
        }
    }
}
