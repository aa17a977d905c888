//! One module for each client command: its options, and what it does.

pub(crate) mod apply;
pub(crate) mod audit;
pub(crate) mod ca;
pub(crate) mod completion;
pub(crate) mod delete;
pub(crate) mod describe;
pub(crate) mod diff;
pub(crate) mod explain;
pub(crate) mod export;
pub(crate) mod fleet;
pub(crate) mod get;
pub(crate) mod history;
pub(crate) mod join_token;
pub(crate) mod lint;
pub(crate) mod plan;
pub(crate) mod proposal;
pub(crate) mod receipt;
pub(crate) mod replay;
pub(crate) mod rollback;
pub(crate) mod token;
pub(crate) mod version;
pub(crate) mod written;
