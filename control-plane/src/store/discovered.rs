//! What sources of endpoints knew when they were last heard of. No resource, no secret and no history:
//! a hint for the next start.

use super::session::{Mode, Session};
use super::{Store, StoreError};

/// What is to become of what one source knew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discovered {
    /// A name for the source: 64 ASCII characters at most.
    pub source: String,
    /// What it knew, in the caller's own encoding; `None` when nobody wants to know any more.
    pub endpoints: Option<Vec<u8>>,
}

impl Store {
    /// What all sources knew.
    pub async fn discovered(&self) -> Result<Vec<Discovered>, StoreError> {
        let mut session = self.begin(Mode::Read).await?;
        let rows = session.rows(sqlx::query("SELECT source, endpoints FROM discovered"));
        let rows = rows.await?;
        session.rollback().await?;
        let read = |row: &super::session::Row| {
            Ok(Discovered {
                source: row.text(0)?,
                endpoints: Some(row.bytes(1)?),
            })
        };
        rows.iter().map(read).collect()
    }

    /// Keeps what these sources know, all of it or nothing.
    pub async fn put_discovered(&self, discovered: &[Discovered]) -> Result<(), StoreError> {
        let mut session = self.begin(Mode::Write).await?;
        for one in discovered {
            put(&mut session, one).await?;
        }
        session.commit().await
    }
}

async fn put(session: &mut Session, one: &Discovered) -> Result<(), StoreError> {
    let statement = match &one.endpoints {
        Some(endpoints) => sqlx::query(
            "INSERT INTO discovered (source, endpoints) VALUES ($1, $2) \
             ON CONFLICT (source) DO UPDATE SET endpoints = excluded.endpoints",
        )
        .bind(one.source.as_str())
        .bind(endpoints.as_slice()),
        None => sqlx::query("DELETE FROM discovered WHERE source = $1").bind(one.source.as_str()),
    };
    session.execute(statement).await.map(|_| ())
}
