//! Who may be told what became of a request: tokens that a control plane signed.
//!
//! The keys are those that snapshots are verified with, as the stream tells them. They are looked at only when a
//! request brings a token, and verifying is the last thing that is done with it: what does not read, has run out or
//! does not name a known key costs next to nothing, and of the rest a worker verifies so many a second.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    sync::Arc,
    time::Duration,
};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use http::{HeaderMap, HeaderName};
use sluice_model::HistoryId;
use sluice_tls::{DebugClaim, DebugToken, Verifiers};
use tokio::sync::watch;

use crate::clock::WallClock;

/// The field of a request that a token is in.
pub(crate) static SLUICE_DEBUG: HeaderName = HeaderName::from_static("sluice-debug");

/// Most signatures that one worker verifies in a second: some 5 ms of work.
const VERIFIED_A_SECOND: u32 = 50;

/// Tokens that one worker knows to be signed.
const KNOWN: usize = 16;

/// The keys of those who sign tokens; none where nothing is signed.
pub(crate) type Signers = Option<Arc<Verifiers>>;

/// One worker's look at tokens.
#[derive(Debug)]
pub(crate) struct DebugGate {
    signers: watch::Receiver<Signers>,
    /// The second that `verified` counts in.
    second: Cell<u64>,
    verified: Cell<u32>,
    /// Those that were verified last, with their histories: they take no turn again, so that forged ones do not
    /// keep whoever has one from being told.
    known: RefCell<VecDeque<(Box<[u8]>, HistoryId)>>,
}

impl DebugGate {
    pub(crate) fn new(signers: watch::Receiver<Signers>) -> Self {
        Self {
            signers,
            second: Cell::new(0),
            verified: Cell::new(0),
            known: RefCell::default(),
        }
    }

    /// The token that a request brings, if it holds in this history.
    pub(crate) fn admit(&self, headers: &HeaderMap, history: HistoryId) -> Option<DebugToken> {
        self.admit_at(headers, history, WallClock::read().since_epoch())
    }

    fn admit_at(&self, headers: &HeaderMap, history: HistoryId, now: Duration) -> Option<DebugToken> {
        let text = headers.get(&SLUICE_DEBUG)?.as_bytes();
        let claim = DebugClaim::read(text)?;
        let signers = self.signers.borrow().clone()?;
        if !claim.is_current(now) || !claim.is_of(&signers) {
            return None;
        }
        if self.knows(text, history) {
            return Some(claim.known());
        }
        if !self.has_time(now.as_secs()) {
            return None;
        }
        let token = claim.verified(&signers, &history.0).ok()?;
        let mut known = self.known.borrow_mut();
        known.truncate(KNOWN - 1);
        known.push_front((text.into(), history));
        Some(token)
    }

    /// Whether exactly this was verified before. How long it takes tells nothing of what is known.
    fn knows(&self, text: &[u8], history: HistoryId) -> bool {
        let known = self.known.borrow();
        let is_it =
            |(one, of): &(Box<[u8]>, HistoryId)| *of == history && verify_slices_are_equal(one, text).is_ok();
        known.iter().any(is_it)
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
        for _ in 0..1_000 {
            assert!(gate.admit_at(&headers(&ours, 900), HISTORY, NOW).is_none());
        }
        // Each is another one.
        let admitted = |now: Duration| {
            let tokens = (0..200).map(|more| headers(&ours, 1_600 + more));
            tokens
                .filter(|headers| gate.admit_at(headers, HISTORY, now).is_some())
                .count()
        };
        let most = VERIFIED_A_SECOND as usize;
        assert_eq!(admitted(NOW), most);
        let late = headers(&ours, 2_000);
        assert!(gate.admit_at(&late, HISTORY, NOW).is_none());
        let later = NOW + Duration::from_secs(1);
        assert!(gate.admit_at(&late, HISTORY, later).is_some());
        assert_eq!(admitted(later), most - 1);
        // What is known takes no turn, for as long as it holds, and in its history.
        let last = headers(&ours, 1_600 + u64::from(VERIFIED_A_SECOND) - 2);
        assert!(gate.admit_at(&last, HISTORY, later).is_some());
        assert!(gate.admit_at(&last, HistoryId([8; 16]), later).is_none());
        assert!(
            gate.admit_at(&last, HISTORY, Duration::from_secs(2_000))
                .is_none()
        );
        assert_eq!(gate.known.borrow().len(), KNOWN);
    }
}
