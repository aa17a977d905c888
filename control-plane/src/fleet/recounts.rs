//! Which proxies are asked to tell of their endpoints again, as there was no room for some and now there is.
//!
//! # Why
//! What a proxy has told of it does not tell again, and of an endpoint that finds no room nothing is kept. So it
//! would be missing until the proxy has other news of it, though there may be room a second later.
//!
//! # How
//! Those that were refused something stand in a ring. When room is given back each is asked in turn, as long as
//! what it lacks fits, for a report of all that is not plain. A second passes between two rounds. A proxy that
//! is older than the question passes over it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::registry::{Fleet, Known, StreamId, find};

/// Between two rounds.
const PAUSE: Duration = Duration::from_secs(1);
/// Proxies that are asked in one round.
const MAX_ASKED: usize = 1_024;
/// Bytes that their answers take when they are kept, about; one proxy may have more.
const MAX_TOLD: usize = 4 << 20;

/// The streams whose proxies lack something, each once.
#[derive(Debug, Default)]
pub(super) struct Recounts {
    waiting: BTreeSet<StreamId>,
    /// Who was asked last.
    last: Option<StreamId>,
}

/// Asks for ever.
pub(super) async fn recount(fleet: Arc<Fleet>) {
    let room = fleet.lock().rooms.endpoints.clone();
    loop {
        room.freed().await;
        while fleet.ask_again() {
            tokio::time::sleep(PAUSE).await;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

impl Fleet {
    /// Has those asked again that lack something for which there is room. Whether there may be more of them
    /// than one round takes.
    pub(super) fn ask_again(&self) -> bool {
        self.lock().ask_again()
    }
}

impl Known {
    fn ask_again(&mut self) -> bool {
        let (mut free, mut told, mut asked) = (self.rooms.endpoints.free(), 0_usize, 0);
        for stream in self.recounts.in_turn() {
            let member = find(&mut self.members, &self.streams, stream);
            let lacking =
                member.and_then(|(_, member)| Some((member.telemetry.endpoints.lacking()?, member)));
            let Some((lacking, member)) = lacking else {
                self.recounts.remove(stream);
                continue;
            };
            if lacking.least > free {
                continue;
            }
            let endpoints = &mut member.telemetry.endpoints;
            let tells = endpoints.taken() + lacking.all;
            if asked == MAX_ASKED || (asked > 0 && told + tells > MAX_TOLD) {
                return true;
            }
            endpoints.ask();
            member.recount.notify_one();
            self.recounts.asked(stream);
            free -= lacking.all.min(free);
            (told, asked) = (told + tells, asked + 1);
        }
        false
    }
}

impl Recounts {
    /// The proxy on `stream` lacks something.
    pub(super) fn add(&mut self, stream: StreamId) {
        self.waiting.insert(stream);
    }

    pub(super) fn remove(&mut self, stream: StreamId) {
        self.waiting.remove(&stream);
    }

    fn asked(&mut self, stream: StreamId) {
        self.waiting.remove(&stream);
        self.last = Some(stream);
    }

    /// All of them, those after whoever was asked last first.
    fn in_turn(&self) -> Vec<StreamId> {
        let is_before = |stream: &&StreamId| Some(**stream) <= self.last;
        let (before, after): (Vec<_>, Vec<_>) = self.waiting.iter().partition(is_before);
        after.into_iter().chain(before).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_was_asked_comes_after_all_others() {
        let mut recounts = Recounts::default();
        let turn = |recounts: &Recounts| -> Vec<u64> {
            let streams = recounts.in_turn().into_iter();
            streams.map(StreamId::number).collect()
        };
        for number in [3, 1, 2, 3] {
            recounts.add(StreamId::of(number));
        }
        assert_eq!(turn(&recounts), [1, 2, 3]);
        recounts.asked(StreamId::of(2));
        assert_eq!(turn(&recounts), [3, 1]);
        recounts.add(StreamId::of(2));
        assert_eq!(turn(&recounts), [3, 1, 2]);
        recounts.remove(StreamId::of(1));
        assert_eq!(turn(&recounts), [3, 2]);
    }
}
