//! Updates as bytes, encoded once and shared by all streams that send them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::{BufMut as _, Bytes, BytesMut};
use prost::Message as _;
use sluice_core::{Update, abridge, statement};
use sluice_model::{HistoryId, Position};
use sluice_proto::{ABRIDGED_UPDATES, WIRE_VERSION, v1};
use sluice_tls::{Signer, SigningKeyId};

use crate::live::Version;
use crate::trust::seal;

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
    form: Form,
}

/// How much an update says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Everything.
    Whole,
    /// Not what who holds its base knows.
    Abridged,
}

impl Form {
    /// The shortest that a proxy of this wire version reads.
    pub(super) fn of(wire_version: u32) -> Self {
        match wire_version >= ABRIDGED_UPDATES {
            true => Self::Abridged,
            false => Self::Whole,
        }
    }
}

/// The updates that were sent last.
#[derive(Debug, Default)]
pub(super) struct Encoder {
    recent: Mutex<VecDeque<(Way, Arc<OnceLock<Bytes>>)>>,
}

impl Encoder {
    /// The message that leads from `base` (or from nothing) to `target`. Streams that ask for the
    /// same at the same time wait for the one that encodes it.
    pub(super) fn update(
        &self,
        base: Option<&Version>,
        target: &Version,
        signer: Option<&Signer>,
        form: Form,
    ) -> Bytes {
        let way = Way {
            history: target.history,
            base: base.map(|base| base.position),
            target: target.position,
            signed_by: signer.map(Signer::id),
            form,
        };
        let cell = self.cell(way);
        cell.get_or_init(|| encode(base, target, signer, form)).clone()
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

fn encode(base: Option<&Version>, target: &Version, signer: Option<&Signer>, form: Form) -> Bytes {
    let update = match base {
        Some(base) => Update::between(
            target.history,
            (base.position, &base.resources),
            (target.position, &target.resources),
        ),
        None => Update::full(target.history, target.position, &target.resources),
    };
    let what = (target.position.revision, target.commit);
    let shown = signer.map(|signer| seal(signer, target.history, what));
    let mut update = update
        .committed(target.commit, shown.unwrap_or_default())
        .to_wire();
    if let Some(signer) = signer {
        update.signature = signer.sign(&statement(target.history, target.position));
        update.signing_key = signer.id().0.to_vec();
    }
    if form == Form::Abridged && base.is_some_and(|base| base.history == target.history) {
        abridge(&mut update);
    }
    message(v1::control_message::Body::Update(update))
}

/// Bytes that a proxy of this version which holds `base` gets to come to `target`.
pub(crate) fn push_bytes(base: &Version, target: &Version, signer: Option<&Signer>) -> usize {
    encode(Some(base), target, signer, Form::of(WIRE_VERSION)).len()
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

#[cfg(test)]
mod tests {
    use sluice_intent::Format;
    use sluice_model::{CommitId, Revision};
    use tokio::time::Instant;

    use super::*;
    use crate::compile::{Change, DanglingRefs, World};

    /// What HTTP/2 puts before a frame, and TLS 1.3 around a record.
    const FRAME: usize = 9;
    const RECORD: usize = 5 + 1 + 16;

    /// Two backends that share a route's requests, the first with this weight.
    fn shares(weight: u32) -> String {
        format!(
            r#"{{"kind": "List", "apiVersion": "v1", "items": [
            {{"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": {{"name": "edge"}},
              "spec": {{"gatewayClassName": "sluice", "listeners": [{{"name": "http", "port": 80, "protocol": "HTTP"}}]}}}},
            {{"apiVersion": "sluice.dev/v1", "kind": "Backend", "metadata": {{"name": "stable"}},
              "spec": {{"endpoints": [{{"address": "10.0.0.1", "port": 80}}]}}}},
            {{"apiVersion": "sluice.dev/v1", "kind": "Backend", "metadata": {{"name": "canary"}},
              "spec": {{"endpoints": [{{"address": "10.0.0.2", "port": 80}}]}}}},
            {{"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": {{"name": "r000001"}},
              "spec": {{"parentRefs": [{{"name": "edge"}}], "rules": [{{"backendRefs": [
                {{"group": "sluice.dev", "kind": "Backend", "name": "stable", "weight": {weight}}},
                {{"group": "sluice.dev", "kind": "Backend", "name": "canary", "weight": 50}}]}}]}}}}]}}"#
        )
    }

    fn version(before: &World, revision: u64, weight: u32) -> (World, Version) {
        let resources = sluice_intent::parse(shares(weight).as_bytes(), Format::Json, "default").unwrap();
        let changes = resources.into_iter().map(Change::Put).collect();
        let changed = before.change(changes, Revision(revision), DanglingRefs::Refuse);
        let world = changed.unwrap().world.committed(CommitId(u32::MAX));
        let version = Version::of(&world, world.snapshot(), Instant::now());
        (world, version)
    }

    #[test]
    fn a_weight_between_short_names_is_told_in_three_hundred_bytes_over_tls_also_after_millions_of_revisions()
    {
        let signer = Signer::new(&Signer::generate().unwrap()).unwrap();
        let (world, base) = version(&World::empty(HistoryId([1; 16])), (1 << 28) - 2, 50);
        let (_, target) = version(&world, (1 << 28) - 1, 51);
        let whole = encode(Some(&base), &target, Some(&signer), Form::of(1));
        let abridged = encode(Some(&base), &target, Some(&signer), Form::of(2));
        // A digest and a history of 16 bytes, each with what says where it begins and ends.
        assert_eq!(whole.len() - abridged.len(), 2 * 18);
        let on_the_wire = abridged.len() + FRAME + RECORD;
        assert!(on_the_wire <= 300, "{on_the_wire}");
    }
}
