//! Keys of TLS session tickets: the same on every proxy, a new one every few hours.
//!
//! They are a sealed record of the store. Every replica looks whether the newest key is due for a
//! successor; who comes first writes it (compare and set), the others hear of it and take it over.
//! So a ticket opens on every proxy for at least two periods after it was made.

use std::time::Duration;

use tokio::sync::mpsc;
use zeroize::Zeroizing;

use super::Command;
use crate::clock;
use crate::store::{HeadWatch, RecordName, Secret, Store, StoreError, UnixMillis};

/// How often there is a new key when nothing else is said.
pub const TICKET_ROTATION: Duration = Duration::from_secs(12 * 3600);

/// Keys that are kept: one makes tickets, all open them.
const KEPT: usize = 3;
const KEY_BYTES: usize = 32;
/// The date before the keys.
const DATE_BYTES: usize = 8;
/// Pause after the store did not answer.
const RETRY: Duration = Duration::from_secs(5);

/// The record: when the newest key was made, and the keys, newest first.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct TicketKeys {
    made_at: UnixMillis,
    keys: Zeroizing<Vec<[u8; KEY_BYTES]>>,
}

impl TicketKeys {
    /// Newest first; only without a record there are none.
    pub(super) fn keys(&self) -> &[[u8; KEY_BYTES]] {
        &self.keys
    }

    /// These and a fresh one before them.
    pub(super) fn succeeded_by(&self, fresh: [u8; KEY_BYTES], now: UnixMillis) -> Self {
        let kept = self.keys.iter().take(KEPT - 1).copied();
        Self {
            made_at: now,
            keys: Zeroizing::new(std::iter::once(fresh).chain(kept).collect()),
        }
    }

    /// When the newest has served its time. One that was made later than that from now was dated by
    /// a wrong clock, and has served it already.
    fn due(&self, now: UnixMillis, period: Duration) -> Option<UnixMillis> {
        let period = u64::try_from(period.as_millis()).unwrap_or(u64::MAX);
        let due = UnixMillis(self.made_at.0.saturating_add(period));
        (now < due && self.made_at.0 <= now.0.saturating_add(period)).then_some(due)
    }

    pub(super) fn encode(&self) -> Secret<Vec<u8>> {
        let date = self.made_at.0.to_be_bytes();
        Secret::new([&date, self.keys.as_flattened()].concat())
    }

    /// `None` for what [`TicketKeys::encode`] did not write.
    fn decode(record: &[u8]) -> Option<Self> {
        let (date, keys) = record.split_first_chunk::<DATE_BYTES>()?;
        let (keys, []) = keys.as_chunks::<KEY_BYTES>() else {
            return None;
        };
        (1..=KEPT).contains(&keys.len()).then(|| Self {
            made_at: UnixMillis(u64::from_be_bytes(*date)),
            keys: Zeroizing::new(keys.to_vec()),
        })
    }
}

/// Keeps the record up to date and hands its keys to the writer.
pub(super) struct TicketKeeper {
    store: Store,
    /// The version of the record that did not open, and since when.
    unopened: Option<(u64, UnixMillis)>,
    period: Duration,
    commands: mpsc::WeakSender<Command>,
    head: HeadWatch,
}

impl TicketKeeper {
    pub(super) fn new(store: Store, period: Duration, commands: mpsc::WeakSender<Command>) -> Self {
        Self {
            head: store.notifications(),
            unopened: None,
            store,
            period,
            commands,
        }
    }

    /// The keys to begin with; none when there can be none, or the store does not say.
    pub(super) async fn first(&mut self) -> TicketKeys {
        if !self.store.can_seal() {
            return TicketKeys::default();
        }
        match self.turn(clock::wall()).await {
            Ok((keys, _)) => keys,
            Err(error) => {
                tracing::warn!(%error, "no keys of session tickets yet");
                TicketKeys::default()
            }
        }
    }

