//! Who writes the next revision where several replicas write.
//!
//! # Why
//! A write is decided on the head, and is a conflict when the head has moved meanwhile. Of two replicas that
//! write without pause the one that wrote last knows the head at once, and the other has to read it first: it
//! comes too late again and again. So whoever came too late reserves the next revision, and decides while the
//! head stands still.
//!
//! # How
//! An advisory lock of Postgres is a queue: first come, first served. Commits share it, so among themselves the
//! counter row orders them as ever. A reservation has it alone: it waits for the commits under way, and who
//! comes later waits behind it.
//!
//! # Bounds
//! It is about fairness and nothing else. That a commit is right hangs on the condition on the counter row, so
//! whoever has waited for 2 s, the `lock_timeout` of every session, goes on without. A reservation ends by itself
//! after 1.5 s, also that of a replica that is cut off or hangs. Where there is one process, as on SQLite, there is
//! nobody to reserve it from.

use super::session::{Mode, Session};
use super::target::Dialect;
use super::write::{Commit, CommitError, Write};
use super::{Store, StoreError};

/// Begins the transaction of a commit behind reservations. The lock is `Writer` in ASCII. One round trip, and
/// no columns: what the function returns is of no type that rows are read in.
pub(super) const BEGIN_BEHIND: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; \
     SELECT FROM pg_advisory_xact_lock_shared(96148907124082)";
/// Begins a reservation: the same lock, alone. The server ends a session that has it for 1.5 s.
pub(super) const BEGIN_RESERVED: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; \
     SET LOCAL idle_in_transaction_session_timeout = 1500; \
     SELECT FROM pg_advisory_xact_lock(96148907124082)";

/// The next revision is for whoever has this, until it is dropped, or for 1.5 s.
#[derive(Debug)]
pub struct Reservation(Session);

impl Store {
    /// Waits until the next revision can be reserved, for 2 s at most; `None` where that is not to be had, or
    /// where nobody else writes. What is decided on the head as it is now can be committed with
    /// [`Store::commit_reserved`].
    pub async fn reserve(&self) -> Result<Option<Reservation>, StoreError> {
        if self.connection.dialect() == Dialect::Sqlite {
            return Ok(None);
        }
        let session = self.begin(Mode::Reserved).await?;
        if session.is_in_line() {
            return Ok(Some(Reservation(session)));
        }
        session.rollback().await?;
        Ok(None)
    }

    /// Does what [`Store::commit`] does, before all who wait, and gives the reservation back.
    pub async fn commit_reserved(
        &self,
        write: &Write,
        reservation: Reservation,
    ) -> Result<Commit, CommitError> {
        // In a session of its own: the reservation's may have ended by itself.
        let outcome = self.commit_as(Mode::Write, write).await;
        reservation.give_back().await;
        outcome
    }
}

impl Reservation {
    async fn give_back(self) {
        // Where this fails the session is over, and the reservation with it.
        let _ = self.0.rollback().await;
    }
}
