//! The Sluice wire format: generated from `proto/sluice/v1/*.proto`, never edited.

/// Version of the wire format this build reads and writes.
///
/// A [`v1::Resource`] whose `min_wire` is higher is refused, never ignored.
pub const WIRE_VERSION: u32 = 2;

/// From this version on a proxy fills in what an abridged [`v1::Update`] leaves out.
pub const ABRIDGED_UPDATES: u32 = 2;

/// Generated messages and the `Fleet` and `Enrolment` services.
#[allow(clippy::all, clippy::unwrap_used, clippy::expect_used, missing_docs)]
pub mod v1 {
    tonic::include_proto!("sluice.v1");
}

/// The part of etcd's own API that endpoints are discovered with.
#[allow(clippy::all, clippy::unwrap_used, clippy::expect_used, missing_docs)]
pub mod etcd {
    /// Keys, values and what happens to them.
    pub mod mvccpb {
        tonic::include_proto!("mvccpb");
    }
    /// Services and their messages.
    pub mod etcdserverpb {
        tonic::include_proto!("etcdserverpb");
    }
}
