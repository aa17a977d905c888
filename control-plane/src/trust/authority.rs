//! The authority as a record: generations of keys, and how one takes over from another.
//!
//! ```text
//! rotate       spread is over      until is over
//!   --> Incoming ----------> Issuing ------> (a newer one issues) Outgoing ----------> gone
//! ```
//!
//! A generation is a root with its key, and a key that signs snapshots. All that are there are
//! trusted; one issues and signs. Nobody has to acknowledge anything:
//!
//! - On a stream a bundle goes out before the first update that needs it.
//! - A root that takes over is also signed by the one before it, and control planes show that
//!   certificate along with their own. So a proxy that was away the whole time still finds its way.
//! - `Incoming` lasts until every replica has surely heard of it, so that none meets a certificate
//!   whose issuer it does not know.
//! - `Outgoing` lasts until the last certificate that the generation issued has run out.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use zeroize::Zeroize as _;

use super::issue::{self, IssueError};
use crate::store::{Secret, UnixMillis};

/// Longest time that a new generation is known before it issues: replicas look every 5 seconds.
const MAX_SPREAD: Duration = Duration::from_secs(30);

/// All generations, oldest first. One of them issues.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Authority {
    generations: Vec<Generation>,
}

/// A root and a signing key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Generation {
    /// Counts from 1.
    pub(super) number: u64,
    pub(super) made_at: UnixMillis,
    pub(super) stage: Stage,
    /// The root, signed by itself.
    pub(super) root: Vec<u8>,
    /// The root, signed by the generation before it.
    pub(super) cross: Option<Vec<u8>>,
    /// Key of the root, PKCS #8.
    pub(super) root_key: Secret<Vec<u8>>,
    /// ed25519, PKCS #8.
    pub(super) signing_key: Secret<Vec<u8>>,
}

/// How far a generation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Stage {
    /// Trusted, and no more.
    Incoming {
        /// When it takes over.
        issues_at: u64,
    },
    /// Issues certificates and signs snapshots.
    Issuing,
    /// Trusted, because certificates of it are still good.
    Outgoing {
        /// When it goes.
        until: u64,
    },
}

/// How long things last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    /// Of the certificates that are issued.
    pub(super) lifetime: Duration,
}

/// Why no rotation begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum RotateError {
    /// One has begun, and has not ended.
    #[error("a rotation is under way: the newest authority does not issue yet")]
    UnderWay,
    /// Making keys or certificates failed.
    #[error(transparent)]
    Issue(#[from] IssueError),
}

impl Times {
    fn spread(self) -> Duration {
        (self.lifetime / 4).min(MAX_SPREAD)
    }
}

impl Authority {
    /// The first one.
    ///
    /// # Errors
    /// When keys or certificates cannot be made.
    pub(super) fn begin(now: UnixMillis) -> Result<Self, IssueError> {
        let first = Generation::make(1, now, Stage::Issuing, None)?;
        Ok(Self {
            generations: vec![first],
        })
    }

    pub(super) fn generations(&self) -> &[Generation] {
        &self.generations
    }

    /// The one that issues and signs.
    pub(super) fn issuing(&self) -> Option<&Generation> {
        let mut issuing = self.generations.iter().rev();
        issuing.find(|generation| generation.stage == Stage::Issuing)
    }

    /// With a new generation, which will take over.
    ///
    /// # Errors
    /// While another one is about to.
    pub(super) fn rotate(&self, now: UnixMillis, times: Times) -> Result<Self, RotateError> {
        let newest = self.generations.last().ok_or(RotateError::UnderWay)?;
        if newest.stage != Stage::Issuing {
            return Err(RotateError::UnderWay);
        }
        let stage = Stage::Incoming {
            issues_at: after(now, times.spread()),
        };
        let next = Generation::make(newest.number + 1, now, stage, Some(newest))?;
        let mut generations = self.generations.clone();
        generations.push(next);
        Ok(Self { generations })
    }

