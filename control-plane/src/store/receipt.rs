//! The last summary of each revision's receipt. Live receipts are in memory; this is what is left
//! of one after a restart.

use sluice_model::Revision;

use super::id::UnixMillis;
use super::leader::{Epoch, fence};
use super::session::{Mode, stored};
use super::{Store, StoreError};

/// What was last known of a revision's way through the fleet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredReceipt {
    /// The receipt as JSON.
    pub summary: String,
    /// When it was stored.
    pub updated_at: UnixMillis,
    /// Whether the whole fleet had the revision; then it is final.
    pub complete: bool,
}

impl Store {
    /// Stores the summaries of these revisions, each in place of the one before unless that is newer or
    /// final; the leader's to do. In one transaction: each would have the disk write, and those who
    /// change something wait meanwhile.
    pub async fn put_receipts(
        &self,
        epoch: &Epoch,
        receipts: &[(Revision, StoredReceipt)],
    ) -> Result<(), StoreError> {
        if receipts.is_empty() {
            return Ok(());
        }
        let mut session = self.begin(Mode::Write).await?;
        fence(&mut session, epoch).await?;
        for (revision, receipt) in receipts {
            let upsert = sqlx::query(
                "INSERT INTO receipts (revision, summary, updated_at_ms, complete) VALUES ($1, $2, $3, $4) \
                 ON CONFLICT (revision) DO UPDATE SET summary = excluded.summary, \
                 updated_at_ms = excluded.updated_at_ms, complete = excluded.complete \
                 WHERE receipts.complete = 0 AND (excluded.complete = 1 \
                 OR receipts.updated_at_ms <= excluded.updated_at_ms)",
            );
            let upsert = upsert
                .bind(stored(revision.0))
                .bind(receipt.summary.as_str())
                .bind(stored(receipt.updated_at.0))
                .bind(i64::from(receipt.complete));
            session.execute(upsert).await?;
        }
        session.commit().await
    }

    /// The last summary of `revision`, if one was stored.
    pub async fn receipt(&self, revision: Revision) -> Result<Option<StoredReceipt>, StoreError> {
        let select = sqlx::query("SELECT summary, updated_at_ms, complete FROM receipts WHERE revision = $1")
            .bind(stored(revision.0));
        let mut session = self.begin(Mode::Read).await?;
        let row = session.row(select).await?;
        session.rollback().await?;
        row.map(|row| {
            Ok(StoredReceipt {
                summary: row.text(0)?,
                updated_at: UnixMillis(row.number(1)?),
                complete: row.number(2)? == 1,
            })
        })
        .transpose()
    }
}
