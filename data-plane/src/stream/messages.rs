//! What a proxy says, as it travels.

use sluice_core::position_to_wire;
use sluice_model::{CommitId, CommitSeal, HistoryId, Position, Violation};
use sluice_proto::{
    WIRE_VERSION,
    v1::{self, proxy_message::Body},
};

use crate::status::BoundListener;

/// Who this proxy is.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) id: String,
    pub(crate) labels: Vec<(String, String)>,
    /// Where `/ready /live /metrics /config` are served.
    pub(crate) admin: String,
    /// Tells two processes with one id apart.
    pub(crate) instance: [u8; 16],
}

/// What it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) history: HistoryId,
    pub(crate) position: Position,
    pub(crate) commit: CommitId,
    pub(crate) commit_seal: CommitSeal,
    pub(crate) listeners: Vec<BoundListener>,
}

pub(super) fn hello(identity: &Identity, held: Option<&Held>) -> Body {
    let labels = identity.labels.iter().cloned();
    Body::Hello(v1::Hello {
        proxy_id: identity.id.clone(),
        labels: labels.map(|(name, value)| v1::Label { name, value }).collect(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        wire_version: WIRE_VERSION,
        history: held.map(|held| held.history.0.to_vec()).unwrap_or_default(),
        holds: held.map(|held| position_to_wire(held.position)),
        admin: identity.admin.clone(),
        instance: identity.instance.to_vec(),
        listeners: held.map(|held| listeners(&held.listeners)).unwrap_or_default(),
        commit: held.map(|held| held.commit.0).unwrap_or_default(),
        commit_seal: held.map(|held| held.commit_seal.0).unwrap_or_default(),
    })
}

pub(super) fn ack(held: &Held, build_us: u64) -> Body {
    Body::Ack(v1::Ack {
        history: held.history.0.to_vec(),
        position: Some(position_to_wire(held.position)),
        build_us,
        warnings: Vec::new(),
        listeners: listeners(&held.listeners),
    })
}

pub(super) fn nack(target: &Refused, retrying: bool) -> Body {
    let violations = target.violations.iter().cloned();
    Body::Nack(v1::Nack {
        history: target.history.clone(),
        position: target.position.clone(),
        violations: violations.map(violation).collect(),
        retrying,
    })
}

/// An update that is not live, by its own words: they may be why.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Refused {
    pub(crate) history: Vec<u8>,
    pub(crate) position: Option<v1::Position>,
    pub(crate) violations: Vec<Violation>,
}

fn listeners(bound: &[BoundListener]) -> Vec<v1::BoundListener> {
    let bound = bound.iter().map(|bound| v1::BoundListener {
        listener: bound.listener.as_str().to_owned(),
        address: bound.address.to_string(),
    });
    bound.collect()
}

fn violation(violation: Violation) -> v1::Violation {
    v1::Violation {
        resource: violation.resource,
        field: violation.field,
        code: violation.code.as_str().to_owned(),
        message: violation.message,
    }
}
