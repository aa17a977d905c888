//! Updates as bytes, encoded once and shared by all streams that send them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::{BufMut as _, Bytes, BytesMut};
use prost::Message as _;
use sluice_core::{Update, statement};
use sluice_model::{HistoryId, Position};
use sluice_proto::v1;
use sluice_tls::{Signer, SigningKeyId};

use crate::live::Version;

/// Updates that are kept.
const MAX_ENTRIES: usize = 256;
/// Bytes of updates that are kept, besides the newest.
const MAX_BYTES: usize = 64 * 1024 * 1024;

/// What gRPC puts before a message: whether it is compressed, and its length.
const PREFIX: usize = 5;

/// From where to where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Way {
    history: HistoryId,
    base: Option<Position>,
    target: Position,
    signed_by: Option<SigningKeyId>,
}

/// The updates that were sent last.
#[derive(Debug, Default)]
pub(super) struct Encoder {
    recent: Mutex<VecDeque<(Way, Arc<OnceLock<Bytes>>)>>,
}

impl Encoder {
    /// The message that leads from `base` (or from nothing) to `target`. Streams that ask for the
    /// same at the same time wait for the one that encodes it.
    pub(super) fn update(&self, base: Option<&Version>, target: &Version, signer: Option<&Signer>) -> Bytes {
        let way = Way {
            history: target.history,
            base: base.map(|base| base.position),
            target: target.position,
            signed_by: signer.map(Signer::id),
        };
        let cell = self.cell(way);
        cell.get_or_init(|| encode(base, target, signer)).clone()
    }

    fn cell(&self, way: Way) -> Arc<OnceLock<Bytes>> {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, cell)) = recent.iter().rev().find(|(known, _)| *known == way) {
            return Arc::clone(cell);
        }
        let size = |cell: &OnceLock<Bytes>| cell.get().map_or(0, Bytes::len);
        let mut total: usize = recent.iter().map(|(_, cell)| size(cell)).sum();
        while recent.len() >= MAX_ENTRIES || total > MAX_BYTES {
            let Some((_, oldest)) = recent.pop_front() else {
                break;
            };
            total = total.saturating_sub(size(&oldest));
        }
        let cell = Arc::new(OnceLock::new());
        recent.push_back((way, Arc::clone(&cell)));
        cell
    }
}

fn encode(base: Option<&Version>, target: &Version, signer: Option<&Signer>) -> Bytes {
    let update = match base {
        Some(base) => Update::between(
            target.history,
            (base.position, &base.resources),
            (target.position, &target.resources),
        ),
        None => Update::full(target.history, target.position, &target.resources),
    };
    let mut update = update.committed(target.commit).to_wire();
    if let Some(signer) = signer {
        update.signature = signer.sign(&statement(target.history, target.position));
        update.signing_key = signer.id().0.to_vec();
    }
    message(v1::control_message::Body::Update(update))
}

/// Bytes that a proxy which holds `base` gets to come to `target`.
pub(crate) fn push_bytes(base: &Version, target: &Version, signer: Option<&Signer>) -> usize {
    encode(Some(base), target, signer).len()
}

/// A message of the control plane as it travels: not compressed, behind its length.
pub(super) fn message(body: v1::control_message::Body) -> Bytes {
    let message = v1::ControlMessage { body: Some(body) };
    let length = message.encoded_len();
    let mut framed = BytesMut::with_capacity(PREFIX + length);
    framed.put_u8(0);
    // Nothing that is published is anywhere near 4 GiB.
    framed.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    // It has room, and would grow.
    let _ = message.encode(&mut framed);
    framed.freeze()
}
