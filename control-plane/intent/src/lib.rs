//! What Sluice users write: kinds and their schema, and the road from bytes to
//! [`Resource`]s, on which every violation is found at once.
//!
//! Nothing here does IO or looks at a clock, and nothing looks beyond a single
//! resource: whether references lead anywhere is the compiler's to say.
//!
//! ```
//! use sluice_intent::{Format, parse};
//!
//! let manifest = b"
//! apiVersion: sluice.dev/v1
//! kind: Backend
//! metadata: {name: web}
//! spec:
//!   endpoint: []
//!   endpoints: [{address: 10.0.0.1, port: '80'}]
//! ";
//! let told = parse(manifest, Format::Auto, "default").unwrap_err();
//! let fields: Vec<_> = told.iter().map(|violation| violation.field.as_str()).collect();
//! assert_eq!(fields, ["spec.endpoint", "spec.endpoints[0].port"]);
//! ```

mod backend;
mod backend_ref;
mod carried_age;
mod carried_slots;
mod config_map;
mod discovery;
mod duration;
mod experiment;
mod filter;
mod gateway;
mod grammar;
mod httproute;
mod kind;
mod lint_policy;
mod meta;
mod names;
mod nearest;
mod parse;
mod patch;
mod quantity;
mod read;
mod reference_grant;
mod report;
mod resource;
mod schema;
mod secret;
mod secret_ref;
mod selector;
mod selector_text;
mod share;
mod tls;
mod traffic_policy;
mod tree;
mod validate;
mod walk;

pub use backend::{BackendProtocol, BackendSpec, Endpoint, OutlierDetection};
pub use backend_ref::{BackendObjectRef, BackendRef, BackendTarget};
pub use carried_age::{CARRIED_AGE, CarriedAge, CarriedAgeError};
pub use carried_slots::{CARRIED_SLOTS, CarriedSlots, CarriedSlotsError};
pub use config_map::ConfigMapSpec;
pub use discovery::{Discovery, DiscoveryError, DnsDiscovery, DnsRecord, EtcdDiscovery, EtcdTls};
pub use duration::Duration;
pub use experiment::{ExperimentSpec, Override, TargetRef, Unit, UnitError, Variant};
pub use filter::{
    Cors, Filter, FilterError, FilterType, Fraction, HeaderModifier, HttpHeader, PathModifier,
    RedirectStatus, RequestMirror, RequestRedirect, Scheme, UrlRewrite,
};
pub use gateway::{
    AllowedRoutes, FromNamespaces, GatewayClassSpec, GatewaySpec, Listener, ListenerProtocol, PROXY_SELECTOR,
    ParametersRef, RouteGroupKind, RouteNamespaces,
};
pub use grammar::{Grammar, TextError};
pub use httproute::{
    HttpRouteSpec, Match, Method, ParentRef, PathMatch, PathMatchType, Rule, Timeouts, ValueMatch,
    ValueMatchType,
};
pub use kind::{CORE_GROUP, GATEWAY_GROUP, Kind, SLUICE_GROUP};
pub use lint_policy::{LintPolicySpec, LintRule, LintSeverities, LintSeverity};
pub use meta::{Annotations, Labels, Metadata};
pub use names::{
    AbsolutePath, ApiGroup, ApiKind, CorsOrigin, DataKey, DnsName, EtcdKey, FieldValue, HostAddress,
    Hostname, HostnamePattern, LabelKey, LabelValue, Namespace, ObjectName, PrefixReplacement, SectionName,
    Token, Uri, VariantName,
};
pub use parse::{Format, MAX_INPUT_BYTES, parse, parse_within};
pub use patch::merge_patch;
pub use quantity::{Quantity, QuantityError};
pub use reference_grant::{GrantFrom, GrantTo, ReferenceGrantSpec};
pub use resource::{Resource, ResourceId, ResourceIdError, Spec};
pub use schema::{json_schemas, schema};
pub use secret::{LAST_APPLIED, REDACTED, SecretSpec, SecretType, SecretValue};
pub use secret_ref::SecretRef;
pub use selector::{LabelExpression, LabelOperator, LabelSelector};
pub use selector_text::SelectorError;
pub use share::{Share, ShareError};
pub use tls::{
    BackendTls, BackendTlsPolicySpec, CLIENT_CERTIFICATE, CLIENT_CERTIFICATE_DEPTH, ClientValidation,
    ClientValidationMode, FrontendTls, FrontendTlsConfig, FrontendTlsPort, GatewayTls, ListenerTls,
    MIN_VERSION, MinTlsVersion, SubjectAltName, SubjectAltNameError, TlsMode, TlsValidation, WellKnownCa,
};
pub use traffic_policy::{MinimumRates, TrafficLimits, TrafficPolicySpec, TrafficTimeouts};
