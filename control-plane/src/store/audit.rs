//! The audit trail: every write, every refusal, every token. The database itself refuses to change
//! or remove a row.

use sluice_model::Revision;

use super::id::{NO_REVISION, UnixMillis};
use super::revision::MAX_PAGE;
use super::session::{Mode, Row, Session, stored};
use super::{Store, StoreError};

/// Longest detail that is kept, in bytes: refused input must not fill the database.
const MAX_DETAIL: usize = 16 * 1024;

/// What was done, as a closed set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditAction {
    /// A write became a revision; the detail is its message.
    Commit,
    /// A write that brought an older revision back; the detail is its message.
    Rollback,
    /// A write was refused; the detail says why.
    Refused,
    /// A token was made; the detail is its id.
    TokenCreated,
    /// A token was withdrawn; the detail is its id.
    TokenRevoked,
    /// Labels of a proxy were set; the detail is its id and the labels.
    ProxyLabelled,
    /// A join token was made; the detail is its id.
    JoinTokenCreated,
    /// A join token was withdrawn; the detail is its id.
    JoinTokenRevoked,
    /// A proxy got its first certificate; the detail is its id.
    ProxyJoined,
    /// The certificate of a proxy was taken back; the detail is its id.
    ProxyRevoked,
    /// A new certificate authority began to take over; the detail is its number.
    AuthorityRotated,
    /// A debug token was made; the detail is its host and for how long.
    DebugTokenCreated,
}

impl AuditAction {
    /// Every one.
    pub const ALL: [Self; 12] = [
        Self::Commit,
        Self::Rollback,
        Self::Refused,
        Self::TokenCreated,
        Self::TokenRevoked,
        Self::ProxyLabelled,
        Self::JoinTokenCreated,
        Self::JoinTokenRevoked,
        Self::ProxyJoined,
        Self::ProxyRevoked,
        Self::AuthorityRotated,
        Self::DebugTokenCreated,
    ];

    /// The one of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == name)
    }

    /// The name that is stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Commit => "commit",
            Self::Rollback => "rollback",
            Self::Refused => "refused",
            Self::TokenCreated => "tokenCreated",
            Self::TokenRevoked => "tokenRevoked",
            Self::ProxyLabelled => "proxyLabelled",
            Self::JoinTokenCreated => "joinTokenCreated",
            Self::JoinTokenRevoked => "joinTokenRevoked",
            Self::ProxyJoined => "proxyJoined",
            Self::ProxyRevoked => "proxyRevoked",
            Self::AuthorityRotated => "authorityRotated",
            Self::DebugTokenCreated => "debugTokenCreated",
        }
    }
}

/// What was done, as it was read: builds of later versions may do what this one does not know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordedAction {
    /// One that this build knows.
    Known(AuditAction),
    /// One that it does not, by its name.
    Later(String),
}

impl RecordedAction {
    fn read(name: String) -> Self {
        AuditAction::parse(&name).map_or(Self::Later(name), Self::Known)
    }

    /// The name that is stored and shown.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Known(action) => action.as_str(),
            Self::Later(name) => name,
        }
    }
}

impl PartialEq<AuditAction> for RecordedAction {
    fn eq(&self, other: &AuditAction) -> bool {
        matches!(self, Self::Known(action) if action == other)
    }
}

/// One line of the trail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// Point in the trail; grows.
    pub id: u64,
    /// The revision it led to, if any.
    pub revision: Option<Revision>,
    /// When.
    pub at: UnixMillis,
    /// Who.
    pub author: String,
    /// What.
    pub action: RecordedAction,
    /// See [`AuditAction`]; at most 16 KiB.
    pub detail: String,
}

/// Which lines of the trail are wanted: those for which all of it holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Below this point.
    pub before: Option<u64>,
    /// Of this author.
    pub author: Option<String>,
    /// Of this sort.
    pub action: Option<AuditAction>,
}

impl Store {
    /// Records a write that was refused. `detail` is cut to 16 KiB and must hold no secret.
    pub async fn record_refusal(&self, at: UnixMillis, author: &str, detail: &str) -> Result<(), StoreError> {
        let mut session = self.begin(Mode::Write).await?;
        append(
            &mut session,
            NO_REVISION,
            at,
            author,
            AuditAction::Refused,
            detail,
        )
        .await?;
        session.commit().await
    }

    /// Records something that was done to a record of the control plane itself.
    pub async fn record_action(
        &self,
        at: UnixMillis,
        author: &str,
        action: AuditAction,
        detail: &str,
    ) -> Result<(), StoreError> {
        let mut session = self.begin(Mode::Write).await?;
        append(&mut session, NO_REVISION, at, author, action, detail).await?;
        session.commit().await
    }

    /// Entries that `filter` asks for, newest first, at most `limit` and [`MAX_PAGE`].
    pub async fn audit(&self, filter: &AuditFilter, limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
        let sql = format!(
            "SELECT id, revision, at_ms, author, action, detail FROM audit \
             WHERE id < $1 AND ($2 = '' OR author = $2) AND ($3 = '' OR action = $3) \
             ORDER BY id DESC LIMIT {}",
            limit.min(MAX_PAGE)
        );
        let select = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(filter.before.map_or(i64::MAX, stored))
            .bind(filter.author.as_deref().unwrap_or_default())
            .bind(filter.action.map_or("", AuditAction::as_str));
        let mut session = self.begin(Mode::Read).await?;
        let rows = session.rows(select).await?;
        session.rollback().await?;
        rows.iter().map(entry).collect()
    }
}

/// Adds a line within the transaction of what it tells about.
pub(super) async fn append(
    session: &mut Session,
    revision: Revision,
    at: UnixMillis,
    author: &str,
    action: AuditAction,
    detail: &str,
) -> Result<(), StoreError> {
    let insert = sqlx::query(
        "INSERT INTO audit (revision, at_ms, author, action, detail) VALUES ($1, $2, $3, $4, $5)",
    )
    .bind(stored(revision.0))
    .bind(stored(at.0))
    .bind(author)
    .bind(action.as_str())
    .bind(&detail[..detail.floor_char_boundary(MAX_DETAIL)]);
    session.execute(insert).await?;
    Ok(())
}

fn entry(row: &Row) -> Result<AuditEntry, StoreError> {
    let revision = Revision(row.number(1)?);
    Ok(AuditEntry {
        id: row.number(0)?,
        revision: (revision != NO_REVISION).then_some(revision),
        at: UnixMillis(row.number(2)?),
        author: row.text(3)?,
        action: RecordedAction::read(row.text(4)?),
        detail: row.text(5)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_later_version_did_is_shown_by_its_name() {
        for action in AuditAction::ALL {
            let read = RecordedAction::read(action.as_str().to_owned());
            assert_eq!(read, RecordedAction::Known(action));
            assert_eq!(read, action);
        }
        let later = RecordedAction::read("moonLanded".to_owned());
        assert_eq!(later.as_str(), "moonLanded");
        assert_ne!(later, AuditAction::Commit);
    }
}