    /// Keeps them for ever; ends with the writer.
    pub(super) async fn run(mut self) {
        loop {
            let now = clock::wall();
            let pause = match self.turn(now).await {
                Ok((keys, due)) => {
                    let Some(commands) = self.commands.upgrade() else {
                        return;
                    };
                    if commands.send(Command::Tickets(keys)).await.is_err() {
                        return;
                    }
                    Duration::from_millis(due.0.saturating_sub(now.0))
                }
                Err(error) => {
                    tracing::warn!(%error, "keys of session tickets are not up to date");
                    RETRY
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                moved = self.head.changed() => if moved.is_err() { return },
            }
        }
    }

    /// A record that does not open may be another replica's, whose key file is newer or older. It is
    /// replaced once nobody has renewed it for two periods: then its key is lost, and a ticket is
    /// only a shortcut.
    ///
    /// # Errors
    /// Until then.
    fn check_lost(&mut self, version: u64, now: UnixMillis) -> Result<(), StoreError> {
        let since = match self.unopened {
            Some((seen, since)) if seen == version => since,
            _ => {
                self.unopened = Some((version, now));
                now
            }
        };
        let patience = u64::try_from(self.period.as_millis())
            .unwrap_or(u64::MAX)
            .saturating_mul(2);
        match now.0.saturating_sub(since.0) >= patience {
            true => Ok(()),
            false => Err(StoreError::UnknownKey),
        }
    }

    /// Reads the record, and writes its successor if that is due; when to look again.
    async fn turn(&mut self, now: UnixMillis) -> Result<(TicketKeys, UnixMillis), StoreError> {
        loop {
            let record = self.store.record(RecordName::TicketKeys).await?;
            let version = record.as_ref().map_or(0, |record| record.version);
            if record.as_ref().is_some_and(|record| record.body.is_none()) {
                self.check_lost(version, now)?;
            }
            let current = record.and_then(|record| TicketKeys::decode(record.body?.expose()));
            let current = current.unwrap_or_default();
            if let (Some(due), false) = (current.due(now, self.period), current.keys.is_empty()) {
                return Ok((current, due));
            }
            let mut fresh = Zeroizing::new([0; KEY_BYTES]);
            getrandom::fill(&mut *fresh).map_err(|_| StoreError::Rejected)?;
            let next = current.succeeded_by(*fresh, now).encode();
            // Whether it was this replica or another that came first: it is read again.
            self.store
                .put_record(RecordName::TicketKeys, version + 1, &next)
                .await?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::KeyRing;

    const PERIOD: Duration = Duration::from_secs(60);
    const START: UnixMillis = UnixMillis(1_000_000);

    fn later(periods: u64) -> UnixMillis {
        UnixMillis(START.0 + periods * 60_000)
    }

    fn keeper(store: &Store) -> TicketKeeper {
        TicketKeeper::new(store.clone(), PERIOD, mpsc::channel(1).0.downgrade())
    }

    async fn store(directory: &tempfile::TempDir, keys: KeyRing) -> Store {
        let url = format!("sqlite://{}", directory.path().join("a.db").display());
        Store::open(&[url], keys).await.unwrap()
    }

    #[tokio::test]
    async fn replicas_agree_on_the_keys_whoever_makes_them() {
        let directory = tempfile::tempdir().unwrap();
        let keys = KeyRing::random().unwrap();
        let (mut one, mut other) = (
            keeper(&store(&directory, keys.clone()).await),
            keeper(&store(&directory, keys).await),
        );
        for now in [START, later(1), later(2), later(9)] {
            let (a, b) = tokio::join!(one.turn(now), other.turn(now));
            let (a, b) = (a.unwrap(), b.unwrap());
            assert!(a == b);
            assert_eq!(a.0.made_at, now);
            assert_eq!(a.1.0, now.0 + 60_000);
        }
    }

    #[tokio::test]
    async fn a_key_opens_for_two_periods_after_it_made_its_last_ticket() {
        let directory = tempfile::tempdir().unwrap();
        let mut keeper = keeper(&store(&directory, KeyRing::random().unwrap()).await);
        let first = keeper.turn(START).await.unwrap().0.keys[0];
        let before = UnixMillis(later(1).0 - 1);
        assert_eq!(keeper.turn(before).await.unwrap().0.keys[..], [first]);
        let mut held = Vec::new();
        for periods in 1..=3 {
            let keys = keeper.turn(later(periods)).await.unwrap().0;
            held.push((keys.keys.len(), keys.keys.contains(&first), keys.keys[0] == first));
        }
        assert_eq!(held, [(2, true, false), (3, true, false), (3, false, false)]);
    }

    #[tokio::test]
    async fn keys_that_do_not_open_any_more_or_come_from_the_future_are_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let lost = store(&directory, KeyRing::random().unwrap()).await;
        let (first, _) = keeper(&lost).turn(later(5)).await.unwrap();
        let past = keeper(&lost).turn(START).await.unwrap().0;
        assert_eq!((past.made_at, past.keys[1]), (START, first.keys[0]));
        let mut found = keeper(&store(&directory, KeyRing::random().unwrap()).await);
        // Another replica may have the key: it is lost when nobody has renewed the record for long.
        assert!(found.turn(START).await == Err(StoreError::UnknownKey));
        assert!(found.turn(later(1)).await == Err(StoreError::UnknownKey));
        let (fresh, _) = found.turn(later(2)).await.unwrap();
        assert!(fresh.keys.len() == 1 && fresh.keys[0] != past.keys[0]);
    }

    #[test]
    fn a_record_reads_back_and_nothing_else_reads() {
        let keys = TicketKeys::default()
            .succeeded_by([1; 32], START)
            .succeeded_by([2; 32], START);
        let record = keys.encode();
        assert!(TicketKeys::decode(record.expose()) == Some(keys));
        for length in [0, 8, 9, record.expose().len() - 1] {
            assert!(
                TicketKeys::decode(&record.expose()[..length]).is_none(),
                "{length}"
            );
        }
        assert!(TicketKeys::decode(&[0; DATE_BYTES + (KEPT + 1) * KEY_BYTES]).is_none());
    }
}
