//! Pure decisions of the data plane: route table, match, choice, balance, slots, explanation, difference.
//!
//! No tokio, no hyper, no clock: `now` and randomness are parameters. The proxy answers live
//! requests with this code and the control plane checks and explains with the same, so the two
//! cannot disagree. [`Snapshot::apply`] is the only way to a new state, [`Snapshot::route`] the
//! only way from a request to a rule.

mod backend;
mod backoff;
pub mod balance;
mod bucket;
mod build;
mod candidate;
mod carry;
mod choose;
pub mod claims;
pub mod cors;
mod credentials;
pub mod diff;
mod experiment;
mod explain;
mod explanation;
pub mod filter;
mod health;
mod host;
mod hosts;
mod map;
mod mirror;
mod news;
mod normalize;
mod reach;
mod registry;
mod request;
mod resources;
pub mod slots;
mod snapshot;
mod table;
mod tally;
mod target;
mod thin;
mod trie;
mod unit;
mod update;

pub use backend::{BackendState, EndpointState};
pub use backoff::Backoff;
pub use build::Changes;
pub use candidate::CompiledRule;
pub use choose::{Choice, Extras, Pick, Weights};
pub use diff::replay::{is_credential, sample_key_id, sampled_value};
pub use experiment::VariantChoice;
pub use explanation::{
    BackendPolicy, Chosen, Copied, CrossOrigin, Decision, ExplainBounds, Explanation, NearMiss,
    OutlierPolicy, RulePolicy, Share, Step as ExplainStep, TlsPolicy,
};
pub use health::{Health, Millis};
pub use host::{Host, HostError, normalize_host};
pub use mirror::MirrorTarget;
pub use news::{Fares, HealthNews};
pub use normalize::{PathError, normalize_path};
pub use reach::{Cause, Reach, Taken, Unreached, reach, reach_of};
pub use registry::{Idx, Registry};
pub use request::{RequestView, Unmet};
pub use resources::{Difference, Entry, ResourceSet, Step};
pub use snapshot::Snapshot;
pub use table::Matched;
pub use tally::{Tally, TallyBounds, error_percent};
pub use target::{ExperimentTarget, Target};
pub use thin::{thin, thin_to};
pub use update::{Update, abridge, complete, position_from_wire, position_to_wire, statement, statement_of};
