//! What replicas tell each other of themselves and of their proxies: one small row each, and parts
//! that are written when they change. Never a row for each proxy.

use std::collections::BTreeMap;

use sqlx::AssertSqlSafe;
use tokio::sync::broadcast;

use super::apply::tuples;
use super::id::UnixMillis;
use super::leader::{Epoch, fence};
use super::session::{Mode, Session, stored};
use super::target::Dialect;
use super::watch::{FLEET_CHANNEL, FORGET, HeadWatch, notify};
use super::{Store, StoreError};

/// A control plane, as it introduces itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replica {
    /// Random, of one process.
    pub id: String,
    /// Version of the program.
    pub version: String,
    /// Where REST listens.
    pub admin: String,
    /// Where proxies connect.
    pub grpc: String,
    /// When it started, by its own clock.
    pub started: UnixMillis,
}

/// Another control plane, and what is new of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerRow {
    /// Who.
    pub replica: Replica,
    /// How often it has written.
    pub beat: u64,
    /// For how long it has not, in milliseconds, by the database's clock.
    pub silent_ms: u64,
    /// By name: the parts that it wrote since the beat that is known.
    pub parts: Vec<(String, Vec<u8>)>,
}

/// How much a beat says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Only what changed since the last beat.
    Changes,
    /// Everything there is.
    Whole,
}

impl Store {
    /// Whether other processes may use the same database.
    pub fn is_shared(&self) -> bool {
        self.connection.dialect() == Dialect::Postgres
    }

    /// The random name of this process among the replicas.
    pub fn replica(&self) -> &str {
        self.connection.replica()
    }

    /// Tells from now on when another replica has said something of its proxies.
    pub fn fleet_notifications(&self) -> HeadWatch {
        self.connection.watch_fleet()
    }

    /// Tells from now on of proxies that somebody wants forgotten.
    pub fn forgotten(&self) -> broadcast::Receiver<String> {
        self.connection.watch_forgotten()
    }

    /// Asks all replicas to forget the proxy. Whoever is not listening just then does not hear it.
    pub async fn forget(&self, proxy: &str) -> Result<(), StoreError> {
        let mut session = self.begin(Mode::Write).await?;
        notify(&mut session, FLEET_CHANNEL, &format!("{FORGET}{proxy}")).await?;
        session.commit().await
    }

    /// Writes number `beat` of what `replica` has to say, in one transaction that wakes the others if
    /// there are parts in it. `false`, and nothing is written, when the beat before is not there (it
    /// was removed, or the database lost it): then everything is to be said, which always succeeds.
    pub async fn beat(
        &self,
        replica: &Replica,
        beat: u64,
        extent: Extent,
        parts: &[(String, Vec<u8>)],
    ) -> Result<bool, StoreError> {
        let mut session = self.begin(Mode::Write).await?;
        let follows = match extent {
            Extent::Changes => follow(&mut session, replica, beat).await?,
            Extent::Whole => {
                introduce(&mut session, replica, beat).await?;
                true
            }
        };
        if !follows {
            session.rollback().await?;
            return Ok(false);
        }
        if !parts.is_empty() {
            write_parts(&mut session, replica, beat, parts).await?;
            notify(&mut session, FLEET_CHANNEL, &replica.id).await?;
        }
        session.commit().await?;
        Ok(true)
    }

    /// The other replicas, and what they wrote after the beats in `known`.
    pub async fn peers(&self, known: &BTreeMap<String, u64>) -> Result<Vec<PeerRow>, StoreError> {
        let mut session = self.begin(Mode::Read).await?;
        let sql = format!(
            "SELECT id, version, admin, grpc, started_ms, beat, \
             CASE WHEN {now} > seen_ms THEN {now} - seen_ms ELSE 0 END FROM replicas \
             WHERE id <> $1 ORDER BY id",
            now = now_ms(session.dialect()),
        );
        let select = sqlx::query(AssertSqlSafe(sql)).bind(self.replica());
        let mut peers = Vec::new();
        for row in session.rows(select).await? {
            peers.push(PeerRow {
                replica: Replica {
                    id: row.text(0)?,
                    version: row.text(1)?,
                    admin: row.text(2)?,
                    grpc: row.text(3)?,
                    started: UnixMillis(row.number(4)?),
                },
                beat: row.number(5)?,
                silent_ms: row.number(6)?,
                parts: Vec::new(),
            });
        }
        for peer in &mut peers {
            // A beat that went back is of a database that lost what it had.
            let known = known.get(&peer.replica.id).copied();
            let known = known.filter(|known| *known <= peer.beat).unwrap_or_default();
            if known < peer.beat {
                peer.parts = parts_since(&mut session, &peer.replica.id, known).await?;
            }
        }
        session.rollback().await?;
        Ok(peers)
    }

