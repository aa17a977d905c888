//! What proxies say that they run, where it is not what is known here. The store may be behind it, or may have
//! lost the commit, and then its number may be another's by now. So the store is asked, once for each.

use std::collections::{BTreeMap, BTreeSet};

use sluice_model::{CommitId, HistoryId, Position, Revision};

use crate::live::Published;
use crate::store::Point;

/// Claims that may wait to be looked at. Past that those of the lowest revisions go: what is lost is what came last.
const MAX_OPEN: usize = 1_024;
/// Claims that are remembered to be in the store.
const MAX_FOUND: usize = 1_024;

/// A revision that somebody runs, and which commit it was.
type What = (Revision, CommitId);

/// The claims about one history.
#[derive(Debug, Default)]
pub(super) struct Claims {
    history: HistoryId,
    /// What is to be asked, and the first proxy that said so.
    open: BTreeMap<What, String>,
    /// What the store has.
    found: BTreeSet<What>,
}

/// What a proxy says that it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) at: Point,
    pub(super) commit: CommitId,
    pub(super) proxy: String,
}

impl Claims {
    /// Takes note of what `proxy` holds, of that commit, if the store should be asked about it. Of what is not
    /// known here it `is_told` what a control plane has said; without that it is a proxy's word and nothing else.
    pub(super) fn note(
        &mut self,
        proxy: &str,
        (history, position): (HistoryId, Position),
        commit: CommitId,
        published: &Published,
        is_told: impl FnOnce() -> bool,
    ) {
        if history != published.version.history {
            return;
        }
        self.begin(history);
        let what = (position.revision, commit);
        if is_known(what, published) || self.found.contains(&what) || self.open.contains_key(&what) {
            return;
        }
        if !is_told() {
            let revision = position.revision;
            if revision > published.revision() {
                tracing::warn!(proxy, %revision, "is ahead, and does not show that it was told so: no witness");
            }
            return;
        }
        self.open.insert(what, proxy.to_owned());
        if self.open.len() > MAX_OPEN {
            self.open.pop_first();
        }
    }

    /// The next claim to be looked at, the newest revision first.
    pub(super) fn take(&mut self) -> Option<Claim> {
        let ((revision, commit), proxy) = self.open.pop_last()?;
        let history = self.history;
        let at = Point { history, revision };
        Some(Claim { at, commit, proxy })
    }

    /// A claim that could not be looked at is still open.
    pub(super) fn put_back(&mut self, claim: Claim) {
        if claim.at.history == self.history {
            self.open.insert((claim.at.revision, claim.commit), claim.proxy);
        }
    }

    /// The store has what was claimed.
    pub(super) fn found(&mut self, claim: &Claim) {
        if claim.at.history != self.history {
            return;
        }
        if self.found.len() == MAX_FOUND {
            self.found.pop_first();
        }
        self.found.insert((claim.at.revision, claim.commit));
    }

    fn begin(&mut self, history: HistoryId) {
        if self.history != history {
            *self = Self {
                history,
                ..Self::default()
            };
        }
    }
}

/// Whether it is published here, or was; of a proxy that does not say which commit it is the number counts.
fn is_known((revision, commit): What, published: &Published) -> bool {
    match commit {
        CommitId::UNKNOWN => revision <= published.revision(),
        _ => commit_here(revision, published) == Some(commit),
    }
}

/// Whether a proxy runs another commit than has its number here: it does not have that revision.
pub(super) fn is_of_another((revision, commit): What, published: &Published) -> bool {
    commit != CommitId::UNKNOWN && commit_here(revision, published).is_some_and(|here| here != commit)
}

