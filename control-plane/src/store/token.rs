//! Bearer tokens. The secret is never stored, only its hash.

use std::fmt;

use super::audit::{self, AuditAction};
use super::id::{NO_REVISION, UnixMillis};
use super::session::{Mode, Row, Session, stored};
use super::{Scope, Store, StoreError};

/// BLAKE3 of a token's secret. Secrets are random and long, so a plain hash cannot be reversed.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenHash(String);

impl TokenHash {
    /// The hash of a secret as the client sends it.
    pub fn of(secret: &str) -> Self {
        Self(blake3::hash(secret.as_bytes()).to_hex().to_string())
    }

    pub(super) fn stored(text: String) -> Self {
        Self(text)
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(..)")
    }
}

/// What is known of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Public name of the token, unique.
    pub id: String,
    /// What it is for, in its creator's words.
    pub name: String,
    /// Finds the token when its secret is presented.
    pub hash: TokenHash,
    /// When it was made.
    pub created_at: UnixMillis,
    /// From when on it is no longer accepted.
    pub expires_at: Option<UnixMillis>,
    /// When it was withdrawn.
    pub revoked_at: Option<UnixMillis>,
    /// What it may do.
    pub scope: Scope,
}

impl Token {
    /// Whether the token opens anything at `now`.
    pub fn is_valid(&self, now: UnixMillis) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| now < end)
    }
}

const COLUMNS: &str = "id, name, hash, created_at_ms, expires_at_ms, revoked_at_ms, scope";
/// What the hashes of tokens with grants begin with in the store; no hash does.
const LIMITED: &str = "limited:";
/// Most tokens that one store holds and lists.
const MAX_TOKENS: usize = 10_000;

impl Store {
    /// Stores a new token. Its id and hash must be new.
    pub async fn create_token(&self, token: &Token, author: &str) -> Result<(), StoreError> {
        let insert = sqlx::query(
            "INSERT INTO tokens (id, name, hash, created_at_ms, expires_at_ms, revoked_at_ms, scope) \
             SELECT $1, $2, $3, $4, $5, $6, $7 WHERE (SELECT COUNT(*) FROM tokens) < $8",
        )
        .bind(token.id.as_str())
        .bind(token.name.as_str())
        .bind(written_hash(token))
        .bind(stored(token.created_at.0))
        .bind(stored(token.expires_at.unwrap_or_default().0))
        .bind(stored(token.revoked_at.unwrap_or_default().0))
        .bind(write_scope(&token.scope))
        .bind(stored(MAX_TOKENS as u64));
        let mut session = self.begin(Mode::Write).await?;
        if session.execute(insert).await? == 0 {
            session.rollback().await?;
            return Err(StoreError::Full);
        }
        note(
            &mut session,
            token.created_at,
            author,
            AuditAction::TokenCreated,
            &token.id,
        )
        .await?;
        session.commit().await
    }

    /// All tokens, oldest first, the withdrawn ones included.
    pub async fn tokens(&self) -> Result<Vec<Token>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM tokens ORDER BY created_at_ms, id LIMIT {MAX_TOKENS}");
        let mut session = self.begin(Mode::Read).await?;
        let rows = session.rows(sqlx::query(sqlx::AssertSqlSafe(sql))).await?;
        session.rollback().await?;
        rows.iter().map(token).collect()
    }

    /// The token with this hash, valid or not.
    pub async fn find_token(&self, hash: &TokenHash) -> Result<Option<Token>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM tokens WHERE hash = $1 OR hash = $2");
        let select = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(hash.0.as_str())
            .bind(format!("{LIMITED}{}", hash.0));
        let mut session = self.begin(Mode::Read).await?;
        let row = session.row(select).await?;
        session.rollback().await?;
        row.as_ref().map(token).transpose()
    }

    /// Withdraws a token; `false` when there is none that still stands.
    pub async fn revoke_token(&self, id: &str, author: &str, at: UnixMillis) -> Result<bool, StoreError> {
        let update = sqlx::query("UPDATE tokens SET revoked_at_ms = $1 WHERE id = $2 AND revoked_at_ms = 0")
            .bind(stored(at.0))
            .bind(id);
        let mut session = self.begin(Mode::Write).await?;
        let revoked = session.execute(update).await? == 1;
        if revoked {
            note(&mut session, at, author, AuditAction::TokenRevoked, id).await?;
        }
        session.commit().await?;
        Ok(revoked)
    }
}

async fn note(
    session: &mut Session,
    at: UnixMillis,
    author: &str,
    action: AuditAction,
    id: &str,
) -> Result<(), StoreError> {
    audit::append(session, NO_REVISION, at, author, action, id).await
}

fn token(row: &Row) -> Result<Token, StoreError> {
    let optional = |time: u64| (time != 0).then_some(UnixMillis(time));
    Ok(Token {
        id: row.text(0)?,
        name: row.text(1)?,
        hash: TokenHash(row.text(2)?.trim_start_matches(LIMITED).to_owned()),
        created_at: UnixMillis(row.number(3)?),
        expires_at: optional(row.number(4)?),
        revoked_at: optional(row.number(5)?),
        scope: read_scope(&row.text(6)?),
    })
}

/// A token that may not do everything is not found by builds that do not know of grants.
fn written_hash(token: &Token) -> String {
    match token.scope {
        Scope::Everything => token.hash.0.clone(),
        Scope::Granted(_) => format!("{LIMITED}{}", token.hash.0),
    }
}

/// Empty is everything.
fn write_scope(scope: &Scope) -> String {
    // Words: there is nothing in it that JSON cannot hold.
    let written = scope.grants().map(serde_json::to_string);
    written.and_then(Result::ok).unwrap_or_default()
}

/// Only the empty text is everything.
fn read_scope(text: &str) -> Scope {
    match text {
        "" => Scope::Everything,
        grants => Scope::stored(grants),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_opens_until_it_expires_or_is_revoked() {
        let token = Token {
            id: "t1".into(),
            name: "ci".into(),
            hash: TokenHash::of("secret"),
            created_at: UnixMillis(1),
            expires_at: Some(UnixMillis(10)),
            revoked_at: None,
            scope: Scope::Everything,
        };
        assert!(token.is_valid(UnixMillis(9)));
        assert!(!token.is_valid(UnixMillis(10)));
        assert!(
            Token {
                expires_at: None,
                ..token.clone()
            }
            .is_valid(UnixMillis(u64::MAX))
        );
        assert!(
            !Token {
                revoked_at: Some(UnixMillis(5)),
                ..token.clone()
            }
            .is_valid(UnixMillis(6))
        );
        assert!(!format!("{token:?}").contains(&token.hash.0));
    }
}