    /// What it is at `now`, if that is something else.
    pub(super) fn advance(&self, now: UnixMillis, times: Times) -> Option<Self> {
        let is_over = |stage: Stage| match stage {
            Stage::Incoming { issues_at } => issues_at <= now.0,
            Stage::Outgoing { until } => until <= now.0,
            Stage::Issuing => false,
        };
        if !self
            .generations
            .iter()
            .any(|generation| is_over(generation.stage))
        {
            return None;
        }
        let takes_over = |generation: &Generation| {
            matches!(generation.stage, Stage::Incoming { .. }) && is_over(generation.stage)
        };
        let handed_over = self.generations.iter().any(takes_over);
        let next = self.generations.iter().filter_map(|generation| {
            let stage = match generation.stage {
                Stage::Incoming { .. } if takes_over(generation) => Stage::Issuing,
                Stage::Issuing if handed_over => Stage::Outgoing {
                    // A replica that hears of it late may issue for as long as that takes.
                    until: after(now, times.lifetime + times.spread()),
                },
                stage @ Stage::Outgoing { .. } if is_over(stage) => return None,
                stage => stage,
            };
            Some(Generation {
                stage,
                ..generation.clone()
            })
        });
        Some(Self {
            generations: next.collect(),
        })
    }

    /// When [`Authority::advance`] has something to do.
    pub(super) fn due(&self) -> Option<UnixMillis> {
        let due = self.generations.iter().filter_map(|one| match one.stage {
            Stage::Incoming { issues_at } => Some(issues_at),
            Stage::Outgoing { until } => Some(until),
            Stage::Issuing => None,
        });
        due.min().map(UnixMillis)
    }

    pub(super) fn encode(&self) -> Secret<Vec<u8>> {
        let stored: Vec<StoredGeneration> = self.generations.iter().map(Into::into).collect();
        // Texts and numbers: there is nothing in it that JSON cannot hold.
        Secret::new(serde_json::to_vec(&stored).unwrap_or_default())
    }

    /// `None` for what [`Authority::encode`] did not write.
    pub(super) fn decode(record: &[u8]) -> Option<Self> {
        let stored: Vec<StoredGeneration> = serde_json::from_slice(record).ok()?;
        let generations = stored.iter().map(StoredGeneration::read);
        let authority = Self {
            generations: generations.collect::<Option<_>>()?,
        };
        authority.issuing().is_some().then_some(authority)
    }
}

impl Generation {
    fn make(number: u64, now: UnixMillis, stage: Stage, before: Option<&Self>) -> Result<Self, IssueError> {
        let made = issue::root(number, now, before)?;
        Ok(Self {
            number,
            made_at: now,
            stage,
            root: made.certificate,
            cross: made.cross,
            root_key: made.key,
            signing_key: issue::signing_key()?,
        })
    }
}

fn after(now: UnixMillis, time: Duration) -> u64 {
    now.0
        .saturating_add(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}

/// A generation as it stands in the record.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct StoredGeneration {
    number: u64,
    made_at_ms: u64,
    stage: Stage,
    root: String,
    cross: Option<String>,
    root_key: String,
    signing_key: String,
}

impl Drop for StoredGeneration {
    fn drop(&mut self) {
        self.root_key.zeroize();
        self.signing_key.zeroize();
    }
}

impl From<&Generation> for StoredGeneration {
    fn from(generation: &Generation) -> Self {
        let secret = |bytes: &Secret<Vec<u8>>| STANDARD.encode(bytes.expose());
        Self {
            number: generation.number,
            made_at_ms: generation.made_at.0,
            stage: generation.stage,
            root: STANDARD.encode(&generation.root),
            cross: generation.cross.as_ref().map(|cross| STANDARD.encode(cross)),
            root_key: secret(&generation.root_key),
            signing_key: secret(&generation.signing_key),
        }
    }
}

