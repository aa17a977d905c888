//! Filters of an HTTPRoute: what is changed on the way.
//!
//! In a manifest a filter is a `type` and one field of that type. Here it is an enum:
//! the schema walk sees to it that the two agree, and says where they do not.

mod written;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::written::{FilterFields, PathModifierFields};
use crate::backend_ref::BackendObjectRef;
use crate::names::{AbsolutePath, CorsOrigin, FieldValue, Hostname, PrefixReplacement, Token};

/// One change to a request or its response.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "FilterFields", into = "FilterFields")]
pub enum Filter {
    /// Changes headers of the request on its way to the backend.
    RequestHeaderModifier(HeaderModifier),
    /// Changes headers of the response on its way to the client.
    ResponseHeaderModifier(HeaderModifier),
    /// Answers with a redirect.
    RequestRedirect(RequestRedirect),
    /// Changes host or path of the request on its way to the backend.
    UrlRewrite(UrlRewrite),
    /// Sends a copy of requests elsewhere and ignores the answer.
    RequestMirror(RequestMirror),
    /// Says what pages of other origins may do.
    Cors(Cors),
}

/// Which change a filter makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-sluice-unsupported" = ["ExternalAuth", "ExtensionRef"]))]
pub enum FilterType {
    /// Changes headers of the request on its way to the backend.
    RequestHeaderModifier,
    /// Changes headers of the response on its way to the client.
    ResponseHeaderModifier,
    /// Answers with a redirect.
    RequestRedirect,
    /// Changes host or path of the request on its way to the backend.
    #[serde(rename = "URLRewrite")]
    UrlRewrite,
    /// Sends a copy of requests elsewhere and ignores the answer.
    RequestMirror,
    /// Says what pages of other origins may do.
    #[serde(rename = "CORS")]
    Cors,
}

/// Headers to set, add and remove, in this order; names are case-insensitive.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HeaderModifier {
    /// Headers that get exactly this value, in place of any they have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub set: Vec<HttpHeader>,
    /// Headers that get this value after any they have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub add: Vec<HttpHeader>,
    /// Headers that are taken out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub remove: Vec<Token>,
}

/// A header and its value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "HTTPHeader")]
pub struct HttpHeader {
    /// Name, case-insensitive.
    pub name: Token,
    /// Value.
    pub value: FieldValue,
}

/// Where a redirect leads; what is left out stays as the request has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RequestRedirect {
    /// Scheme of the new location.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheme: Option<Scheme>,
    /// Host of the new location.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<Hostname>,
    /// Path of the new location.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathModifier>,
    /// Port of the new location, 1 to 65535; that of the scheme or the listener when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub port: Option<u16>,
    /// Status of the answer; 302 when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status_code: Option<RedirectStatus>,
}

/// Scheme of a redirect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    /// Without TLS.
    Http,
    /// With TLS.
    Https,
}

/// Status of a redirect: 301, 302, 303, 307 or 308.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "u16", into = "u16")]
#[schemars(extend("enum" = [301, 302, 303, 307, 308]))]
pub enum RedirectStatus {
    /// 301, cacheable; clients may turn POST into GET.
    MovedPermanently = 301,
    /// 302; clients may turn POST into GET.
    #[default]
    Found = 302,
    /// 303; clients use GET.
    SeeOther = 303,
    /// 307; clients keep the method.
    TemporaryRedirect = 307,
    /// 308, cacheable; clients keep the method.
    PermanentRedirect = 308,
}

/// Host and path for the backend; what is left out stays as the request has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UrlRewrite {
    /// Value of the Host header.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<Hostname>,
    /// Path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathModifier>,
}

/// A copy of requests, whose answer is ignored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "HTTPRequestMirrorFilter")]
pub struct RequestMirror {
    /// Where the copies go.
    pub backend_ref: BackendObjectRef,
    /// How many of 100 requests are copied; all of them when neither this nor `fraction` is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 100))]
    pub percent: Option<u8>,
    /// Which part of the requests is copied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fraction: Option<Fraction>,
}

/// A part of a whole, at most all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Fraction {
    /// How many.
    #[schemars(range(max = 2_147_483_647))]
    pub numerator: u32,
    /// Of how many, 1 or more; 100 when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 2_147_483_647))]
    pub denominator: Option<u32>,
}

