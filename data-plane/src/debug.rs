//! Who may be told what became of a request: tokens that a control plane signed.
//!
//! The keys are those that snapshots are verified with, as the stream tells them. They are looked at only when a
//! request brings a token, and verifying is the last thing that is done with it: what does not read, has run out or
//! does not name a known key costs next to nothing, and of the rest a worker verifies so many a second.
//!
//! Whoever knows the name of the key can have signatures verified that are none. So turns are shared by where
//! requests come from: a flood from one address takes those of a few others, and in the next second of others again.
//! Clients behind one balancer share its address, and its turns.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    hash::{BuildHasher as _, RandomState},
    net::IpAddr,
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

/// Groups of addresses that have turns of their own.
const GROUPS: usize = 32;
/// Signatures that one worker verifies in a second for one group; for all together some 10 ms of work.
const VERIFIED_A_SECOND: u8 = 4;

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
    /// By group of addresses.
    verified: Cell<[u8; GROUPS]>,
    /// Which addresses are in a group, nobody else can tell.
    groups: RandomState,
    /// Those that were verified last, with their histories: they take no turn again, so that forged ones do not
    /// keep whoever has one from being told.
    known: RefCell<VecDeque<(Box<[u8]>, HistoryId)>>,
}

impl DebugGate {
    pub(crate) fn new(signers: watch::Receiver<Signers>) -> Self {
        Self {
            signers,
            second: Cell::new(0),
            verified: Cell::new([0; GROUPS]),
            groups: RandomState::new(),
            known: RefCell::default(),
        }
    }

    /// The token that a request from `peer` brings, if it holds in this history.
    pub(crate) fn admit(&self, headers: &HeaderMap, history: HistoryId, peer: IpAddr) -> Option<DebugToken> {
        self.admit_at(headers, history, peer, WallClock::read().since_epoch())
    }

    fn admit_at(
        &self,
        headers: &HeaderMap,
        history: HistoryId,
        peer: IpAddr,
        now: Duration,
    ) -> Option<DebugToken> {
        let text = headers.get(&SLUICE_DEBUG)?.as_bytes();
        let claim = DebugClaim::read(text)?;
        let signers = self.signers.borrow().clone()?;
        if !claim.is_current(now) || !claim.is_of(&signers) {
            return None;
        }
        if self.knows(text, history) {
            return Some(claim.known());
        }
        if !self.has_time(now.as_secs(), peer) {
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

    /// Takes one of the turns that `peer` and those in its group have this second.
    fn has_time(&self, second: u64, peer: IpAddr) -> bool {
        if self.second.replace(second) != second {
            self.verified.set([0; GROUPS]);
        }
        let group = self.groups.hash_one((second, network(peer))) as usize % GROUPS;
        let mut verified = self.verified.get();
        let turn = verified[group];
        verified[group] = turn.saturating_add(1);
        self.verified.set(verified);
        turn < VERIFIED_A_SECOND
    }
}

/// What one client can choose its address from: of IPv6 a network has 64 bits (RFC 4291 section 2.5.1).
fn network(peer: IpAddr) -> u128 {
    match peer.to_canonical() {
        IpAddr::V4(address) => u32::from(address).into(),
        IpAddr::V6(address) => u128::from(address) >> 64 << 64,
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
    use http::HeaderValue;
    use sluice_tls::Signer;

    use super::*;

    const HISTORY: HistoryId = HistoryId([7; 16]);
    const NOW: Duration = Duration::from_secs(1_000);
    const PEER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

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
        let admitted = |headers: &HeaderMap, history| gate.admit_at(headers, history, PEER, NOW).is_some();
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
        assert!(
            nobody
                .admit_at(&headers(&ours, 1_600), HISTORY, PEER, NOW)
                .is_none()
        );
    }

    #[test]
    fn so_many_are_verified_a_second_and_others_take_no_turn() {
        let ours = signer();
        let gate = gate(&ours);
        for _ in 0..1_000 {
            assert!(gate.admit_at(&headers(&ours, 900), HISTORY, PEER, NOW).is_none());
        }
        // Each is another one.
        let admitted = |now: Duration| {
            let tokens = (0..200).map(|more| headers(&ours, 1_600 + more));
            tokens
                .filter(|headers| gate.admit_at(headers, HISTORY, PEER, now).is_some())
                .count()
        };
        let most = VERIFIED_A_SECOND as usize;
        assert_eq!(admitted(NOW), most);
        let late = headers(&ours, 2_000);
        assert!(gate.admit_at(&late, HISTORY, PEER, NOW).is_none());
        let later = NOW + Duration::from_secs(1);
        assert!(gate.admit_at(&late, HISTORY, PEER, later).is_some());
        assert_eq!(admitted(later), most + most - 1, "those of before are known");
        // What is known takes no turn, for as long as it holds, and in its history.
        let last = headers(&ours, 1_600 + u64::from(VERIFIED_A_SECOND) - 2);
        assert!(gate.admit_at(&last, HISTORY, PEER, later).is_some());
        assert!(gate.admit_at(&last, HistoryId([8; 16]), PEER, later).is_none());
        assert!(
            gate.admit_at(&last, HISTORY, PEER, Duration::from_secs(2_000))
                .is_none()
        );
        for more in 2..8 {
            admitted(NOW + Duration::from_secs(more));
        }
        assert_eq!(gate.known.borrow().len(), KNOWN);
    }

    #[test]
    fn forgeries_from_one_address_take_the_turns_of_few_others_and_of_others_in_the_next_second() {
        let (ours, theirs) = (signer(), signer());
        let gate = gate(&ours);
        let good = headers(&ours, 1_600);
        // What another signed, under the name of the key that is known.
        let forged = |more: u64| {
            let mut token = BASE64_URL_SAFE_NO_PAD
                .decode(headers(&theirs, 1_600 + more)[&SLUICE_DEBUG].as_bytes())
                .unwrap();
            token[1..9].copy_from_slice(&ours.id().0);
            let text = HeaderValue::try_from(BASE64_URL_SAFE_NO_PAD.encode(token)).unwrap();
            HeaderMap::from_iter([(SLUICE_DEBUG.clone(), text)])
        };
        let peers = (0..100_u8).map(|at| IpAddr::V4(Ipv4Addr::new(10, 0, at, 1)));
        let mut never: Vec<IpAddr> = peers.collect();
        for second in 0..40 {
            let now = NOW + Duration::from_secs(second);
            for more in 0..20 {
                let flood = gate.admit_at(&forged(more), HISTORY, PEER, now);
                assert!(flood.is_none());
            }
            never.retain(|peer| {
                gate.known.borrow_mut().clear();
                gate.verified.set({
                    let mut verified = gate.verified.get();
                    // Only the flood has taken any.
                    verified
                        .iter_mut()
                        .filter(|turns| **turns < 20)
                        .for_each(|turns| *turns = 0);
                    verified
                });
                gate.admit_at(&good, HISTORY, *peer, now).is_none()
            });
            assert!(never.len() < 50, "one group of 32: {}", never.len());
        }
        assert_eq!(never, [] as [IpAddr; 0]);
        let of = |text: &str| network(text.parse::<Ipv6Addr>().unwrap().into());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:10.0.0.1"), network(Ipv4Addr::new(10, 0, 0, 1).into()));
    }
}
