//! Identity and order: histories, revisions, digests, positions.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Number of one committed transaction; totally ordered within one [`HistoryId`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Revision(pub u64);

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Names one history of a store. Renewed whenever the store may have lost commits,
/// because revisions of two histories cannot be compared.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct HistoryId(pub [u8; 16]);

/// Tells the commit of a revision from another that had its number before and was lost. 32 bits: of so
/// many lost commits one is taken for the one in its place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommitId(pub u32);

impl CommitId {
    /// Not known, or there is none: the empty store has no commit.
    pub const UNKNOWN: Self = Self(0);

    /// Of the commit with this unique name.
    pub fn of(name: &str) -> Self {
        let [first, second, third, fourth, ..] = Digest::of(name.as_bytes()).0;
        Self(u32::from_be_bytes([first, second, third, fourth]).max(1))
    }
}

/// Shows that a control plane has told of a commit. Only control planes can make one, or tell whether it is right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CommitSeal(pub u32);

impl CommitSeal {
    /// Nothing is shown.
    pub const NONE: Self = Self(0);
}

/// First 16 bytes of a BLAKE3 hash.
///
/// 128 bits because every update carries four digests to every proxy; a forger has
/// to find a second preimage (2^128), not a collision, as only the signer picks content.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Digest(pub [u8; 16]);

impl Digest {
    /// The digest of nothing at all.
    pub const EMPTY: Self = Self([0; 16]);

    /// Digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self::truncate(blake3::hash(bytes))
    }

    /// Digest of everything `write` feeds to the hasher.
    pub fn build(write: impl FnOnce(&mut blake3::Hasher)) -> Self {
        let mut hasher = blake3::Hasher::new();
        write(&mut hasher);
        Self::truncate(hasher.finalize())
    }

    fn truncate(hash: blake3::Hash) -> Self {
        let mut out = [0; 16];
        out.copy_from_slice(&hash.as_bytes()[..16]);
        Self(out)
    }
}

/// A point in a history: what a proxy holds, or is to hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Position {
    /// Newest revision contained.
    pub revision: Revision,
    /// Digest of everything that only a revision changes.
    pub config: Digest,
    /// Digest of what changes without a revision (endpoints).
    pub runtime: Digest,
}

macro_rules! sixteen_bytes {
    ($name:ident) => {
        impl TryFrom<&[u8]> for $name {
            type Error = std::array::TryFromSliceError;

            fn try_from(bytes: &[u8]) -> Result<Self, Self::Error> {
                Ok(Self(bytes.try_into()?))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

sixteen_bytes!(HistoryId);
sixteen_bytes!(Digest);
