//! Join tokens: with one of them a proxy gets its first certificate. The secret is never stored,
//! only its hash.

use std::collections::BTreeMap;

use super::audit::{self, AuditAction};
use super::id::{NO_REVISION, UnixMillis};
use super::session::{Mode, Row, Session, stored};
use super::{Store, StoreError, TokenHash};

/// What is known of a join token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinToken {
    /// Public name of the token, unique.
    pub id: String,
    /// Of its secret.
    pub hash: TokenHash,
    /// The only proxy that may use it; any without.
    pub proxy: Option<String>,
    /// Labels that whoever uses it has from then on, whatever it says itself.
    pub labels: BTreeMap<String, String>,
    /// When it was made.
    pub created_at: UnixMillis,
    /// From when on it is no longer accepted.
    pub expires_at: UnixMillis,
    /// When it was withdrawn.
    pub revoked_at: Option<UnixMillis>,
    /// Who used it.
    pub used: Option<JoinTokenUse>,
}

/// The one use of a join token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinTokenUse {
    /// When.
    pub at: UnixMillis,
    /// The proxy that it made.
    pub proxy: String,
    /// SHA-256 of that proxy's public key, in hexadecimal: it may come again, as long as the token
    /// has not expired.
    pub key: String,
}

const COLUMNS: &str = "id, hash, proxy, labels, created_at_ms, expires_at_ms, revoked_at_ms, \
                       used_at_ms, used_by, used_key";
/// Most join tokens that one store holds and lists.
const MAX_TOKENS: u64 = 20_000;
/// How long one is kept after it has expired, for whoever looks who used it: 30 days.
const KEPT_MS: u64 = 30 * 24 * 3_600_000;

impl Store {
    /// Stores a new join token, whose id must be new. Those that expired long ago go.
    ///
    /// # Errors
    /// [`StoreError::Full`] with 20,000 of them.
    pub async fn create_join_token(&self, token: &JoinToken, author: &str) -> Result<(), StoreError> {
        let mut session = self.begin(Mode::Write).await?;
        let old = stored(token.created_at.0.saturating_sub(KEPT_MS));
        let prune = sqlx::query("DELETE FROM join_tokens WHERE expires_at_ms < $1").bind(old);
        session.execute(prune).await?;
        let insert = sqlx::query(
            "INSERT INTO join_tokens (id, hash, proxy, labels, created_at_ms, expires_at_ms, \
             revoked_at_ms, used_at_ms, used_by, used_key) \
             SELECT $1, $2, $3, $4, $5, $6, 0, 0, '', '' \
             WHERE (SELECT COUNT(*) FROM join_tokens) < $7",
        )
        .bind(token.id.as_str())
        .bind(token.hash.as_str())
        .bind(token.proxy.as_deref().unwrap_or_default())
        .bind(write_labels(&token.labels))
        .bind(stored(token.created_at.0))
        .bind(stored(token.expires_at.0))
        .bind(stored(MAX_TOKENS));
        if session.execute(insert).await? == 0 {
            session.rollback().await?;
            return Err(StoreError::Full);
        }
        let (at, action) = (token.created_at, AuditAction::JoinTokenCreated);
        audit::append(&mut session, NO_REVISION, at, author, action, &token.id).await?;
        session.commit().await
    }

    /// All join tokens, oldest first, those that are used, withdrawn or expired included.
    pub async fn join_tokens(&self) -> Result<Vec<JoinToken>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM join_tokens ORDER BY created_at_ms, id LIMIT {MAX_TOKENS}");
        let mut session = self.begin(Mode::Read).await?;
        let rows = session.rows(sqlx::query(sqlx::AssertSqlSafe(sql))).await?;
        session.rollback().await?;
        rows.iter().map(read).collect()
    }

    /// Withdraws a join token; `false` when there is none that still stands. A proxy that used it
    /// keeps its certificate.
    pub async fn revoke_join_token(
        &self,
        id: &str,
        author: &str,
        at: UnixMillis,
    ) -> Result<bool, StoreError> {
        let update =
            sqlx::query("UPDATE join_tokens SET revoked_at_ms = $1 WHERE id = $2 AND revoked_at_ms = 0")
                .bind(stored(at.0))
                .bind(id);
        let mut session = self.begin(Mode::Write).await?;
        let revoked = session.execute(update).await? == 1;
        if revoked {
            let action = AuditAction::JoinTokenRevoked;
            audit::append(&mut session, NO_REVISION, at, author, action, id).await?;
        }
        session.commit().await?;
        Ok(revoked)
    }
}

/// One token.
pub(super) async fn find(session: &mut Session, id: &str) -> Result<Option<JoinToken>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM join_tokens WHERE id = $1");
    let select = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(id);
    session.row(select).await?.as_ref().map(read).transpose()
}

/// Marks the token as used.
pub(super) async fn mark(session: &mut Session, id: &str, used: &JoinTokenUse) -> Result<(), StoreError> {
    let update =
        sqlx::query("UPDATE join_tokens SET used_at_ms = $1, used_by = $2, used_key = $3 WHERE id = $4")
            .bind(stored(used.at.0))
            .bind(used.proxy.as_str())
            .bind(used.key.as_str())
            .bind(id);
    session.execute(update).await.map(drop)
}

/// Labels as they are stored.
pub(super) fn write_labels(labels: &BTreeMap<String, String>) -> String {
    // Texts: there is nothing in them that JSON cannot hold.
    serde_json::to_string(labels).unwrap_or_default()
}

/// Labels as they were stored.
pub(super) fn read_labels(text: &str) -> Result<BTreeMap<String, String>, StoreError> {
    serde_json::from_str(text).map_err(|_| StoreError::Corrupt)
}

fn read(row: &Row) -> Result<JoinToken, StoreError> {
    let optional = |time: u64| (time != 0).then_some(UnixMillis(time));
    let (at, proxy, key) = (optional(row.number(7)?), row.text(8)?, row.text(9)?);
    Ok(JoinToken {
        id: row.text(0)?,
        hash: TokenHash::stored(row.text(1)?),
        proxy: Some(row.text(2)?).filter(|proxy| !proxy.is_empty()),
        labels: read_labels(&row.text(3)?)?,
        created_at: UnixMillis(row.number(4)?),
        expires_at: UnixMillis(row.number(5)?),
        revoked_at: optional(row.number(6)?),
        used: at.map(|at| JoinTokenUse { at, proxy, key }),
    })
}
