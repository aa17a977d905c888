//! Who may be told what became of a request: tokens that a control plane signed.
//!
//! The keys are those that snapshots are verified with, as the stream tells them. They are looked at only when a
//! request brings a token, and verifying is the last thing that is done with it: what does not read, has run out or
//! does not name a known key costs next to nothing, and of the rest a worker verifies so many a second.

use std::{cell::Cell, sync::Arc, time::Duration};

use http::{HeaderMap, HeaderName};
use sluice_model::HistoryId;
use sluice_tls::{DebugClaim, DebugToken, Verifiers};
use tokio::sync::watch;

use crate::clock::WallClock;

/// The field of a request that a token is in.
pub(crate) static SLUICE_DEBUG: HeaderName = HeaderName::from_static("sluice-debug");

/// Most signatures that one worker verifies in a second: some 5 ms of work.
const VERIFIED_A_SECOND: u32 = 50;

/// The keys of those who sign tokens; none where nothing is signed.
pub(crate) type Signers = Option<Arc<Verifiers>>;

/// One worker's look at tokens.
#[derive(Debug)]
pub(crate) struct DebugGate {
    signers: watch::Receiver<Signers>,
    /// The second that `verified` counts in.
    second: Cell<u64>,
    verified: Cell<u32>,
}

impl DebugGate {
    pub(crate) fn new(signers: watch::Receiver<Signers>) -> Self {
        Self {
            signers,
            second: Cell::new(0),
            verified: Cell::new(0),
        }
    }

    /// The token that a request brings, if it holds in this history.
    pub(crate) fn admit(&self, headers: &HeaderMap, history: HistoryId) -> Option<DebugToken> {
        self.admit_at(headers, history, WallClock::read().since_epoch())
    }

    fn admit_at(&self, headers: &HeaderMap, history: HistoryId, now: Duration) -> Option<DebugToken> {
        let claim = DebugClaim::read(headers.get(&SLUICE_DEBUG)?.as_bytes())?;
        let signers = self.signers.borrow().clone()?;
        if !claim.is_current(now) || !claim.is_of(&signers) || !self.has_time(now.as_secs()) {
            return None;
        }
        claim.verified(&signers, &history.0).ok()
    }

    /// Takes one of this second's turns.
    fn has_time(&self, second: u64) -> bool {
        if self.second.replace(second) != second {
            self.verified.set(0);
        }
        let turn = self.verified.get();
        self.verified.set(turn.saturating_add(1));
        turn < VERIFIED_A_SECOND
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use sluice_tls::Signer;

    use super::*;

    const HISTORY: HistoryId = HistoryId([7; 16]);
    const NOW: Duration = Duration::from_secs(1_000);

    fn gate(signer: &Signer) -> DebugGate {
        let signers = Verifiers::new([signer.public_key()]).map(Arc::new);
        DebugGate::new(watch::channel(signers).1)
    }

    fn headers(signer: &Signer, until: u64) -> HeaderMap {
        let token = DebugToken {
            expires_at: Duration::from_secs(until),
            host: "".into(),
        };
        let text = token.sign(signer, &HISTORY.0);
        HeaderMap::from_iter([(SLUICE_DEBUG.clone(), HeaderValue::try_from(text).unwrap())])
    }

    fn signer() -> Signer {
        Signer::new(&Signer::generate().unwrap()).unwrap()
    }

    #[test]
    fn only_what_a_known_key_signed_for_this_history_and_time_is_let_in() {
        let ours = signer();
        let gate = gate(&ours);
        let admitted = |headers: &HeaderMap, history| gate.admit_at(headers, history, NOW).is_some();
        assert!(admitted(&headers(&ours, 1_600), HISTORY));
        assert!(!admitted(&headers(&ours, 1_600), HistoryId([8; 16])));
        assert!(!admitted(&headers(&ours, 1_000), HISTORY), "expired");
        assert!(
            !admitted(&headers(&ours, 10_000), HISTORY),
            "for longer than any may"
        );
        assert!(!admitted(&headers(&signer(), 1_600), HISTORY), "another's");
        assert!(!admitted(&HeaderMap::new(), HISTORY));
        let nobody = DebugGate::new(watch::channel(None).1);
        assert!(nobody.admit_at(&headers(&ours, 1_600), HISTORY, NOW).is_none());
    }

    #[test]
    fn so_many_are_verified_a_second_and_others_take_no_turn() {
        let ours = signer();
        let gate = gate(&ours);
        let right = headers(&ours, 1_600);
        for _ in 0..1_000 {
            assert!(gate.admit_at(&headers(&ours, 900), HISTORY, NOW).is_none());
        }
        let admitted = |now| {
            (0..200)
                .filter(|_| gate.admit_at(&right, HISTORY, now).is_some())
                .count()
        };
        assert_eq!(admitted(NOW), VERIFIED_A_SECOND as usize);
        assert_eq!(admitted(NOW + Duration::from_secs(1)), VERIFIED_A_SECOND as usize);
    }
}