    /// Takes the row and the parts of a replica away if it has not moved on from `beat`; whether there
    /// was one. The leader's to do.
    pub async fn remove_replica(&self, epoch: &Epoch, id: &str, beat: u64) -> Result<bool, StoreError> {
        let delete = sqlx::query("DELETE FROM replicas WHERE id = $1 AND beat = $2")
            .bind(id)
            .bind(stored(beat));
        let mut session = self.begin(Mode::Write).await?;
        fence(&mut session, epoch).await?;
        let removed = session.execute(delete).await? == 1;
        session.commit().await?;
        Ok(removed)
    }
}

async fn follow(session: &mut Session, replica: &Replica, beat: u64) -> Result<bool, StoreError> {
    let sql = format!(
        "UPDATE replicas SET beat = $2, seen_ms = {} WHERE id = $1 AND beat = $2 - 1",
        now_ms(session.dialect())
    );
    let update = sqlx::query(AssertSqlSafe(sql))
        .bind(replica.id.as_str())
        .bind(stored(beat));
    Ok(session.execute(update).await? == 1)
}

async fn introduce(session: &mut Session, replica: &Replica, beat: u64) -> Result<(), StoreError> {
    let delete = sqlx::query("DELETE FROM replicas WHERE id = $1").bind(replica.id.as_str());
    session.execute(delete).await?;
    let sql = format!(
        "INSERT INTO replicas (id, beat, seen_ms, started_ms, version, admin, grpc) \
         VALUES ($1, $2, {}, $3, $4, $5, $6)",
        now_ms(session.dialect())
    );
    let insert = sqlx::query(AssertSqlSafe(sql))
        .bind(replica.id.as_str())
        .bind(stored(beat))
        .bind(stored(replica.started.0))
        .bind(replica.version.as_str())
        .bind(replica.admin.as_str())
        .bind(replica.grpc.as_str());
    session.execute(insert).await?;
    Ok(())
}

async fn write_parts(
    session: &mut Session,
    replica: &Replica,
    beat: u64,
    parts: &[(String, Vec<u8>)],
) -> Result<(), StoreError> {
    let sql = format!(
        "INSERT INTO fleet_parts (replica, part, beat, body) VALUES {} \
         ON CONFLICT (replica, part) DO UPDATE SET beat = excluded.beat, body = excluded.body",
        tuples(parts.len(), 4, 1)
    );
    let mut insert = sqlx::query(AssertSqlSafe(sql)).persistent(false);
    for (part, body) in parts {
        insert = insert
            .bind(replica.id.as_str())
            .bind(part.as_str())
            .bind(stored(beat))
            .bind(body.as_slice());
    }
    session.execute(insert).await?;
    Ok(())
}

async fn parts_since(
    session: &mut Session,
    replica: &str,
    beat: u64,
) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
    let select =
        sqlx::query("SELECT part, body FROM fleet_parts WHERE replica = $1 AND beat > $2 ORDER BY part")
            .bind(replica)
            .bind(stored(beat));
    let rows = session.rows(select).await?;
    rows.iter().map(|row| Ok((row.text(0)?, row.bytes(1)?))).collect()
}

/// The database's clock in milliseconds since 1970: the one that all replicas share.
fn now_ms(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Postgres => "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)",
        Dialect::Sqlite => "CAST(unixepoch('subsec') * 1000 AS INTEGER)",
    }
}
