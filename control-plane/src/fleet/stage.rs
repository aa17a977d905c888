//! What tests of the fleet stand on: what is published, a clock, and proxies that join, accept and refuse.

use std::sync::Arc;
use std::time::Duration;

use sluice_core::position_to_wire;
use sluice_model::{CommitId, HistoryId, Position, Revision};
use sluice_proto::v1;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::machine::Admitted;
use super::registry::{Fleet, JoinError, Joining, StreamId};
use crate::compile::{DanglingRefs, ViewKey, World};
use crate::live::Published;
use crate::store::{Replica, UnixMillis};
use crate::trust::Peer;

pub(super) const HISTORY: HistoryId = HistoryId([3; 16]);
/// When a stage begins, by the wall clock.
pub(super) const BEGAN: u64 = 1_000_000;

/// What is published to all fleets, and when it is.
pub(super) struct Stage {
    pub(super) published: Published,
    began: Instant,
    pub(super) now: Instant,
}

/// A stream of one proxy.
pub(super) struct Joined {
    pub(super) stream: StreamId,
    pub(super) displaced: CancellationToken,
    pub(super) recount: Arc<Notify>,
    pub(super) admitted: Admitted,
}

/// A control plane of this name, without proxies.
pub(super) fn fleet(id: &str) -> Fleet {
    Fleet::new(Replica {
        id: id.into(),
        ..Replica::default()
    })
}

/// A refusal in these words.
pub(super) fn nack(message: &str, retrying: bool) -> v1::Nack {
    let violation = v1::Violation {
        resource: "rule/a/b/c".into(),
        code: "local".into(),
        message: message.into(),
        ..v1::Violation::default()
    };
    v1::Nack {
        violations: vec![violation],
        retrying,
        ..v1::Nack::default()
    }
}

/// A stream whose proxy has the view of no selector.
pub(super) fn joining(stream: StreamId, holds: Option<(HistoryId, Position)>) -> Joining {
    Joining {
        stream,
        holds,
        view: ViewKey::default(),
        peer: Peer::Local,
        displace: CancellationToken::new(),
        recount: Arc::default(),
        standing: None,
    }
}

impl Stage {
    /// An empty world at revision 0.
    pub(super) fn start() -> Self {
        let now = Instant::now();
        Self {
            published: Published::first(World::empty(HISTORY), now),
            began: now,
            now,
        }
    }

    pub(super) fn wait(&mut self, time: Duration) {
        self.now += time;
    }

    /// What the wall clock says now.
    pub(super) fn date(&self) -> UnixMillis {
        let since = self.now.duration_since(self.began).as_millis();
        UnixMillis(BEGAN + u64::try_from(since).unwrap())
    }

    /// A new revision, in which nothing is different.
    pub(super) fn commit(&mut self) -> Revision {
        self.commit_as(CommitId::UNKNOWN)
    }

    /// The same, as this commit.
    pub(super) fn commit_as(&mut self, commit: CommitId) -> Revision {
        let revision = Revision(self.published.revision().0 + 1);
        let world = &self.published.world;
        let changed = world.change(Vec::new(), revision, DanglingRefs::Refuse);
        let world = changed.unwrap().world.committed(commit);
        self.published = self.published.next(world, self.now);
        revision
    }

    pub(super) fn position(&self, revision: Revision) -> Position {
        Position {
            revision,
            ..self.published.version.position
        }
    }

    pub(super) fn join(
        &self,
        fleet: &Fleet,
        id: &str,
        instance: u8,
        holds: Option<Revision>,
    ) -> Result<Joined, JoinError> {
        self.join_with(fleet, (id, instance), holds, CommitId::UNKNOWN)
    }

    /// A proxy joins that says of which commit what it holds is.
    pub(super) fn join_with(
        &self,
        fleet: &Fleet,
        (id, instance): (&str, u8),
        holds: Option<Revision>,
        commit: CommitId,
    ) -> Result<Joined, JoinError> {
        let hello = v1::Hello {
            proxy_id: id.into(),
            instance: vec![instance; 16],
            commit: commit.0,
            ..v1::Hello::default()
        };
        let holds = holds.map(|revision| (HISTORY, self.position(revision)));
        let joining = joining(fleet.next_stream(), holds);
        let (stream, displaced) = (joining.stream, joining.displace.clone());
        let recount = Arc::clone(&joining.recount);
        let admitted = fleet.join(&hello, joining, &self.published, self.now)?;
        Ok(Joined {
            stream,
            displaced,
            recount,
            admitted,
        })
    }

    pub(super) fn ack(&self, fleet: &Fleet, stream: StreamId, revision: Revision) {
        let position = self.position(revision);
        let ack = v1::Ack {
            position: Some(position_to_wire(position)),
            ..v1::Ack::default()
        };
        fleet.applied(stream, ack, (HISTORY, position), &self.published, self.now);
    }

    pub(super) fn nack(&self, fleet: &Fleet, stream: StreamId, revision: Revision, nack: v1::Nack) {
        fleet.refused(stream, nack, (HISTORY, revision), self.date());
    }
}
