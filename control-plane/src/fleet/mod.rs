//! The fleet: one stream for each proxy, what each holds, and the receipts that follow from it.
//!
//! Three kinds of state are kept apart: what is live ([`crate::live`]), one stream's protocol
//! ([`machine`], pure), and what is known of all proxies ([`Fleet`], in memory and rebuilt from
//! what proxies say when they connect).

mod census;
mod encode;
mod errand;
mod good;
mod guard;
mod keeper;
mod machine;
mod member;
mod metrics;
mod receipt;
mod registry;
mod service;
mod stream;
mod telemetry;
mod timing;
mod view;

pub use guard::guard;
pub use keeper::Keeper;
pub use metrics::FleetCollector;
pub use receipt::{AppliedMs, Quorum, QuorumError, Receipt, Refusal};
pub use registry::{Fleet, JoinError};
pub use service::FleetService;
pub use telemetry::TrafficView;
pub use view::{Authentication, Forget, ListenerView, ProxyDetail, ProxyState, ProxyView, RefusalView};
