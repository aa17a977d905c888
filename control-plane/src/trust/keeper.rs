//! Keeps the authority and the identities of this replica as the store has them, and takes the steps
//! of a rotation when they are due. Replicas do not agree on who does that: whoever comes first
//! writes the next version of the record (compare and set), the others read it.

use std::sync::Arc;
use std::time::Duration;

use super::authority::{Authority, Times};
use super::standing::{Edition, Standing, StandingError};
use super::{Trust, TrustError};
use crate::clock;
use crate::store::{AuditAction, HeadWatch, RecordName, Store, StoreError, UnixMillis};

/// How often is looked although nothing was heard; also the pause after the store did not answer.
const POLL: Duration = Duration::from_secs(5);
/// Attempts to write the record before other replicas.
const ATTEMPTS: usize = 8;
/// Identities are forgotten this long after they expired: 30 days.
const KEPT_MS: u64 = 30 * 24 * 3_600_000;

pub(super) struct Keeper {
    trust: Trust,
    head: HeadWatch,
}

impl Keeper {
    pub(super) fn new(trust: Trust) -> Self {
        let head = trust.shared.store.notifications();
        Self { trust, head }
    }

    /// Keeps them for ever.
    pub(super) async fn run(mut self) {
        loop {
            let now = clock::wall();
            if let Err(error) = self.turn(now).await {
                tracing::warn!(%error, "certificates of the stream are not up to date");
            }
            let due = self.trust.standing().and_then(|standing| {
                let step = standing.authority.due();
                step.into_iter().chain([standing.refresh_at]).min()
            });
            let due = due.map_or(POLL, |due| Duration::from_millis(due.0.saturating_sub(now.0)));
            // Not at once again, should a step not be taken.
            let pause = due.clamp(Duration::from_millis(100), POLL);
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                moved = self.head.changed() => if moved.is_err() { return },
            }
        }
    }

    /// Reads both, and takes what steps are due.
    pub(super) async fn turn(&mut self, now: UnixMillis) -> Result<(), TrustError> {
        let Trust { shared } = &self.trust;
        shared.directory.refresh(&shared.store).await?;
        shared.directory.prune(UnixMillis(now.0.saturating_sub(KEPT_MS)));
        let times = Times {
            lifetime: shared.lifetime,
        };
        for _ in 0..ATTEMPTS {
            let (edition, authority) = read(&shared.store).await?;
            let next = match &authority {
                None => Some(Authority::begin(now).map_err(StandingError::from)?),
                Some(authority) => authority.advance(now, times),
            };
            match (next, authority) {
                (Some(next), _) => {
                    // Whether it was this replica or another that came first: it is read again.
                    write(&shared.store, edition.next(), &next).await?;
                }
                (None, Some(authority)) => return Ok(self.trust.stand(edition, authority, now)?),
                (None, None) => return Err(StandingError::Record.into()),
            }
        }
        Err(TrustError::Contended)
    }
}

impl Trust {
    /// Begins to replace the authority: root and signing key.
    ///
    /// # Errors
    /// When one replacement is under way, or the store does not do it.
    pub async fn rotate(&self, author: &str) -> Result<(), TrustError> {
        let store = &self.shared.store;
        if !store.can_seal() {
            return Err(TrustError::NoKey);
        }
        let times = Times {
            lifetime: self.shared.lifetime,
        };
        for _ in 0..ATTEMPTS {
            let now = clock::wall();
            let (edition, authority) = read(store).await?;
            let authority = authority.ok_or(StandingError::Record)?;
            let next = authority.rotate(now, times)?;
            if write(store, edition.next(), &next).await? {
                let number = next.generations().last().map_or(0, |newest| newest.number);
                let action = AuditAction::AuthorityRotated;
                store
                    .record_action(now, author, action, &number.to_string())
                    .await?;
                return Ok(self.stand(edition.next(), next, now)?);
            }
        }
        Err(TrustError::Contended)
    }

    /// Puts an edition of the authority to use, unless a later one is, or it is in use and this
    /// replica's certificate is still good.
    fn stand(&self, edition: Edition, authority: Authority, now: UnixMillis) -> Result<(), StandingError> {
        let is_news = |standing: &Option<Arc<Standing>>| {
            standing.as_ref().is_none_or(|standing| {
                let is_other = standing.authority != authority;
                edition >= standing.edition && (is_other || standing.refresh_at <= now)
            })
        };
        if !is_news(&self.shared.standing.borrow()) {
            return Ok(());
        }
        let standing = Standing::new(edition, authority.clone(), self.shared.lifetime, now)?;
        let standing = Some(Arc::new(standing));
        self.shared.standing.send_if_modified(|current| {
            let is_news = is_news(current);
            if is_news {
                *current = standing;
            }
            is_news
        });
        Ok(())
    }
}

impl Edition {
    /// The one that is written next.
    fn next(self) -> Self {
        Self {
            version: self.version + 1,
            ..self
        }
    }
}

/// The record, and which edition of it that is.
async fn read(store: &Store) -> Result<(Edition, Option<Authority>), TrustError> {
    let mut edition = Edition {
        reconnects: store.reconnects(),
        version: 0,
    };
    let Some(record) = store.record(RecordName::Authority).await? else {
        return Ok((edition, None));
    };
    edition.version = record.version;
    let body = record.body.ok_or(TrustError::UnknownKey)?;
    let authority = Authority::decode(body.expose()).ok_or(StandingError::Record)?;
    Ok((edition, Some(authority)))
}

async fn write(store: &Store, edition: Edition, authority: &Authority) -> Result<bool, StoreError> {
    store
        .put_record(RecordName::Authority, edition.version, &authority.encode())
        .await
}
