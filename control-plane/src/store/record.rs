//! Records of the control plane itself, sealed: small values that all replicas share and that are no
//! resources, such as ticket keys.

use sluice_model::{Revision, Secret};

use super::resource::ResourceKey;
use super::sealed::{self, Place};
use super::session::{Mode, Session, stored};
use super::watch::{CHANNEL, notify};
use super::{Store, StoreError};

/// Which record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordName {
    /// Keys of TLS session tickets.
    TicketKeys,
    /// The key of fingerprints.
    FingerprintKey,
    /// The certificate authority and the keys that sign snapshots.
    Authority,
}

/// A record as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Counts its versions, from 1.
    pub version: u64,
    /// What it says; `None` when it was sealed under a key that is not here.
    pub body: Option<Secret<Vec<u8>>>,
}

impl RecordName {
    /// No resource has an empty kind.
    fn key(self) -> ResourceKey {
        let name = match self {
            Self::TicketKeys => "ticketKeys",
            Self::FingerprintKey => "fingerprintKey",
            Self::Authority => "authority",
        };
        ResourceKey {
            kind: String::new(),
            namespace: String::new(),
            name: name.to_owned(),
        }
    }
}

impl Store {
    /// The record, if it was ever written.
    pub async fn record(&self, name: RecordName) -> Result<Option<Record>, StoreError> {
        let mut session = self.begin(Mode::Read).await?;
        let row = sealed::find(&mut session, &name.key()).await?;
        let store = sealed::store_id(&mut session).await?;
        session.rollback().await?;
        let Some(row) = row else { return Ok(None) };
        let body = match row.open(&self.keys, &store) {
            Ok(body) => Some(body),
            Err(StoreError::UnknownKey | StoreError::NoKey) => None,
            Err(error) => return Err(error),
        };
        Ok(Some(Record {
            version: row.revision.0,
            body,
        }))
    }

    /// Writes version `version` of the record, if the one before it is what is there (version 1: if
    /// nothing is), and tells all replicas; whether it did.
    pub async fn put_record(
        &self,
        name: RecordName,
        version: u64,
        body: &Secret<Vec<u8>>,
    ) -> Result<bool, StoreError> {
        let key = name.key();
        let mut session = self.begin(Mode::Write).await?;
        let written = self.replace(&mut session, &key, Revision(version), body).await?;
        if written {
            notify(&mut session, CHANNEL, &key.name).await?;
        }
        session.commit().await?;
        if written {
            self.connection.signal();
        }
        Ok(written)
    }

    async fn replace(
        &self,
        session: &mut Session,
        key: &ResourceKey,
        version: Revision,
        body: &Secret<Vec<u8>>,
    ) -> Result<bool, StoreError> {
        let store = sealed::store_id(session).await?;
        let envelope = self
            .keys
            .seal(body, &Place::new(&store, key, version).binding())?;
        let write = match version.0 {
            1 => sqlx::query(
                "INSERT INTO sealed (revision, key_id, wrapped_key, body, kind, namespace, name) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (kind, namespace, name) DO NOTHING",
            ),
            _ => sqlx::query(
                "UPDATE sealed SET revision = $1, key_id = $2, wrapped_key = $3, body = $4 \
                 WHERE kind = $5 AND namespace = $6 AND name = $7 AND revision = $1 - 1",
            ),
        };
        let write = write
            .bind(stored(version.0))
            .bind(envelope.key_id)
            .bind(envelope.wrapped_key)
            .bind(envelope.body)
            .bind(key.kind.as_str())
            .bind(key.namespace.as_str())
            .bind(key.name.as_str());
        Ok(session.execute(write).await? == 1)
    }
}
