//! The fleet: one stream for each proxy, what each holds, and the receipts that follow from it.
//!
//! Three kinds of state are kept apart: what is live ([`crate::live`]), one stream's protocol
//! ([`machine`], pure), and what is known of all proxies ([`Fleet`], in memory and rebuilt from
//! what proxies say when they connect). Replicas tell each other of their proxies ([`Exchange`]), so
//! that each of them knows the whole fleet.

mod ailing;
mod answers;
mod asked;
mod census;
mod claims;
mod dates;
mod doubts;
mod encode;
mod errand;
mod exchange;
mod good;
mod guard;
mod keeper;
mod late;
mod leader;
mod machine;
mod member;
mod metrics;
mod newcomers;
mod pace;
mod parking;
mod parts;
mod patience;
mod peers;
mod progress;
mod receipt;
mod recounts;
mod refusal;
mod registry;
mod room;
mod samples;
mod server;
mod service;
#[cfg(test)]
mod stage;
mod status;
mod stopwatch;
mod stream;
mod telemetry;
mod timing;
mod view;
mod viewer;
mod whole;

pub(crate) use encode::push_bytes;
pub use exchange::Exchange;
pub use guard::guard;
pub use keeper::Keeper;
pub use leader::lead;
pub use metrics::FleetCollector;
pub use receipt::{AppliedMs, Quorum, QuorumError, Receipt, Refusal};
pub use registry::{Fleet, JoinError};
pub(crate) use samples::keep_samples;
pub use samples::{Group as SampleGroup, Kinds as SampleKinds, Members as SampleMembers, Samples};
pub(crate) use server::{FleetServer, Threads};
pub use service::FleetService;
pub use status::{FleetSummary, ProxyStatus, ProxyStatusError};
pub(crate) use stream::DRAIN;
pub use stream::Ends;
pub use telemetry::TrafficView;
pub use view::{Authentication, Forget, ListenerView, ProxyDetail, ProxyState, ProxyView, RefusalView};
pub use whole::ReplicaView;
