//! What proxies refuse, and in which words. Most of a fleet that refuses says the same, so words are kept
//! once, and compared by their digests.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Weak};

use prost::Message as _;
use sluice_model::{Digest, HistoryId, Revision};
use sluice_proto::v1;

use super::parking::Parked;
use crate::store::UnixMillis;

/// Violations of a refusal that are kept.
const MAX_VIOLATIONS: usize = 100;
/// Longest text of a violation that is kept, in bytes.
const MAX_TEXT: usize = 1_024;
/// Words that may be kept before those that nobody says any more are looked for.
const FEW: usize = 64;

/// What a proxy refused last, until it applies that or something newer.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Refused {
    pub(super) history: HistoryId,
    pub(super) revision: Revision,
    /// When it refused that first, by the clock of the replica that heard it; unknown of a replica that
    /// is older than this field.
    pub(super) at: Option<UnixMillis>,
    pub(super) words: Words,
    /// It keeps the candidate and tries again by itself.
    pub(super) retrying: bool,
}

/// What was refused, and whether the proxy tries again by itself.
pub(super) type Place = (HistoryId, Revision, bool);

/// Why something is refused: at most [`MAX_VIOLATIONS`] violations, shared by all that say the same.
#[derive(Clone, Debug)]
pub(super) struct Words {
    digest: Digest,
    violations: Arc<[v1::Violation]>,
}

/// The words of all refusals, each once.
#[derive(Debug, Default)]
pub(super) struct Lexicon {
    known: HashMap<Digest, Weak<[v1::Violation]>>,
    /// How many there were when those that nobody says were let go of.
    kept: usize,
}

/// Who says the same, in the order in which it was said first.
#[derive(Debug)]
pub(super) struct Groups<K, T> {
    index: HashMap<K, usize>,
    groups: Vec<Vec<T>>,
}

impl Refused {
    pub(super) fn new(nack: v1::Nack, history: HistoryId, revision: Revision, at: UnixMillis) -> Self {
        Self {
            history,
            revision,
            at: Some(at),
            words: Words::new(nack.violations),
            retrying: nack.retrying,
        }
    }

    /// The config that is not to be sent again; none while the proxy tries by itself.
    pub(super) fn parked(&self) -> Option<Parked> {
        (!self.retrying).then_some(Parked {
            history: self.history,
            revision: self.revision,
        })
    }

    pub(super) fn place(&self) -> Place {
        (self.history, self.revision, self.retrying)
    }

    /// Equal of two that say the same, whenever that was.
    pub(super) fn said(&self) -> (Place, Digest) {
        (self.place(), self.words.digest)
    }

    /// The same, since the proxy refused this revision first.
    pub(super) fn since(self, before: Option<&Self>) -> Self {
        let same = before.filter(|one| (one.history, one.revision) == (self.history, self.revision));
        Self {
            at: same.map_or(self.at, |one| one.at),
            ..self
        }
    }

    /// Whether it still says where the proxy is when that runs `revision`: it refused something newer,
    /// and does not try that any more.
    pub(super) fn outlasts(&self, history: HistoryId, revision: Revision) -> bool {
        !self.retrying && self.history == history && self.revision > revision
    }
}

impl Words {
    pub(super) fn new(mut violations: Vec<v1::Violation>) -> Self {
        violations.truncate(MAX_VIOLATIONS);
        for violation in &mut violations {
            for text in [
                &mut violation.resource,
                &mut violation.field,
                &mut violation.code,
                &mut violation.message,
            ] {
                text.truncate(text.floor_char_boundary(MAX_TEXT));
            }
        }
        let digest = Digest::build(|hasher| {
            for violation in &violations {
                hasher.update(&violation.encode_length_delimited_to_vec());
            }
        });
        Self {
            digest,
            violations: violations.into(),
        }
    }

    pub(super) fn violations(&self) -> &[v1::Violation] {
        &self.violations
    }
}

impl PartialEq for Words {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

impl Lexicon {
    /// The same words, in the one place where they are kept.
    pub(super) fn keep(&mut self, words: Words) -> Words {
        if let Some(violations) = self.known.get(&words.digest).and_then(Weak::upgrade) {
            return Words { violations, ..words };
        }
        if self.known.len() >= FEW.max(2 * self.kept) {
            self.known.retain(|_, violations| violations.strong_count() > 0);
            self.kept = self.known.len();
        }
        self.known.insert(words.digest, Arc::downgrade(&words.violations));
        words
    }
}

impl<K, T> Default for Groups<K, T> {
    fn default() -> Self {
        Self {
            index: HashMap::new(),
            groups: Vec::new(),
        }
    }
}

impl<K: Hash + Eq, T> Groups<K, T> {
    pub(super) fn add(&mut self, key: K, item: T) {
        let index = *self.index.entry(key).or_insert(self.groups.len());
        match self.groups.get_mut(index) {
            Some(group) => group.push(item),
            None => self.groups.push(vec![item]),
        }
    }

