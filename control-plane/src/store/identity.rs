//! Identities: which proxy may come with which key, and until when. Every change has a number, in
//! the order of commits, so that replicas read only what is new to them.

use std::collections::BTreeMap;

use thiserror::Error;

use super::audit::{self, AuditAction};
use super::id::{NO_REVISION, UnixMillis};
use super::join_token::{self, JoinToken, JoinTokenUse, read_labels, write_labels};
use super::session::{Mode, Row, Session, stored};
use super::watch::{CHANNEL, notify};
use super::{Store, StoreError, TokenHash};

/// A proxy that has, or had, a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Its id in the fleet.
    pub proxy: String,
    /// SHA-256 of its public key, in hexadecimal.
    pub key: String,
    /// Labels that its join token gave it.
    pub labels: BTreeMap<String, String>,
    /// When it joined.
    pub joined_at: UnixMillis,
    /// Until when its newest certificate is good.
    pub not_after: UnixMillis,
    /// When it was taken back.
    pub revoked_at: Option<UnixMillis>,
    /// Number of the last change.
    pub version: u64,
}

/// A proxy that wants to join.
#[derive(Clone, Debug)]
pub struct Joining<'a> {
    /// Public name of its join token.
    pub token: &'a str,
    /// Of the token's secret.
    pub hash: &'a TokenHash,
    /// The id it wants.
    pub proxy: &'a str,
    /// SHA-256 of its public key, in hexadecimal.
    pub key: &'a str,
    /// Until when its certificate will be good.
    pub not_after: UnixMillis,
}

/// Why a proxy does not join.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum JoinRefusal {
    /// There is no such token, or its secret is another.
    #[error("the join token is unknown")]
    Unknown,
    /// It was withdrawn.
    #[error("the join token was withdrawn")]
    Withdrawn,
    /// Its time is over.
    #[error("the join token has expired")]
    Expired,
    /// Another key has used it.
    #[error("the join token was used before, by another proxy or another key: make a new one")]
    Used,
    /// It is for another proxy.
    #[error("the join token is for another proxy")]
    OtherProxy,
    /// A certificate of another key is still good.
    #[error("this id belongs to another key: revoke its certificate first, or wait until it has expired")]
    Taken,
    /// The key was taken back, and may be known to others.
    #[error("the certificate of this key was revoked: join with a new token, which makes a new key")]
    RevokedKey,
    /// There are as many identities as there can be.
    #[error("there are as many identities as can be")]
    Full,
}

