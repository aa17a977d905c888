//! Everything at one revision, fetched in pages and read while those after them are fetched.

use std::collections::VecDeque;
use std::num::NonZero;
use std::thread;

use sluice_model::Revision;
use tokio::task::JoinHandle;

use super::StoreError;
use super::resource::{COLUMNS, ResourceKey, StoredResource, resource};
use super::session::{Session, stored};

/// Rows per statement: each stays well inside the statement timeout.
const PAGE: usize = 2_000;

/// The resources of one revision, page by page. Keyset paging: each page starts after the last key of the one before.
pub(super) struct Pages {
    sql: String,
    revision: Revision,
    /// The last key so far; `None` when there are no more.
    after: Option<ResourceKey>,
}

impl Pages {
    /// `filter` uses `$4`, which is `revision`.
    pub(super) fn new(filter: &str, revision: Revision) -> Self {
        let sql = format!(
            "SELECT {COLUMNS} FROM resources r WHERE {filter} \
             AND (r.kind, r.namespace, r.name) > ($1, $2, $3) \
             ORDER BY r.kind, r.namespace, r.name LIMIT {PAGE}"
        );
        let first = ResourceKey {
            kind: String::new(),
            namespace: String::new(),
            name: String::new(),
        };
        Self {
            sql,
            revision,
            after: Some(first),
        }
    }

    /// The next page, which may be empty; `None` after the last.
    pub(super) async fn next(
        &mut self,
        session: &mut Session,
    ) -> Result<Option<Vec<StoredResource>>, StoreError> {
        let Some(after) = self.after.take() else {
            return Ok(None);
        };
        let page = sqlx::query(sqlx::AssertSqlSafe(self.sql.as_str()))
            .bind(after.kind.as_str())
            .bind(after.namespace.as_str())
            .bind(after.name.as_str())
            .bind(stored(self.revision.0));
        let page = session.rows(page).await?;
        let page: Vec<_> = page.iter().map(resource).collect::<Result<_, _>>()?;
        self.after = page
            .last()
            .filter(|_| page.len() == PAGE)
            .map(|last| last.key.clone());
        Ok(Some(page))
    }
}

/// Pages that are being read on threads of their own: one for each core, so that there is some of it left for whoever
/// fetches those after them.
pub(super) struct Readers<T> {
    /// In the order of the pages.
    at_work: VecDeque<JoinHandle<Result<Vec<T>, StoreError>>>,
    read: Vec<T>,
}

impl<T: Send + 'static> Readers<T> {
    /// Begins with a page, once there is a core for it.
    pub(super) async fn begin(
        &mut self,
        page: Vec<StoredResource>,
        read: fn(StoredResource) -> Result<T, StoreError>,
    ) -> Result<(), StoreError> {
        if self.at_work.len() >= thread::available_parallelism().map_or(1, NonZero::get) {
            self.first().await?;
        }
        let all = move || page.into_iter().map(read).collect();
        self.at_work.push_back(tokio::task::spawn_blocking(all));
        Ok(())
    }

    /// Waits for the first that is at work.
    async fn first(&mut self) -> Result<(), StoreError> {
        if let Some(reader) = self.at_work.pop_front() {
            // It only fails to run when the runtime goes down.
            self.read.extend(reader.await.unwrap_or(Err(StoreError::Closed))?);
        }
        Ok(())
    }

    /// Everything that was read, in the order of the pages.
    pub(super) async fn finish(mut self) -> Result<Vec<T>, StoreError> {
        while !self.at_work.is_empty() {
            self.first().await?;
        }
        Ok(self.read)
    }
}

impl<T> Default for Readers<T> {
    fn default() -> Self {
        Self {
            at_work: VecDeque::new(),
            read: Vec::new(),
        }
    }
}

/// All pages as they are stored.
pub(super) async fn all_pages(
    session: &mut Session,
    filter: &str,
    revision: Revision,
) -> Result<Vec<StoredResource>, StoreError> {
    let mut pages = Pages::new(filter, revision);
    let mut resources = Vec::new();
    while let Some(page) = pages.next(session).await? {
        resources.extend(page);
    }
    Ok(resources)
}
