//! Hearing of new revisions.
//!
//! On Postgres a commit notifies every replica (`LISTEN`). What is sent while nobody listens is
//! gone, so each (re)connect counts as a change, and a slow poll is the net below it all.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sqlx::postgres::{PgListener, PgNotification};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::StoreError;
use super::connection::Connection;
use super::id::Point;
use super::session::Session;
use super::target::Dialect;

/// The channel of `NOTIFY`; the payload, which nobody reads, is the revision or the record.
pub(super) const CHANNEL: &str = "sluice_revision";
/// The channel on which replicas speak of their proxies; the payload is the replica's id, or names a
/// proxy that is to be forgotten.
pub(super) const FLEET_CHANNEL: &str = "sluice_fleet";
/// What comes before the id of a proxy that is to be forgotten.
pub(super) const FORGET: &str = "forget/";
/// How often the head is looked at although nothing was heard.
const POLL: Duration = Duration::from_secs(5);
/// Pause before the next attempt to listen.
const RETRY: Duration = Duration::from_millis(500);

/// Tells when the head may have moved. Several moves may be told as one; a move may be told
/// that was none.
#[derive(Clone, Debug)]
pub struct HeadWatch {
    moved: watch::Receiver<u64>,
}

impl HeadWatch {
    pub(super) fn new(moved: watch::Receiver<u64>) -> Self {
        Self { moved }
    }

    /// Waits for the next sign since the last call. Fails once the store is gone.
    pub async fn changed(&mut self) -> Result<(), StoreError> {
        self.moved.changed().await.map_err(|_| StoreError::Closed)
    }
}

/// Owns the task that listens and polls.
#[derive(Debug)]
pub(super) struct Watcher {
    cancelled: CancellationToken,
    task: Mutex<Option<JoinHandle<()>>>,
    _cancel_on_drop: DropGuard,
}

impl Watcher {
    pub(super) fn spawn(connection: Arc<Connection>) -> Self {
        let cancelled = CancellationToken::new();
        let until = cancelled.clone();
        let task = tokio::spawn(async move {
            until.run_until_cancelled(watch(&connection)).await;
        });
        let guard = cancelled.clone().drop_guard();
        Self {
            cancelled,
            task: Mutex::new(Some(task)),
            _cancel_on_drop: guard,
        }
    }

    /// Ends the task and waits for it.
    pub(super) async fn stop(&self) {
        self.cancelled.cancel();
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Err(error)) = async { Some(task?.await) }.await {
            tracing::error!(%error, "store watcher");
        }
    }
}

/// Wakes whoever follows the store once the transaction commits. On SQLite there is nobody else.
pub(super) async fn notify(
    session: &mut Session,
    channel: &'static str,
    payload: &str,
) -> Result<(), StoreError> {
    if session.dialect() == Dialect::Postgres {
        // Cast because the driver has no type for `void`.
        let notify = sqlx::query("SELECT pg_notify($1, $2)::text")
            .bind(channel)
            .bind(payload);
        session.execute(notify).await?;
    }
    Ok(())
}

/// Listens for ever.
async fn watch(connection: &Connection) {
    loop {
        if let Ok(listener) = connection.listen().await
            && connection.reconnected().await.is_ok()
        {
            connection.signal();
            connection.signal_fleet();
            heed(connection, listener).await;
        }
        tokio::time::sleep(RETRY).await;
        // Logged where it failed; the loop tries again.
        let _ = connection.fail_over().await;
    }
}

/// Passes on what is heard until the connection or the database is lost.
async fn heed(connection: &Connection, mut listener: Option<PgListener>) {
    let mut known: Option<Point> = None;
    // However much is heard: a notification may be lost among others.
    let mut polls = interval_at(Instant::now() + POLL, POLL);
    polls.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = polls.tick() => match connection.head().await {
                Ok(head) if known.replace(head) == Some(head) => {}
                Ok(_) => connection.signal(),
                Err(_) => return,
            },
            heard = hear(&mut listener) => match heard {
                Some(heard) => pass_on(connection, &heard),
                None => return,
            },
        }
    }
}

fn pass_on(connection: &Connection, heard: &PgNotification) {
    match (heard.channel(), heard.payload()) {
        (FLEET_CHANNEL, own) if own == connection.replica() => {}
        (FLEET_CHANNEL, payload) => match payload.strip_prefix(FORGET) {
            Some(proxy) => connection.signal_forgotten(proxy),
            None => connection.signal_fleet(),
        },
        _ => connection.signal(),
    }
}

/// Waits for a notification; `None` when the connection is lost.
async fn hear(listener: &mut Option<PgListener>) -> Option<PgNotification> {
    match listener {
        Some(listener) => listener.try_recv().await.ok().flatten(),
        // SQLite has a single writer, this process, which signals its own commits.
        None => std::future::pending().await,
    }
}
