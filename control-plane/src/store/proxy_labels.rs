//! Labels of proxies that operators set.

use std::collections::BTreeMap;

use super::audit::{self, AuditAction};
use super::id::{NO_REVISION, UnixMillis};
use super::session::{Mode, Row, Session, stored};
use super::watch::{CHANNEL, notify};
use super::{Store, StoreError};

/// Proxies that can have labels here.
const MAX_PROXIES: u64 = 20_000;

/// What was said last of one proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyLabels {
    /// Its id.
    pub proxy: String,
    /// All its labels; none is what is left of those that were taken away.
    pub labels: BTreeMap<String, String>,
    /// Counts changes of any proxy's labels, in the order of their commits.
    pub version: u64,
}

impl Store {
    /// The labels that changed after `version`, in order; all of them after 0.
    pub async fn proxy_labels_since(&self, version: u64) -> Result<Vec<ProxyLabels>, StoreError> {
        let select = sqlx::query(
            "SELECT proxy, labels, version FROM proxy_labels WHERE version > $1 ORDER BY version",
        )
        .bind(stored(version));
        let mut session = self.begin(Mode::Read).await?;
        let rows = session.rows(select).await?;
        session.rollback().await?;
        let entry = |row: &Row| {
            Ok(ProxyLabels {
                proxy: row.text(0)?,
                labels: read(&row.text(1)?)?,
                version: row.number(2)?,
            })
        };
        rows.iter().map(entry).collect()
    }

    /// Changes the labels of `proxy` as `change` says, given those that there are, and tells all
    /// replicas; what they are then. Two changes at a time come one after the other.
    ///
    /// # Errors
    /// [`StoreError::Full`] past 20,000 proxies; what `change` refuses is the inner result.
    pub async fn change_proxy_labels<E>(
        &self,
        proxy: &str,
        author: &str,
        at: UnixMillis,
        change: impl FnOnce(BTreeMap<String, String>) -> Result<BTreeMap<String, String>, E>,
    ) -> Result<Result<BTreeMap<String, String>, E>, StoreError> {
        let mut session = self.begin(Mode::Write).await?;
        // The row's lock makes the order of versions the order of commits.
        let count = sqlx::query("UPDATE proxy_labels_version SET version = version + 1 WHERE id = 1");
        session.execute(count).await?;
        let known = find(&mut session, proxy).await?;
        let labels = match change(known.clone().unwrap_or_default()) {
            Ok(labels) => labels,
            Err(refusal) => {
                session.rollback().await?;
                return Ok(Err(refusal));
            }
        };
        if known.as_ref().is_none_or(|known| *known != labels) {
            put(&mut session, proxy, &labels).await?;
            let detail = format!("{proxy} {}", written(&labels));
            let action = AuditAction::ProxyLabelled;
            audit::append(&mut session, NO_REVISION, at, author, action, &detail).await?;
            notify(&mut session, CHANNEL, "proxyLabels").await?;
            session.commit().await?;
            self.connection.signal();
        } else {
            session.rollback().await?;
        }
        Ok(Ok(labels))
    }
}

async fn find(session: &mut Session, proxy: &str) -> Result<Option<BTreeMap<String, String>>, StoreError> {
    let select = sqlx::query("SELECT labels FROM proxy_labels WHERE proxy = $1").bind(proxy);
    let row = session.row(select).await?;
    row.map(|row| read(&row.text(0)?)).transpose()
}

async fn put(
    session: &mut Session,
    proxy: &str,
    labels: &BTreeMap<String, String>,
) -> Result<(), StoreError> {
    let upsert = sqlx::query(
        "INSERT INTO proxy_labels (proxy, labels, version) \
         SELECT $1, $2, version FROM proxy_labels_version \
         WHERE (SELECT COUNT(*) FROM proxy_labels WHERE proxy <> $1) < $3 \
         ON CONFLICT (proxy) DO UPDATE SET labels = excluded.labels, version = excluded.version",
    )
    .bind(proxy)
    .bind(written(labels))
    .bind(stored(MAX_PROXIES));
    match session.execute(upsert).await? {
        0 => Err(StoreError::Full),
        _ => Ok(()),
    }
}

/// Strings: there is nothing in it that JSON cannot hold.
fn written(labels: &BTreeMap<String, String>) -> String {
    serde_json::to_string(labels).unwrap_or_default()
}

fn read(text: &str) -> Result<BTreeMap<String, String>, StoreError> {
    serde_json::from_str(text).map_err(|_| StoreError::Corrupt)
}
