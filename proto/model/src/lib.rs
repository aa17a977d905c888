//! The validated domain of a snapshot: ids, units, matches. No IO, no clock.
//!
//! [`Resource::decode`] is the one way in: what it returns needs no second look.

mod backend;
mod cors;
mod filters;
mod hostname;
mod ids;
mod key;
mod limits;
mod listener;
mod matches;
mod problems;
mod resource;
mod rule;
mod sealing;
mod secret;
mod slots;
mod target;
mod tls;
mod violation;

pub use backend::{Backend, DEFAULT_CONNECT_TIMEOUT, Endpoint, Endpoints, MAX_ENDPOINTS, Outlier, Protocol};
pub use cors::{Allowed, Cors, OriginMatch};
pub use filters::{FilterSet, Filters, HeaderEdit, MAX_MIRRORS, Mirror, PathEdit, Redirect, Rewrite, Scheme};
pub use hostname::{Hostname, HostnameError};
pub use ids::{CommitId, CommitSeal, Digest, HistoryId, Position, Revision};
pub use key::{Class, Key, KeyError, Kind};
pub use limits::Limits;
pub use listener::{Attachment, Listener, Route};
pub use matches::{HeaderMatch, MAX_PATH, Match, PathMatch, QueryMatch, REGEX_SIZE_LIMIT, ValueMatch, whole};
pub use resource::{MAX_BODY, Resource};
pub use rule::{MAX_MATCHES, Rule, Timeouts};
pub use sealing::{KeyFileAccess, MAX_SEALING_KEYS, SEALING_KEY, SealingKeysError, sealing_keys};
pub use secret::Secret;
pub use slots::{SLOTS, SlotError, SlotTable};
pub use target::{Experiment, MAX_BACKENDS, MAX_VARIANTS, MAX_WEIGHT, Split, Unit, Variant, WeightedBackend};
pub use tls::{
    BackendTls, Certificate, ClientValidation, ListenerTls, MAX_CERTIFICATES, MAX_CHAIN, MAX_NAMES,
    MAX_ROOTS, MAX_TICKET_KEYS, MAX_TRUSTS, SubjectName, Tickets, TlsVersion, Trust,
};
pub use violation::{Code, Violation};