/// What pages of other origins may do (Fetch standard, CORS protocol).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "HTTPCORSFilter")]
pub struct Cors {
    /// Origins that may; `*` is every one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub allow_origins: Vec<CorsOrigin>,
    /// Whether requests may carry cookies and the like; not when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_credentials: Option<bool>,
    /// Methods besides GET, HEAD and POST; `*` is every one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 9))]
    pub allow_methods: Vec<Token>,
    /// Request headers besides those that need no leave; `*` is every one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub allow_headers: Vec<Token>,
    /// Response headers that pages may read; `*` is every one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub expose_headers: Vec<Token>,
    /// Seconds for which a browser may keep the answer to a preflight; 5 when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 2_147_483_647))]
    pub max_age: Option<u32>,
}

/// What takes the place of a path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "PathModifierFields", into = "PathModifierFields")]
pub enum PathModifier {
    /// This path instead of the whole.
    ReplaceFullPath(AbsolutePath),
    /// This instead of the prefix that matched.
    ReplacePrefixMatch(PrefixReplacement),
}

impl Filter {
    /// The `type` of the filter.
    pub const fn filter_type(&self) -> FilterType {
        match self {
            Self::RequestHeaderModifier(_) => FilterType::RequestHeaderModifier,
            Self::ResponseHeaderModifier(_) => FilterType::ResponseHeaderModifier,
            Self::RequestRedirect(_) => FilterType::RequestRedirect,
            Self::UrlRewrite(_) => FilterType::UrlRewrite,
            Self::RequestMirror(_) => FilterType::RequestMirror,
            Self::Cors(_) => FilterType::Cors,
        }
    }

    /// The filter's change to the path, if it makes one.
    pub const fn path(&self) -> Option<&PathModifier> {
        match self {
            Self::RequestRedirect(redirect) => redirect.path.as_ref(),
            Self::UrlRewrite(rewrite) => rewrite.path.as_ref(),
            Self::RequestHeaderModifier(_)
            | Self::ResponseHeaderModifier(_)
            | Self::RequestMirror(_)
            | Self::Cors(_) => None,
        }
    }
}

impl Fraction {
    /// Of how many, with the default of 100 filled in.
    pub fn denominator(self) -> u32 {
        self.denominator.unwrap_or(100)
    }
}

impl FilterType {
    /// The value of `type` in a manifest.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RequestHeaderModifier => "RequestHeaderModifier",
            Self::ResponseHeaderModifier => "ResponseHeaderModifier",
            Self::RequestRedirect => "RequestRedirect",
            Self::UrlRewrite => "URLRewrite",
            Self::RequestMirror => "RequestMirror",
            Self::Cors => "CORS",
        }
    }

    /// The field of a manifest that goes with the type.
    pub const fn field(self) -> &'static str {
        match self {
            Self::RequestHeaderModifier => "requestHeaderModifier",
            Self::ResponseHeaderModifier => "responseHeaderModifier",
            Self::RequestRedirect => "requestRedirect",
            Self::UrlRewrite => "urlRewrite",
            Self::RequestMirror => "requestMirror",
            Self::Cors => "cors",
        }
    }
}

impl RedirectStatus {
    /// The status as a number.
    pub const fn code(self) -> u16 {
        self as u16
    }
}

/// A union's `type` without its field, with a foreign one, or a status that is no redirect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// `type` and the field beside it do not agree.
    #[error("`type` and the field beside it do not agree")]
    Union,
    /// Not one of the redirect statuses.
    #[error("must be 301, 302, 303, 307 or 308")]
    Status,
}

impl TryFrom<u16> for RedirectStatus {
    type Error = FilterError;

    fn try_from(code: u16) -> Result<Self, FilterError> {
        match code {
            301 => Ok(Self::MovedPermanently),
            302 => Ok(Self::Found),
            303 => Ok(Self::SeeOther),
            307 => Ok(Self::TemporaryRedirect),
            308 => Ok(Self::PermanentRedirect),
            _ => Err(FilterError::Status),
        }
    }
}

impl From<RedirectStatus> for u16 {
    fn from(status: RedirectStatus) -> Self {
        status.code()
    }
}
