//! What sources have found and nobody has published yet: the newest of each.

use std::collections::btree_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::compile::{Findings, Found, Source};

/// Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Outbox(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    findings: Mutex<Findings>,
    filled: Notify,
}

impl Outbox {
    /// Puts in what `source` knows now, in place of what it knew before.
    pub(super) fn put(&self, source: &Source, found: Vec<Found>) {
        match self.lock().entry(source.clone()) {
            Entry::Occupied(mut waiting) => drop(waiting.insert(found)),
            Entry::Vacant(place) => drop(place.insert(found)),
        }
        self.0.filled.notify_one();
    }

    /// Waits until there is something, and takes all of it.
    pub(super) async fn take(&self) -> Findings {
        loop {
            let findings = std::mem::take(&mut *self.lock());
            if !findings.is_empty() {
                return findings;
            }
            self.0.filled.notified().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Findings> {
        self.0.findings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_newest_answer_of_each_source_is_taken_once() {
        let outbox = Outbox::default();
        let name = |name: &str| Source::Addresses(name.into());
        let found = |port| Found {
            address: [10, 0, 0, 1].into(),
            port,
            weight: 1,
        };
        for port in 1..1_000 {
            outbox.put(&name("a"), vec![found(port)]);
        }
        outbox.put(&name("b"), Vec::new());
        let taken = outbox.take().await;
        assert_eq!(
            taken.into_iter().collect::<Vec<_>>(),
            [(name("a"), vec![found(999)]), (name("b"), vec![])]
        );
        tokio::select! {
            biased;
            again = outbox.take() => assert!(again.is_empty(), "{again:?}"),
            () = std::future::ready(()) => {}
        }
    }
}
