//! For views whose newest revision is refused: the one that was good, where newcomers start.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sluice_model::HistoryId;

use super::session::{Mode, Session};
use super::{Store, StoreError};

/// What is known of one view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fallback {
    /// The newest revision that proxies of the view accepted.
    pub good: u64,
    /// The newest that one of them refused.
    pub refused: u64,
}

impl Store {
    /// The fallbacks of `history`, by view; those of another one count for nothing.
    pub async fn fallbacks(&self, history: HistoryId) -> Result<BTreeMap<String, Fallback>, StoreError> {
        let mut session = self.begin(Mode::Read).await?;
        let found = read(&mut session, history).await?;
        session.rollback().await?;
        Ok(found)
    }

    /// Changes the fallbacks of `history` as `change` says, given those that there are.
    pub async fn change_fallbacks(
        &self,
        history: HistoryId,
        change: impl FnOnce(&mut BTreeMap<String, Fallback>),
    ) -> Result<(), StoreError> {
        let mut session = self.begin(Mode::Write).await?;
        // Takes the row's lock: two replicas that change it at a time lose nothing.
        let lock = sqlx::query("UPDATE good_revisions SET id = id WHERE id = 1");
        session.execute(lock).await?;
        let mut views = read(&mut session, history).await?;
        change(&mut views);
        // Numbers and texts: there is nothing in it that JSON cannot hold.
        let text = serde_json::to_string(&views).unwrap_or_default();
        let update = sqlx::query("UPDATE good_revisions SET history = $1, views = $2 WHERE id = 1")
            .bind(history.to_string())
            .bind(text);
        session.execute(update).await?;
        session.commit().await
    }
}

async fn read(session: &mut Session, history: HistoryId) -> Result<BTreeMap<String, Fallback>, StoreError> {
    let select = sqlx::query("SELECT history, views FROM good_revisions WHERE id = 1");
    let row = session.row(select).await?.ok_or(StoreError::Corrupt)?;
    if row.text(0)? != history.to_string() {
        return Ok(BTreeMap::new());
    }
    serde_json::from_str(&row.text(1)?).map_err(|_| StoreError::Corrupt)
}
