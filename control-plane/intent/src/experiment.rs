//! `Experiment`: a sticky A/B split over one or more routes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::backend_ref::BackendRef;
use crate::names::{ApiGroup, ApiKind, ObjectName, SectionName, Token, VariantName};
use crate::share::Share;

/// A sticky A/B split: the same unit always sees the same variant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExperimentSpec {
    /// The routes, or single rules of them, whose requests take part.
    #[schemars(length(min = 1, max = 16))]
    pub target_refs: Vec<TargetRef>,
    /// What the split is sticky to.
    pub unit: Unit,
    /// The variants, each of another name; their shares add up to 100.
    #[schemars(length(min = 1, max = 32))]
    pub variants: Vec<Variant>,
    /// How testers choose their variant.
    #[serde(rename = "override", skip_serializing_if = "Option::is_none")]
    pub override_by: Option<Override>,
    /// Header that tells the upstream the variant's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream_header: Option<Token>,
}

/// What a resource is attached to, or one of its sections: rules of a route, listeners of a Gateway.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TargetRef {
    /// API group; that of the kind when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<ApiGroup>,
    /// Kind.
    pub kind: ApiKind,
    /// Name, in the same namespace.
    pub name: ObjectName,
    /// Name of the section; every one when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub section_name: Option<SectionName>,
}

/// What an experiment is sticky to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "UnitFields", into = "UnitFields")]
#[schemars(rename = "ExperimentUnit")]
pub enum Unit {
    /// Value of this cookie; one is issued to clients without.
    Cookie(Token),
    /// Value of this header.
    Header(Token),
    /// Value of this query parameter.
    QueryParam(Token),
    /// The client's IP address.
    ClientIp,
}

/// One variant of an experiment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Variant {
    /// Name of the variant, unique within its experiment.
    pub name: VariantName,
    /// Part of the units in percent, with at most two decimals.
    pub share: Share,
    /// Where requests of the variant go.
    #[schemars(length(min = 1, max = 16))]
    pub backend_refs: Vec<BackendRef>,
}

/// How testers choose their variant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Override {
    /// Request header whose value is the name of the variant.
    pub header: Token,
}

/// Not exactly one source of the unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must have exactly one of `cookie`, `header`, `queryParam` and `clientIP`")]
pub struct UnitError;

/// A unit as it is written: exactly one of the fields.
#[derive(Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("minProperties" = 1, "maxProperties" = 1))]
#[schemars(extend("x-sluice-unsupported" = ["jwtClaim"]))]
struct UnitFields {
    /// Name of a cookie; it is issued to clients that come without.
    #[serde(skip_serializing_if = "Option::is_none")]
    cookie: Option<Token>,
    /// Name of a request header.
    #[serde(skip_serializing_if = "Option::is_none")]
    header: Option<Token>,
    /// Name of a query parameter.
    #[serde(skip_serializing_if = "Option::is_none")]
    query_param: Option<Token>,
    /// The client's IP address: `{}`.
    #[serde(rename = "clientIP", skip_serializing_if = "Option::is_none")]
    client_ip: Option<ClientIp>,
}

/// Nothing to set.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
struct ClientIp {}

impl TryFrom<UnitFields> for Unit {
    type Error = UnitError;

    fn try_from(fields: UnitFields) -> Result<Self, UnitError> {
        match (fields.cookie, fields.header, fields.query_param, fields.client_ip) {
            (Some(name), None, None, None) => Ok(Self::Cookie(name)),
            (None, Some(name), None, None) => Ok(Self::Header(name)),
            (None, None, Some(name), None) => Ok(Self::QueryParam(name)),
            (None, None, None, Some(ClientIp {})) => Ok(Self::ClientIp),
            _ => Err(UnitError),
        }
    }
}

impl From<Unit> for UnitFields {
    fn from(unit: Unit) -> Self {
        match unit {
            Unit::Cookie(name) => Self {
                cookie: Some(name),
                ..Self::default()
            },
            Unit::Header(name) => Self {
                header: Some(name),
                ..Self::default()
            },
            Unit::QueryParam(name) => Self {
                query_param: Some(name),
                ..Self::default()
            },
            Unit::ClientIp => Self {
                client_ip: Some(ClientIp {}),
                ..Self::default()
            },
        }
    }
}