    /// The groups; none is empty.
    pub(super) fn into_groups(self) -> Vec<Vec<T>> {
        self.groups
    }
}

/// What each stream refused, as another replica tells of those that did so in the same words.
pub(super) fn refusals(told: &v1::Refused) -> Vec<(u64, Refused)> {
    let Ok(history) = HistoryId::try_from(&*told.history) else {
        return Vec::new();
    };
    // A replica that is older than the times tells none.
    let after = told.after_ms.iter().copied().chain(std::iter::repeat(0));
    let at = |after: u64| {
        let after = after.checked_sub(1)?;
        Some(UnixMillis(told.first_ms.saturating_add(after)))
    };
    let words = Words::new(told.violations.clone());
    let refused = |after| Refused {
        history,
        revision: Revision(told.revision),
        at: at(after),
        words: words.clone(),
        retrying: told.retrying,
    };
    let streams = told.streams.iter().zip(after);
    streams.map(|(stream, after)| (*stream, refused(after))).collect()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::hash::Hasher;

    use super::*;

    fn violation(message: &str) -> v1::Violation {
        v1::Violation {
            message: message.into(),
            ..v1::Violation::default()
        }
    }

    fn refused(revision: u64, message: &str, at: u64) -> Refused {
        let nack = v1::Nack {
            violations: vec![violation(message)],
            ..v1::Nack::default()
        };
        Refused::new(nack, HistoryId([1; 16]), Revision(revision), UnixMillis(at))
    }

    #[test]
    fn a_revision_that_is_refused_again_is_refused_since_the_first_time() {
        let first = refused(7, "no", 100).since(None);
        let again = refused(7, "no", 900).since(Some(&first));
        assert_eq!(again.at, Some(UnixMillis(100)));
        assert_eq!(
            refused(8, "no", 900).since(Some(&again)).at,
            Some(UnixMillis(900))
        );
    }

    #[test]
    fn what_is_said_is_the_revision_and_the_words_and_not_the_time() {
        let one = refused(7, "no", 1);
        assert_eq!(one.said(), refused(7, "no", 2).said());
        assert_ne!(one.said(), refused(8, "no", 1).said());
        assert_ne!(one.said(), refused(7, "never", 1).said());
        // Where one text ends and the next begins is part of it.
        let two = |texts: [&str; 2]| Words::new(texts.map(violation).into());
        assert_ne!(two(["ab", "c"]), two(["a", "bc"]));
    }

    #[test]
    fn words_are_kept_once_and_for_as_long_as_somebody_says_them() {
        let mut lexicon = Lexicon::default();
        let [one, same] = ["no", "no"].map(|text| lexicon.keep(Words::new(vec![violation(text)])));
        assert!(Arc::ptr_eq(&one.violations, &same.violations));
        for number in 0..10 * FEW {
            drop(lexicon.keep(Words::new(vec![violation(&number.to_string())])));
        }
        assert!(lexicon.known.len() <= FEW, "{}", lexicon.known.len());
        let again = lexicon.keep(Words::new(vec![violation("no")]));
        assert!(Arc::ptr_eq(&one.violations, &again.violations));
    }

    #[test]
    fn long_refusals_are_cut_at_characters() {
        let words = Words::new(vec![violation(&"ö".repeat(1_000)); 150]);
        assert_eq!(words.violations.len(), MAX_VIOLATIONS);
        assert_eq!(words.violations[0].message.len(), MAX_TEXT);
        let odd = Words::new(vec![violation(&format!("x{}", "ö".repeat(1_000)))]);
        assert_eq!(odd.violations[0].message.len(), MAX_TEXT - 1);
    }

    #[test]
    fn a_refusal_told_by_a_replica_that_is_older_than_the_times_has_none() {
        let mut told = v1::Refused {
            history: vec![1; 16],
            revision: 7,
            streams: vec![3, 4],
            ..v1::Refused::default()
        };
        let times = |told: &v1::Refused| -> Vec<_> {
            let told = refusals(told).into_iter();
            told.map(|(stream, refused)| (stream, refused.at)).collect()
        };
        assert_eq!(times(&told), [(3, None), (4, None)]);
        (told.first_ms, told.after_ms) = (1_000, vec![1, 0]);
        assert_eq!(times(&told), [(3, Some(UnixMillis(1_000))), (4, None)]);
        told.after_ms = vec![u64::MAX, 251];
        let latest = UnixMillis(u64::MAX);
        assert_eq!(times(&told), [(3, Some(latest)), (4, Some(UnixMillis(1_250)))]);
    }

    thread_local! {
        static COMPARED: Cell<usize> = const { Cell::new(0) };
    }

    /// A key that counts how often it is compared.
    struct Counted(u32);

    impl PartialEq for Counted {
        fn eq(&self, other: &Self) -> bool {
            COMPARED.set(COMPARED.get() + 1);
            self.0 == other.0
        }
    }

    impl Eq for Counted {}

    impl Hash for Counted {
        fn hash<H: Hasher>(&self, state: &mut H) {
            self.0.hash(state);
        }
    }

    #[test]
    fn groups_are_found_without_comparing_each_with_each() {
        const MANY: u32 = 10_000;
        let mut groups = Groups::default();
        for number in (0..MANY).chain(0..MANY) {
            groups.add(Counted(number), number);
        }
        let groups = groups.into_groups();
        assert_eq!(groups.len(), MANY as usize);
        assert_eq!((&*groups[0], &*groups[9_999]), (&[0, 0][..], &[9_999, 9_999][..]));
        // Once where it is found; a few more where hashes begin alike.
        let compared = COMPARED.get();
        assert!(compared < 3 * MANY as usize, "{compared}");
    }
}
