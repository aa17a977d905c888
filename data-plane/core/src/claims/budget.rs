//! How much is looked at.

use sluice_model::Match;

use crate::RequestView;
use crate::candidate::Candidate;
use crate::diff::{Automata, Domain, Start, Texts};
use crate::trie::PathTable;

/// What it costs to make a request, without its conditions.
const REQUEST: u64 = 20;
/// What a condition of a match adds to that.
const CONDITION: u64 = 2;
/// Candidates that are asked whether they take a request, for one step.
const ASKED: usize = 2;
/// Most states of automata in one search.
const MAX_STATES: usize = 20_000;

/// What one look may cost, for everything that is looked at in it.
///
/// Counted are steps, and not time: what is said of the same input is the same on every machine and at every load. A
/// step is about what it takes to compare two plain matches, some 100 ns; all else counts as so many of them. The last
/// thing that is done may take more than there was left. That is owed: whatever comes after it has as much less.
pub struct Budget {
    left: i64,
    done: u64,
    automata: Automata,
}

impl Budget {
    /// For a whole table, in steps.
    pub const TABLE: u64 = 20_000_000;

    /// So many steps.
    pub fn new(steps: u64) -> Self {
        Self {
            left: i64::try_from(steps).unwrap_or(i64::MAX),
            done: 0,
            automata: Automata::new(MAX_STATES, usize::MAX),
        }
    }

    /// Steps that were taken so far.
    pub fn done(&self) -> u64 {
        self.done
    }

    /// Steps that are left.
    pub fn left(&self) -> u64 {
        u64::try_from(self.left).unwrap_or(0)
    }

    /// Whether nothing may be done any more.
    pub fn is_spent(&self) -> bool {
        self.left <= 0
    }

    /// Takes so many steps, if there are as many left; else none.
    #[must_use]
    pub fn afford(&mut self, steps: u64) -> bool {
        let is_left = self.left() >= steps;
        if is_left {
            self.spend(steps);
        }
        is_left
    }

    /// Takes so many steps, which were needed.
    pub fn spend(&mut self, steps: u64) {
        self.done = self.done.saturating_add(steps);
        self.left = self.left.saturating_sub(i64::try_from(steps).unwrap_or(i64::MAX));
    }

    /// Runs something with one of `parts` of what is left. What that does not need is there for what comes after it,
    /// so no part takes anything from another.
    pub fn part<T>(&mut self, parts: usize, run: impl FnOnce(&mut Self) -> T) -> T {
        let parts = i64::try_from(parts.max(1)).unwrap_or(i64::MAX);
        self.with(self.left.max(0) / parts, run)
    }

    /// Runs something with all of what is left but one of `parts`, which is kept for what comes after it.
    pub fn keeping<T>(&mut self, parts: usize, run: impl FnOnce(&mut Self) -> T) -> T {
        let parts = i64::try_from(parts.max(1)).unwrap_or(i64::MAX);
        self.with(self.left.max(0) - self.left.max(0) / parts, run)
    }

    fn with<T>(&mut self, own: i64, run: impl FnOnce(&mut Self) -> T) -> T {
        let all = self.left;
        self.left = own;
        let value = run(self);
        self.left = self.left.saturating_add(all - own);
        value
    }

    /// Runs something with automata, as long as there are steps left, and counts what they did.
    pub(crate) fn counted<T>(&mut self, run: impl FnOnce(&mut Automata) -> T) -> T {
        self.automata.allow(self.left());
        let value = run(&mut self.automata);
        let steps = self.automata.take_steps();
        self.spend(steps);
        value
    }

    /// Texts of `domain` that all of `wanted` match, for each combination of `free` that can hold.
    pub(super) fn texts(&mut self, domain: Domain, wanted: &[&str], free: &[String]) -> Texts {
        self.counted(|automata| automata.texts(domain, Start::default(), wanted, free))
    }

    /// Counts a request that is all that `wanted` ask for; whether one may be made.
    pub(super) fn afford_request(&mut self, wanted: &[&Match]) -> bool {
        let conditions: usize = wanted.iter().map(|one| conditions(one)).sum();
        self.afford(REQUEST + CONDITION * conditions as u64)
    }

    /// The candidates of `tables` that take a request, best first, to be looked at by `look`; and whether all were
    /// looked at that `look` asked for.
    pub(crate) fn takers<'a, T>(
        &mut self,
        tables: &[&'a PathTable],
        view: &RequestView<'_>,
        look: impl FnOnce(&mut dyn Iterator<Item = &'a Candidate>) -> T,
    ) -> (T, bool) {
        let most = usize::try_from(self.left())
            .unwrap_or(usize::MAX)
            .saturating_mul(ASKED);
        let asked = std::cell::Cell::new(0_usize);
        let count = || asked.replace(asked.get() + 1) < most;
        let on_path = |regex: &regex::Regex| !count() || regex.is_match(view.path);
        let all = tables
            .iter()
            .copied()
            .flat_map(|table| table.contenders(view.path, on_path));
        let mut takers = all.take_while(|_| count()).filter(|one| one.holds(view));
        let value = look(&mut takers);
        let asked = asked.get();
        self.spend((asked / ASKED) as u64 + 1);
        (value, asked <= most)
    }
}

/// How many headers and query parameters a match asks for.
pub(super) fn conditions(one: &Match) -> usize {
    one.headers.len() + one.query.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_takes_nothing_from_others_and_what_it_leaves_is_theirs() {
        let mut budget = Budget::new(90);
        let whole = budget.part(3, |budget| (budget.afford(31), budget.afford(20), budget.left()));
        assert_eq!((whole, budget.left()), ((false, true, 10), 70));
        let inner = budget.part(2, |budget| budget.part(5, |budget| budget.left()));
        assert_eq!((inner, budget.left()), (7, 70));
        let most = budget.keeping(7, |budget| (budget.afford(61), budget.afford(50)));
        assert_eq!((most, budget.left()), ((false, true), 20));
    }

    #[test]
    fn what_took_more_than_was_left_is_owed() {
        let mut budget = Budget::new(100);
        budget.part(2, |budget| {
            budget.spend(70);
            assert!(budget.is_spent() && !budget.afford(1));
        });
        assert_eq!((budget.left(), budget.done()), (30, 70));
        budget.spend(50);
        assert!(budget.is_spent() && !budget.afford(1));
        budget.part(1, |budget| assert!(!budget.afford(1)));
        assert_eq!((budget.left(), budget.done()), (0, 120));
    }

    #[test]
    fn automata_are_counted_and_end_with_the_budget() {
        let pattern = "^(?:[a-z]*a[a-z]{9})$";
        let look = |steps| {
            let mut budget = Budget::new(steps);
            let complete = budget.texts(Domain::Header, &[pattern], &[]).complete;
            (complete, budget.done())
        };
        let (is_complete, done) = look(10_000_000);
        assert!(is_complete && done > 10_000, "{done}");
        assert_eq!(look(10_000_000), (true, done), "the same each time");
        assert_eq!(look(done), (true, done));
        assert!(!look(done - 1).0);
        assert!(!look(0).0);
        // Whoever may do more is not answered with what was found in less.
        let mut budget = Budget::new(2 * done);
        let first = budget.part(3, |budget| budget.texts(Domain::Header, &[pattern], &[]).complete);
        let second = budget.texts(Domain::Header, &[pattern], &[]).complete;
        assert!(!first && second, "{}", budget.done());
    }
}
