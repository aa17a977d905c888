//! What travels: the step from one position to another.

use bytes::Bytes;
use sluice_model::{Code, CommitId, CommitSeal, Digest, HistoryId, Position, Revision, Violation};
use sluice_proto::v1;

use crate::{Difference, Entry, ResourceSet};

/// A step from `base` to `target`. Without a base it starts from nothing.
#[derive(Clone, Debug)]
pub struct Update {
    /// The history both positions belong to.
    pub history: HistoryId,
    /// What the proxy must hold for the step to fit.
    pub base: Option<Position>,
    /// What it holds after.
    pub target: Position,
    /// Which commit the revision of `target` is.
    pub commit: CommitId,
    /// What shows it.
    pub commit_seal: CommitSeal,
    /// The step.
    pub difference: Difference,
}

impl Update {
    /// The step from one held set to another.
    pub fn between(
        history: HistoryId,
        base: (Position, &ResourceSet),
        target: (Position, &ResourceSet),
    ) -> Self {
        Self {
            history,
            base: Some(base.0),
            target: target.0,
            commit: CommitId::UNKNOWN,
            commit_seal: CommitSeal::NONE,
            difference: base.1.diff(target.1),
        }
    }

    /// All of `resources`, from nothing.
    pub fn full(history: HistoryId, target: Position, resources: &ResourceSet) -> Self {
        let upserts = resources.iter().cloned().collect();
        Self {
            history,
            base: None,
            target,
            commit: CommitId::UNKNOWN,
            commit_seal: CommitSeal::NONE,
            difference: Difference {
                upserts,
                removals: vec![],
            },
        }
    }

    /// The same update, to what was committed as `commit`, which `commit_seal` shows.
    #[must_use]
    pub fn committed(self, commit: CommitId, commit_seal: CommitSeal) -> Self {
        Self {
            commit,
            commit_seal,
            ..self
        }
    }

    /// The update as it travels.
    pub fn to_wire(&self) -> v1::Update {
        v1::Update {
            history: self.history.0.to_vec(),
            base: self.base.map(position_to_wire),
            target: Some(position_to_wire(self.target)),
            upserts: self.difference.upserts.iter().map(Entry::to_wire).collect(),
            removals: self
                .difference
                .removals
                .iter()
                .map(|key| key.as_str().to_owned())
                .collect(),
            signature: Vec::new(),
            signing_key: Vec::new(),
            commit: self.commit.0,
            commit_seal: self.commit_seal.0,
        }
    }

    /// Reads an update and checks the hash of every entry that has one.
    ///
    /// # Errors
    /// Every entry that is malformed, corrupt or too new, and positions that are none.
    pub fn from_wire(mut wire: v1::Update) -> Result<Self, Vec<Violation>> {
        own_bodies(&mut wire.upserts);
        let mut violations = Vec::new();
        let mut upserts = Vec::with_capacity(wire.upserts.len());
        for entry in wire.upserts {
            match Entry::from_wire(entry) {
                Ok(entry) => upserts.push(entry),
                Err(violation) => violations.push(violation),
            }
        }
        let mut removals = Vec::with_capacity(wire.removals.len());
        for key in wire.removals {
            match sluice_model::Key::parse(&key) {
                Ok(key) => removals.push(key),
                Err(error) => violations.push(Violation::new(key, "", Code::Malformed, error.to_string())),
            }
        }
        let head = read_head(&wire.history, wire.base.as_ref(), wire.target.as_ref());
        match (head, violations.is_empty()) {
            (Some((history, base, target)), true) => Ok(Self {
                history,
                base,
                target,
                commit: CommitId(wire.commit),
                commit_seal: CommitSeal(wire.commit_seal),
                difference: Difference { upserts, removals },
            }),
            (Some(_), false) => Err(violations),
            (None, _) => {
                let message = "an update has a history, a target, and digests of 16 bytes";
                violations.push(Violation::new("update", "", Code::Malformed, message));
                Err(violations)
            }
        }
    }
}

/// Moves the bodies together into memory of their own. They are slices of whatever buffer the update
/// was read into, and one body that is never replaced would keep all of that.
fn own_bodies(entries: &mut [v1::Resource]) {
    let mut bodies = Vec::with_capacity(entries.iter().map(|entry| entry.body.len()).sum());
    for entry in &*entries {
        bodies.extend_from_slice(&entry.body);
    }
    let mut bodies = Bytes::from(bodies);
    for entry in entries {
        entry.body = bodies.split_to(entry.body.len());
    }
}

/// Leaves out of a difference what who holds its base knows. A full update stays as it is.
pub fn abridge(wire: &mut v1::Update) {
    let (Some(base), Some(target)) = (&mut wire.base, &wire.target) else {
        return;
    };
    wire.history.clear();
    if base.runtime_digest == target.runtime_digest {
        base.runtime_digest.clear();
    } else if base.runtime_digest.is_empty() {
        base.runtime_digest = Digest::EMPTY.0.to_vec();
    }
}

