//! How filters are written: a `type` and one field of that type.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Cors, Filter, FilterError, FilterType, HeaderModifier, PathModifier, RequestMirror, RequestRedirect,
    UrlRewrite,
};
use crate::names::{AbsolutePath, PrefixReplacement};

/// A filter as it is written.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-sluice-unsupported" = ["externalAuth", "extensionRef"]))]
#[schemars(extend("x-sluice-union" = {
    "RequestHeaderModifier": "requestHeaderModifier",
    "ResponseHeaderModifier": "responseHeaderModifier",
    "RequestRedirect": "requestRedirect",
    "URLRewrite": "urlRewrite",
    "RequestMirror": "requestMirror",
    "CORS": "cors"
}))]
pub(super) struct FilterFields {
    /// Which of the other fields is set.
    #[serde(rename = "type")]
    filter_type: FilterType,
    /// Changes to the request's headers.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_header_modifier: Option<HeaderModifier>,
    /// Changes to the response's headers.
    #[serde(skip_serializing_if = "Option::is_none")]
    response_header_modifier: Option<HeaderModifier>,
    /// Where to redirect to.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_redirect: Option<RequestRedirect>,
    /// Changes to host and path.
    #[serde(skip_serializing_if = "Option::is_none")]
    url_rewrite: Option<UrlRewrite>,
    /// Where copies of requests go.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_mirror: Option<RequestMirror>,
    /// What pages of other origins may do.
    #[serde(skip_serializing_if = "Option::is_none")]
    cors: Option<Cors>,
}

/// A path modifier as it is written.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-sluice-union" =
    {"ReplaceFullPath": "replaceFullPath", "ReplacePrefixMatch": "replacePrefixMatch"}))]
pub(super) struct PathModifierFields {
    /// Which of the other fields is set.
    #[serde(rename = "type")]
    modifier_type: PathModifierType,
    /// Path instead of the whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    replace_full_path: Option<AbsolutePath>,
    /// Path instead of the prefix that matched.
    #[serde(skip_serializing_if = "Option::is_none")]
    replace_prefix_match: Option<PrefixReplacement>,
}

/// The `type` of a path modifier.
#[derive(Clone, Copy, Serialize, Deserialize, JsonSchema)]
enum PathModifierType {
    /// The whole path is replaced.
    ReplaceFullPath,
    /// The prefix that matched is replaced.
    ReplacePrefixMatch,
}

impl TryFrom<FilterFields> for Filter {
    type Error = FilterError;

    fn try_from(fields: FilterFields) -> Result<Self, FilterError> {
        let others = [
            fields.request_header_modifier.is_some(),
            fields.response_header_modifier.is_some(),
            fields.request_redirect.is_some(),
            fields.url_rewrite.is_some(),
            fields.request_mirror.is_some(),
            fields.cors.is_some(),
        ];
        if others.into_iter().filter(|is_there| *is_there).count() != 1 {
            return Err(FilterError::Union);
        }
        let filter = match fields.filter_type {
            FilterType::RequestHeaderModifier => {
                fields.request_header_modifier.map(Self::RequestHeaderModifier)
            }
            FilterType::ResponseHeaderModifier => {
                fields.response_header_modifier.map(Self::ResponseHeaderModifier)
            }
            FilterType::RequestRedirect => fields.request_redirect.map(Self::RequestRedirect),
            FilterType::UrlRewrite => fields.url_rewrite.map(Self::UrlRewrite),
            FilterType::RequestMirror => fields.request_mirror.map(Self::RequestMirror),
            FilterType::Cors => fields.cors.map(Self::Cors),
        };
        filter.ok_or(FilterError::Union)
    }
}

impl From<Filter> for FilterFields {
    fn from(filter: Filter) -> Self {
        let mut fields = Self {
            filter_type: filter.filter_type(),
            request_header_modifier: None,
            response_header_modifier: None,
            request_redirect: None,
            url_rewrite: None,
            request_mirror: None,
            cors: None,
        };
        match filter {
            Filter::RequestHeaderModifier(edit) => fields.request_header_modifier = Some(edit),
            Filter::ResponseHeaderModifier(edit) => fields.response_header_modifier = Some(edit),
            Filter::RequestRedirect(redirect) => fields.request_redirect = Some(redirect),
            Filter::UrlRewrite(rewrite) => fields.url_rewrite = Some(rewrite),
            Filter::RequestMirror(mirror) => fields.request_mirror = Some(mirror),
            Filter::Cors(cors) => fields.cors = Some(cors),
        }
        fields
    }
}

impl TryFrom<PathModifierFields> for PathModifier {
    type Error = FilterError;

    fn try_from(fields: PathModifierFields) -> Result<Self, FilterError> {
        match (
            fields.modifier_type,
            fields.replace_full_path,
            fields.replace_prefix_match,
        ) {
            (PathModifierType::ReplaceFullPath, Some(path), None) => Ok(Self::ReplaceFullPath(path)),
            (PathModifierType::ReplacePrefixMatch, None, Some(path)) => Ok(Self::ReplacePrefixMatch(path)),
            _ => Err(FilterError::Union),
        }
    }
}

impl From<PathModifier> for PathModifierFields {
    fn from(modifier: PathModifier) -> Self {
        let (modifier_type, replace_full_path, replace_prefix_match) = match modifier {
            PathModifier::ReplaceFullPath(path) => (PathModifierType::ReplaceFullPath, Some(path), None),
            PathModifier::ReplacePrefixMatch(path) => {
                (PathModifierType::ReplacePrefixMatch, None, Some(path))
            }
        };
        Self {
            modifier_type,
            replace_full_path,
            replace_prefix_match,
        }
    }
}