impl StoredGeneration {
    fn read(&self) -> Option<Generation> {
        let bytes = |text: &str| STANDARD.decode(text).ok();
        let secret = |text: &str| bytes(text).map(Secret::new);
        Some(Generation {
            number: self.number,
            made_at: UnixMillis(self.made_at_ms),
            stage: self.stage,
            root: bytes(&self.root)?,
            cross: match &self.cross {
                Some(cross) => Some(bytes(cross)?),
                None => None,
            },
            root_key: secret(&self.root_key)?,
            signing_key: secret(&self.signing_key)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: UnixMillis = UnixMillis(1_800_000_000_000);
    const DAY: u64 = 24 * 3_600_000;
    const TIMES: Times = Times {
        lifetime: Duration::from_secs(24 * 3600),
    };

    fn later(ms: u64) -> UnixMillis {
        UnixMillis(START.0 + ms)
    }

    fn stages(authority: &Authority) -> Vec<(u64, char)> {
        let stage = |one: &Generation| match one.stage {
            Stage::Incoming { .. } => 'i',
            Stage::Issuing => 'I',
            Stage::Outgoing { .. } => 'o',
        };
        let generations = authority.generations.iter();
        generations.map(|one| (one.number, stage(one))).collect()
    }

    #[test]
    fn a_generation_is_trusted_before_it_issues_and_for_as_long_as_its_certificates_last() {
        let first = Authority::begin(START).unwrap();
        assert_eq!((stages(&first), first.due()), (vec![(1, 'I')], None));
        assert_eq!(first.advance(later(100 * DAY), TIMES), None);

        let both = first.rotate(START, TIMES).unwrap();
        assert_eq!(stages(&both), [(1, 'I'), (2, 'i')]);
        assert_eq!(both.issuing().map(|one| one.number), Some(1));
        assert_eq!(both.due(), Some(later(30_000)));
        assert_eq!(both.advance(later(29_999), TIMES), None);

        let over = both.advance(later(30_000), TIMES).unwrap();
        assert_eq!(stages(&over), [(1, 'o'), (2, 'I')]);
        assert_eq!(over.issuing().map(|one| one.number), Some(2));
        assert_eq!(over.due(), Some(later(60_000 + DAY)));
        assert_eq!(over.advance(later(59_999 + DAY), TIMES), None);

        let last = over.advance(later(60_000 + DAY), TIMES).unwrap();
        assert_eq!((stages(&last), last.due()), (vec![(2, 'I')], None));
    }

    #[test]
    fn one_rotation_at_a_time_begins_and_the_next_need_not_wait_for_the_oldest_to_go() {
        let first = Authority::begin(START).unwrap();
        let both = first.rotate(START, TIMES).unwrap();
        assert_eq!(both.rotate(later(1), TIMES), Err(RotateError::UnderWay));
        let over = both.advance(later(30_000), TIMES).unwrap();
        let three = over.rotate(later(40_000), TIMES).unwrap();
        assert_eq!(stages(&three), [(1, 'o'), (2, 'I'), (3, 'i')]);
        let three = three.advance(later(70_000), TIMES).unwrap();
        assert_eq!(stages(&three), [(1, 'o'), (2, 'o'), (3, 'I')]);
    }

    #[test]
    fn a_long_pause_makes_all_steps_that_are_due_and_none_twice() {
        let both = Authority::begin(START).unwrap().rotate(START, TIMES).unwrap();
        let late = both.advance(later(10 * DAY), TIMES).unwrap();
        // The first one issued until now, as far as anybody knows.
        assert_eq!(stages(&late), [(1, 'o'), (2, 'I')]);
        assert_eq!(late.advance(later(10 * DAY), TIMES), None);
    }

    #[test]
    fn a_record_reads_back_and_nothing_else_reads() {
        let authority = Authority::begin(START).unwrap().rotate(START, TIMES).unwrap();
        let record = authority.encode();
        assert_eq!(Authority::decode(record.expose()), Some(authority.clone()));
        assert_eq!(Authority::decode(b"[]"), None, "nobody issues");
        assert_eq!(Authority::decode(&record.expose()[1..]), None);
        assert!(!format!("{authority:?}").contains("PRIVATE"));
    }
}
