//! Which commits control planes have told of: each update says of which commit it is with a seal, that proxies
//! keep beside it and show when they come.
//!
//! # Why
//! A proxy that runs a commit which the store does not have is how lost commits are found, and that ends a history.
//! Without a seal its word would be enough, and one proxy that lies could have the whole fleet start over.
//!
//! # How
//! The seal is made of what the signing key signs about the commit. That is the same every time (RFC 8032), so
//! whoever has the key makes it again and compares; nobody else can make it, and nobody else has to read it.
//! 32 bits, because every update carries it: who guesses has to come 4 billion times.

use sluice_model::{CommitId, CommitSeal, Digest, HistoryId, Revision};
use sluice_tls::Signer;

/// The seal of `signer` on `revision` of `history` being that commit.
pub(crate) fn seal(
    signer: &Signer,
    history: HistoryId,
    (revision, commit): (Revision, CommitId),
) -> CommitSeal {
    const DOMAIN: &[u8] = b"sluice commit 1\0";
    if commit == CommitId::UNKNOWN {
        return CommitSeal::NONE;
    }
    // Every part has a fixed length: no two statements are written alike.
    let parts = [
        DOMAIN,
        &history.0,
        &revision.0.to_be_bytes(),
        &commit.0.to_be_bytes(),
    ];
    let [first, second, third, fourth, ..] = Digest::of(&signer.sign(&parts.concat())).0;
    CommitSeal(u32::from_be_bytes([first, second, third, fourth]).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seal_is_made_again_by_the_same_key_for_the_same_commit_only() {
        let (key, another_key) = (Signer::generate().unwrap(), Signer::generate().unwrap());
        let signer = |key: &[u8]| Signer::new(key).unwrap();
        let (ours, other) = (signer(&key), signer(&another_key));
        let (history, what) = (HistoryId([1; 16]), (Revision(7), CommitId(9)));
        let made = seal(&ours, history, what);
        assert_ne!(made, CommitSeal::NONE);
        assert_eq!(made, seal(&signer(&key), history, what));
        for another in [
            seal(&other, history, what),
            seal(&ours, HistoryId([2; 16]), what),
            seal(&ours, history, (Revision(8), CommitId(9))),
            seal(&ours, history, (Revision(7), CommitId(8))),
        ] {
            assert_ne!(made, another);
        }
        let unknown = (Revision(7), CommitId::UNKNOWN);
        assert_eq!(seal(&ours, history, unknown), CommitSeal::NONE);
    }
}