/// Which commit a recent revision is here.
fn commit_here(revision: Revision, published: &Published) -> Option<CommitId> {
    let history = published.version.history;
    let version = published
        .recent()
        .find(|version| version.history == history && version.position.revision == revision)?;
    Some(version.commit).filter(|commit| *commit != CommitId::UNKNOWN)
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;
    use crate::compile::{DanglingRefs, World};

    const HISTORY: HistoryId = HistoryId([3; 16]);

    /// Revision `revision`, which is the only one known, as the commit of that number.
    fn published(revision: u64, commit: u32) -> Published {
        let empty = World::empty(HISTORY);
        let changed = empty.change(Vec::new(), Revision(revision), DanglingRefs::Refuse);
        Published::first(changed.unwrap().world.committed(CommitId(commit)), Instant::now())
    }

    fn at(revision: u64) -> (HistoryId, Position) {
        let revision = Revision(revision);
        (
            HISTORY,
            Position {
                revision,
                ..Position::default()
            },
        )
    }

    fn taken(claims: &mut Claims) -> Vec<(u64, u32)> {
        let all = std::iter::from_fn(|| claims.take());
        all.map(|claim| (claim.at.revision.0, claim.commit.0)).collect()
    }

    #[test]
    fn only_what_is_not_known_here_is_asked_and_the_newest_first() {
        let (mut claims, published) = (Claims::default(), published(5, 55));
        for (revision, commit) in [
            (5, 55),
            (5, 0),
            (4, 0),
            (5, 56),
            (4, 44),
            (6, 0),
            (6, 66),
            (5, 56),
        ] {
            claims.note("edge-1", at(revision), CommitId(commit), &published, || true);
        }
        let (_, elsewhere) = at(9);
        claims.note(
            "edge-1",
            (HistoryId([4; 16]), elsewhere),
            CommitId(99),
            &published,
            || true,
        );
        assert_eq!(taken(&mut claims), [(6, 66), (6, 0), (5, 56), (4, 44)]);
    }

    #[test]
    fn what_was_found_is_not_asked_again_and_what_was_not_answered_is() {
        let (mut claims, here) = (Claims::default(), published(5, 55));
        claims.note("edge-1", at(4), CommitId(44), &here, || true);
        let claim = claims.take().unwrap();
        claims.put_back(claim.clone());
        assert_eq!(claims.take(), Some(claim.clone()));
        claims.found(&claim);
        claims.note("edge-2", at(4), CommitId(44), &here, || true);
        assert_eq!(claims.take(), None);
        // Another history: nothing is known of it.
        let fresh = HistoryId([9; 16]);
        let other = Published::first(World::empty(fresh), Instant::now());
        claims.note("edge-2", (fresh, at(4).1), CommitId(44), &other, || true);
        claims.put_back(claim.clone());
        claims.found(&claim);
        assert_eq!(taken(&mut claims), [(4, 44)]);
    }

    #[test]
    fn what_no_control_plane_has_told_of_is_not_asked_about() {
        let (mut claims, here) = (Claims::default(), published(5, 55));
        claims.note("liar", at(4), CommitId(44), &here, || false);
        assert_eq!(taken(&mut claims), []);
        // Whoever shows it is believed, and what is known here need not be shown.
        claims.note("edge-1", at(4), CommitId(44), &here, || true);
        claims.note("edge-1", at(5), CommitId(55), &here, || panic!("it is known"));
        assert_eq!(taken(&mut claims), [(4, 44)]);
    }

    #[test]
    fn claims_are_bounded() {
        let (mut claims, published) = (Claims::default(), published(5, 55));
        let newest = 2 * MAX_OPEN as u64;
        for revision in (6..=newest).rev() {
            claims.note("edge-1", at(revision), CommitId(9), &published, || true);
        }
        let taken = taken(&mut claims);
        assert_eq!(
            (taken.len(), taken[0]),
            (MAX_OPEN, (newest, 9)),
            "what came last is kept"
        );
        for commit in 1..=2 * MAX_FOUND as u32 {
            claims.note("edge-1", at(4), CommitId(commit), &published, || true);
            let claim = claims.take().unwrap();
            claims.found(&claim);
        }
        assert_eq!(claims.found.len(), MAX_FOUND);
    }

    #[test]
    fn a_proxy_that_runs_another_commit_of_a_number_does_not_run_the_revision() {
        let published = published(5, 55);
        let is_of_another =
            |revision, commit| is_of_another((Revision(revision), CommitId(commit)), &published);
        assert!(is_of_another(5, 56));
        assert!(
            !is_of_another(5, 55) && !is_of_another(5, 0),
            "it runs it, or may"
        );
        assert!(!is_of_another(4, 56), "of what is not recent nothing is known");
    }
}
