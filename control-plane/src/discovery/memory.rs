//! Remembers in the store what sources knew, so that a control plane that starts while they are away
//! does not take from the proxies what these have.
//!
//! Only news is written, by each replica that hears it: one that hears nothing writes nothing, so what
//! it believes never takes the place of what others know.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use imbl::OrdMap;
use imbl::ordmap::DiffItem;
use prost::Message as _;
use sluice_proto::v1;
use tokio::sync::watch;

use crate::compile::{Findings, Found, Source, World};
use crate::live::Published;
use crate::store::{Discovered, Store, StoreError};

/// Least time between two writes: what a crash may forget.
const PACE: Duration = Duration::from_secs(3);
/// Sources in one write.
const BATCH: usize = 200;

/// What each source knew.
type Known = OrdMap<Source, Arc<[Found]>>;

/// Writes down what is news.
pub(crate) struct Memory {
    store: Store,
    written: Known,
}

impl Memory {
    /// What the sources of `world` knew when they were last heard of.
    ///
    /// # Errors
    /// When the store does not answer.
    pub(crate) async fn recall(store: Store, world: &World) -> Result<(Self, Findings), StoreError> {
        let stored = store.discovered().await?;
        let stored: BTreeMap<_, _> = stored
            .into_iter()
            .map(|one| (one.source, one.endpoints))
            .collect();
        let known = |source: &Source| {
            let endpoints = stored.get(&name(source))?.as_deref()?;
            Some((source.clone(), decode(endpoints)?))
        };
        let findings: Findings = world.sources().keys().filter_map(known).collect();
        let written = findings
            .iter()
            .map(|(source, found)| (source.clone(), Arc::from(found.as_slice())));
        let written = written.collect();
        Ok((Self { store, written }, findings))
    }

    /// Writes for ever; ends with the writer of the live world.
    pub(crate) async fn run(mut self, mut published: watch::Receiver<Arc<Published>>) {
        loop {
            let known = published.borrow_and_update().world.found().clone();
            match self.write(&known).await {
                Ok(()) => {
                    if published.changed().await.is_err() {
                        return;
                    }
                    // What changes often is written now and then.
                    tokio::time::sleep(PACE).await;
                }
                Err(error) => {
                    tracing::warn!(%error, "what is known of endpoints is not written down");
                    tokio::time::sleep(PACE).await;
                }
            }
        }
    }

    async fn write(&mut self, known: &Known) -> Result<(), StoreError> {
        if self.written.ptr_eq(known) {
            return Ok(());
        }
        let news: Vec<Discovered> = self.written.diff(known).map(news).collect();
        for batch in news.chunks(BATCH) {
            self.store.put_discovered(batch).await?;
        }
        self.written = known.clone();
        Ok(())
    }
}

fn news(item: DiffItem<'_, '_, Source, Arc<[Found]>>) -> Discovered {
    let (source, endpoints) = match item {
        DiffItem::Add(source, found)
        | DiffItem::Update {
            new: (source, found), ..
        } => (source, Some(encode(found))),
        DiffItem::Remove(source, _) => (source, None),
    };
    Discovered {
        source: name(source),
        endpoints,
    }
}

/// Half of BLAKE3 is more than enough to tell sources apart, and short enough for an index.
fn name(source: &Source) -> String {
    let hash = blake3::hash(source.identity().as_bytes());
    hash.as_bytes()[..16]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn encode(found: &[Found]) -> Vec<u8> {
    let endpoint = |one: &Found| v1::Endpoint {
        address: one.address.to_string(),
        port: one.port.into(),
        weight: one.weight,
    };
    let endpoints = found.iter().map(endpoint).collect();
    v1::Endpoints { endpoints }.encode_to_vec()
}

/// `None` for what another release may have written.
fn decode(endpoints: &[u8]) -> Option<Vec<Found>> {
    let read = |one: &v1::Endpoint| {
        Some(Found {
            address: one.address.parse().ok()?,
            port: u16::try_from(one.port).ok()?,
            weight: one.weight,
        })
    };
    let endpoints = v1::Endpoints::decode(endpoints).ok()?.endpoints;
    endpoints.iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_reads_back_and_nothing_else_reads() {
        let found = [
            Found {
                address: [10, 0, 0, 1].into(),
                port: 0,
                weight: 0,
            },
            Found {
                address: "2001:db8::1".parse().unwrap(),
                port: 65535,
                weight: 1_000_000,
            },
        ];
        assert_eq!(decode(&encode(&found)).as_deref(), Some(&found[..]));
        assert_eq!(decode(&[]), Some(Vec::new()));
        assert_eq!(decode(b"\xff"), None);
        let bad = v1::Endpoint {
            address: "shop".into(),
            port: 80,
            weight: 1,
        };
        let bad = v1::Endpoints { endpoints: vec![bad] };
        assert_eq!(decode(&bad.encode_to_vec()), None);
    }
}