/// Fills in what [`abridge`] left out, for a proxy that holds something of `held`.
pub fn complete(wire: &mut v1::Update, held: HistoryId) {
    let (Some(base), Some(target)) = (&mut wire.base, &wire.target) else {
        return;
    };
    if !wire.history.is_empty() {
        return;
    }
    wire.history = held.0.to_vec();
    if base.runtime_digest.is_empty() {
        base.runtime_digest.clone_from(&target.runtime_digest);
    }
}

/// What a signature says: that `target` is a position of `history`. The digests stand for all that
/// a proxy holds there, whatever it held before.
pub fn statement(history: HistoryId, target: Position) -> Vec<u8> {
    const DOMAIN: &[u8] = b"sluice snapshot 1\0";
    let revision = target.revision.0.to_be_bytes();
    // Every part has a fixed length: no two statements are written alike.
    let parts = [DOMAIN, &history.0, &revision, &target.config.0, &target.runtime.0];
    parts.concat()
}

/// [`statement`] of an update as it travels; `None` when it has no history and no target that read.
pub fn statement_of(wire: &v1::Update) -> Option<Vec<u8>> {
    let (history, _, target) = read_head(&wire.history, None, wire.target.as_ref())?;
    Some(statement(history, target))
}

fn read_head(
    history: &[u8],
    base: Option<&v1::Position>,
    target: Option<&v1::Position>,
) -> Option<(HistoryId, Option<Position>, Position)> {
    let history = HistoryId::try_from(history).ok()?;
    let base = match base {
        None => None,
        Some(base) => Some(position_from_wire(base)?),
    };
    Some((history, base, position_from_wire(target?)?))
}

/// A position as it travels. Digests of nothing are left out.
pub fn position_to_wire(position: Position) -> v1::Position {
    let digest = |digest: Digest| {
        if digest == Digest::EMPTY {
            Vec::new()
        } else {
            digest.0.to_vec()
        }
    };
    v1::Position {
        revision: position.revision.0,
        config_digest: digest(position.config),
        runtime_digest: digest(position.runtime),
    }
}

/// Reads a position; `None` when a digest has neither 0 nor 16 bytes.
pub fn position_from_wire(wire: &v1::Position) -> Option<Position> {
    let digest = |bytes: &[u8]| match bytes {
        [] => Some(Digest::EMPTY),
        bytes => Digest::try_from(bytes).ok(),
    };
    Some(Position {
        revision: Revision(wire.revision),
        config: digest(&wire.config_digest)?,
        runtime: digest(&wire.runtime_digest)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HISTORY: HistoryId = HistoryId([7; 16]);

    fn position(revision: u64, runtime: Digest) -> Position {
        Position {
            revision: Revision(revision),
            config: Digest::of(&revision.to_be_bytes()),
            runtime,
        }
    }

    fn update(base: Option<Position>, target: Position) -> v1::Update {
        let difference = Difference {
            upserts: Vec::new(),
            removals: Vec::new(),
        };
        let update = Update {
            history: HISTORY,
            base,
            target,
            commit: CommitId(9),
            commit_seal: CommitSeal(8),
            difference,
        };
        update.to_wire()
    }

    #[test]
    fn an_abridged_update_is_completed_by_who_holds_its_base() {
        let some = |byte: u8| Digest::of(&[byte]);
        for [before, after] in [
            [some(1), some(1)],
            [some(1), some(2)],
            [Digest::EMPTY, some(2)],
            [some(1), Digest::EMPTY],
            [Digest::EMPTY, Digest::EMPTY],
        ] {
            let whole = update(Some(position(1, before)), position(2, after));
            let mut wire = whole.clone();
            abridge(&mut wire);
            assert_eq!(wire.history, [0_u8; 0]);
            let nothing = wire.base.as_ref().unwrap().runtime_digest.is_empty();
            assert_eq!(nothing, before == after, "what is the same is not said");
            complete(&mut wire, HISTORY);
            let read = |wire| Update::from_wire(wire).unwrap().to_wire();
            assert_eq!(read(wire), whole);
        }
    }

    #[test]
    fn who_holds_nothing_of_it_is_told_everything() {
        let full = update(None, position(2, Digest::EMPTY));
        let mut wire = full.clone();
        abridge(&mut wire);
        assert_eq!(wire, full);
        // Of another history than what is held: nothing is filled in.
        let mut whole = update(Some(position(1, Digest::EMPTY)), position(2, Digest::of(b"2")));
        let before = whole.clone();
        complete(&mut whole, HistoryId([8; 16]));
        assert_eq!(whole, before);
    }
}