/// Why no identity was stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum EnrolError {
    /// The proxy may not.
    #[error(transparent)]
    Refused(#[from] JoinRefusal),
    /// The store does not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

const COLUMNS: &str = "proxy, public_key, labels, joined_at_ms, not_after_ms, revoked_at_ms, version";
/// Most identities that one store holds.
const MAX_IDENTITIES: u64 = 40_000;
/// How long one is kept after its certificate has expired: 30 days.
const KEPT_MS: u64 = 30 * 24 * 3_600_000;
/// Rows per statement.
const PAGE: u32 = 1_000;
/// Payload of the notification.
const CHANGED: &str = "identities";

impl Store {
    /// Uses up the join token and stores the identity, in one transaction. The same proxy with the
    /// same key may do it again while the token lasts, for it may not have heard the answer.
    ///
    /// # Errors
    /// When it may not, or the store does not do it.
    pub async fn enrol(&self, joining: &Joining<'_>, now: UnixMillis) -> Result<Identity, EnrolError> {
        // Whoever has nothing to show must not hold up those who write.
        let mut session = self.begin(Mode::Read).await?;
        let looked = labels_of(&mut session, joining, now).await?;
        session.rollback().await?;
        looked?;
        let mut session = self.begin(Mode::Write).await?;
        // First of all: whoever else enrols waits here, so nothing that is read below changes.
        let version = next_version(&mut session).await?;
        let labels = match labels_of(&mut session, joining, now).await? {
            Ok(labels) => labels,
            Err(refusal) => {
                session.rollback().await?;
                return Err(refusal.into());
            }
        };
        let identity = Identity {
            proxy: joining.proxy.to_owned(),
            key: joining.key.to_owned(),
            labels,
            joined_at: now,
            not_after: joining.not_after,
            revoked_at: None,
            version,
        };
        let used = JoinTokenUse {
            at: now,
            proxy: identity.proxy.clone(),
            key: identity.key.clone(),
        };
        join_token::mark(&mut session, joining.token, &used).await?;
        if !put(&mut session, &identity).await? {
            session.rollback().await?;
            return Err(JoinRefusal::Full.into());
        }
        let author = format!("join-token/{}", joining.token);
        let (action, detail) = (AuditAction::ProxyJoined, &*identity.proxy);
        audit::append(&mut session, NO_REVISION, now, &author, action, detail).await?;
        self.tell(session).await?;
        Ok(identity)
    }

    /// Notes that the proxy has a certificate that is good until `not_after`; `false` when it has
    /// another key by now, or was revoked.
    pub async fn renew_identity(
        &self,
        proxy: &str,
        key: &str,
        not_after: UnixMillis,
    ) -> Result<bool, StoreError> {
        let mut session = self.begin(Mode::Write).await?;
        let version = next_version(&mut session).await?;
        let update = sqlx::query(
            "UPDATE identities SET not_after_ms = $1, version = $2 \
             WHERE proxy = $3 AND public_key = $4 AND revoked_at_ms = 0",
        )
        .bind(stored(not_after.0))
        .bind(stored(version))
        .bind(proxy)
        .bind(key);
        let renewed = session.execute(update).await? == 1;
        self.tell(session).await?;
        Ok(renewed)
    }

    /// Takes the certificate of a proxy back; `false` when it has none that still stands.
    pub async fn revoke_identity(
        &self,
        proxy: &str,
        author: &str,
        at: UnixMillis,
    ) -> Result<bool, StoreError> {
        let mut session = self.begin(Mode::Write).await?;
        let version = next_version(&mut session).await?;
        let update = sqlx::query(
            "UPDATE identities SET revoked_at_ms = $1, version = $2 WHERE proxy = $3 AND revoked_at_ms = 0",
        )
        .bind(stored(at.0))
        .bind(stored(version))
        .bind(proxy);
        let revoked = session.execute(update).await? == 1;
        if revoked {
            let action = AuditAction::ProxyRevoked;
            audit::append(&mut session, NO_REVISION, at, author, action, proxy).await?;
        }
        self.tell(session).await?;
        Ok(revoked)
    }

    /// Identities that changed after change number `version`, in that order.
    pub async fn identities_since(&self, version: u64) -> Result<Vec<Identity>, StoreError> {
        let sql =
            format!("SELECT {COLUMNS} FROM identities WHERE version > $1 ORDER BY version LIMIT {PAGE}");
        let mut session = self.begin(Mode::Read).await?;
        let mut found: Vec<Identity> = Vec::new();
        loop {
            let last = found.last().map_or(version, |last| last.version);
            let page = sqlx::query(sqlx::AssertSqlSafe(sql.as_str())).bind(stored(last));
            let page = session.rows(page).await?;
            for row in &page {
                found.push(read(row)?);
            }
            if page.len() < PAGE as usize {
                break;
            }
        }
        session.rollback().await?;
        Ok(found)
    }

    /// Commits a change of identities, and has every replica look.
    async fn tell(&self, mut session: Session) -> Result<(), StoreError> {
        notify(&mut session, CHANNEL, CHANGED).await?;
        session.commit().await?;
        self.connection.signal();
        Ok(())
    }
}

/// The labels that the proxy gets, or why it gets nothing, as things are in this transaction.
async fn labels_of(
    session: &mut Session,
    joining: &Joining<'_>,
    now: UnixMillis,
) -> Result<Result<BTreeMap<String, String>, JoinRefusal>, StoreError> {
    let token = join_token::find(session, joining.token).await?;
    let token = token.filter(|token| token.hash == *joining.hash);
    let before = find(session, joining.proxy).await?;
    Ok(judge(joining, token, before.as_ref(), now))
}

fn judge(
    joining: &Joining<'_>,
    token: Option<JoinToken>,
    before: Option<&Identity>,
    now: UnixMillis,
) -> Result<BTreeMap<String, String>, JoinRefusal> {
    let token = token.ok_or(JoinRefusal::Unknown)?;
    let is_other = |used: &JoinTokenUse| used.proxy != joining.proxy || used.key != joining.key;
    if token.revoked_at.is_some() {
        return Err(JoinRefusal::Withdrawn);
    }
    if now >= token.expires_at {
        return Err(JoinRefusal::Expired);
    }
    if token.proxy.as_ref().is_some_and(|proxy| proxy != joining.proxy) {
        return Err(JoinRefusal::OtherProxy);
    }
    if token.used.as_ref().is_some_and(is_other) {
        return Err(JoinRefusal::Used);
    }
    match before {
        Some(before) if before.revoked_at.is_some() && before.key == joining.key => {
            Err(JoinRefusal::RevokedKey)
        }
        Some(before)
            if before.revoked_at.is_none() && before.key != joining.key && now < before.not_after =>
        {
            Err(JoinRefusal::Taken)
        }
        Some(_) | None => Ok(token.labels),
    }
}

async fn next_version(session: &mut Session) -> Result<u64, StoreError> {
    session
        .execute(sqlx::query(
            "UPDATE enrolment SET version = version + 1 WHERE id = 1",
        ))
        .await?;
    let row = session
        .row(sqlx::query("SELECT version FROM enrolment WHERE id = 1"))
        .await?;
    row.ok_or(StoreError::Corrupt)?.number(0)
}

async fn find(session: &mut Session, proxy: &str) -> Result<Option<Identity>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM identities WHERE proxy = $1");
    let select = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(proxy);
    session.row(select).await?.as_ref().map(read).transpose()
}

/// Puts the identity in the place of whoever had the id; `false` when there is no room.
async fn put(session: &mut Session, identity: &Identity) -> Result<bool, StoreError> {
    let old = stored(identity.joined_at.0.saturating_sub(KEPT_MS));
    let gone = sqlx::query("DELETE FROM identities WHERE not_after_ms < $1 OR proxy = $2")
        .bind(old)
        .bind(identity.proxy.as_str());
    session.execute(gone).await?;
    let insert = sqlx::query(
        "INSERT INTO identities (proxy, public_key, labels, joined_at_ms, not_after_ms, revoked_at_ms, \
         version) SELECT $1, $2, $3, $4, $5, 0, $6 WHERE (SELECT COUNT(*) FROM identities) < $7",
    )
    .bind(identity.proxy.as_str())
    .bind(identity.key.as_str())
    .bind(write_labels(&identity.labels))
    .bind(stored(identity.joined_at.0))
    .bind(stored(identity.not_after.0))
    .bind(stored(identity.version))
    .bind(stored(MAX_IDENTITIES));
    Ok(session.execute(insert).await? == 1)
}

fn read(row: &Row) -> Result<Identity, StoreError> {
    let revoked = row.number(5)?;
    Ok(Identity {
        proxy: row.text(0)?,
        key: row.text(1)?,
        labels: read_labels(&row.text(2)?)?,
        joined_at: UnixMillis(row.number(3)?),
        not_after: UnixMillis(row.number(4)?),
        revoked_at: (revoked != 0).then_some(UnixMillis(revoked)),
        version: row.number(6)?,
    })
}
