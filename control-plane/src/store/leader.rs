//! Which replica does what only one may do.
//!
//! # Why a lock and a number
//! On Postgres the leader holds an advisory lock in a session of its own: when the process or its
//! connection is gone, so is the lock. But a leader does not know at once that its session is gone, so
//! the lock alone keeps nobody from writing. Each new leader therefore raises the epoch, and whatever a
//! leader writes depends, in the same transaction, on the epoch still being its own ([`fence`]).
//!
//! # Hand-over
//! A killed leader's lock is free at once. That of one which has vanished, or hangs, is free when the
//! server has heard nothing in its session for 8 seconds. SQLite has one process, which leads.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions as _, Connection as _};

use super::session::{Mode, Session, stored};
use super::{Store, StoreError};

/// The advisory lock of the leader: `Sluice` in ASCII.
const LOCK: i64 = 0x536c_7569_6365;
/// How often the leader makes sure that it still leads.
pub(crate) const PULSE: Duration = Duration::from_secs(2);
/// After this long without a pulse the server ends the session, in milliseconds.
const SILENCE_MS: &str = "8000";
/// Longest wait for an answer in the leader's session.
const ANSWER: Duration = Duration::from_secs(3);

/// A leader's term. What it allows ends with the next one's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Epoch {
    number: u64,
    holder: String,
}

/// Leads until dropped, or until its session ends.
#[derive(Debug)]
pub struct Leadership {
    epoch: Epoch,
    /// `None` where nobody else could lead.
    session: Option<PgConnection>,
}

impl Epoch {
    /// Which term it is: every leader's is higher than those of all before.
    pub fn number(&self) -> u64 {
        self.number
    }
}

impl Leadership {
    /// What the leader's writes have to carry.
    pub fn epoch(&self) -> &Epoch {
        &self.epoch
    }

    /// Shows the server that the leader is there, and whether it still leads. To be called every
    /// 2 seconds.
    pub async fn holds(&mut self) -> bool {
        let Some(session) = &mut self.session else {
            return true;
        };
        matches!(tokio::time::timeout(ANSWER, session.ping()).await, Ok(Ok(())))
    }
}

impl Store {
    /// Becomes the leader if there is none.
    pub async fn lead(&self) -> Result<Option<Leadership>, StoreError> {
        let session = match self.connection.leader_options() {
            None => None,
            Some(options) => match lock(&options).await? {
                None => return Ok(None),
                session => session,
            },
        };
        // Waits for the writes of the leader before, which hold the row.
        let raise =
            sqlx::query("UPDATE leader SET epoch = epoch + 1, holder = $1 WHERE id = 1 RETURNING epoch")
                .bind(self.replica());
        let mut transaction = self.begin(Mode::Write).await?;
        let row = transaction.row(raise).await?.ok_or(StoreError::Corrupt)?;
        let epoch = Epoch {
            number: row.number(0)?,
            holder: self.replica().to_owned(),
        };
        transaction.commit().await?;
        Ok(Some(Leadership { epoch, session }))
    }

    /// The replica that became leader last.
    pub async fn leader(&self) -> Result<String, StoreError> {
        let mut session = self.begin(Mode::Read).await?;
        let select = sqlx::query("SELECT holder FROM leader WHERE id = 1");
        let row = session.row(select).await?.ok_or(StoreError::Corrupt)?;
        session.rollback().await?;
        row.text(0)
    }
}

async fn lock(options: &PgConnectOptions) -> Result<Option<PgConnection>, StoreError> {
    let attempt = async {
        let mut session = options.connect().await?;
        let locked = sqlx::query_scalar::<_, bool>("SELECT pg_try_advisory_lock($1)")
            .bind(LOCK)
            .fetch_one(&mut session)
            .await?;
        match locked {
            true => Ok(Some(session)),
            false => session.close().await.map(|()| None),
        }
    };
    match tokio::time::timeout(ANSWER, attempt).await {
        Ok(outcome) => Ok(outcome?),
        Err(_) => Err(StoreError::Timeout),
    }
}

/// Settings of the leader's session.
pub(super) fn with_silence(options: &PgConnectOptions) -> PgConnectOptions {
    options.clone().options([("idle_session_timeout", SILENCE_MS)])
}

/// Lets the transaction go on only as long as `epoch` is that of the leader: a later one is waited for
/// by whoever wants to raise it.
pub(super) async fn fence(session: &mut Session, epoch: &Epoch) -> Result<(), StoreError> {
    let hold = sqlx::query("UPDATE leader SET epoch = epoch WHERE id = 1 AND epoch = $1 AND holder = $2")
        .bind(stored(epoch.number))
        .bind(epoch.holder.as_str());
    match session.execute(hold).await? {
        1 => Ok(()),
        _ => Err(StoreError::Fenced),
    }
}
