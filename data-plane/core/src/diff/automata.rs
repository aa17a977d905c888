//! Regular expressions as automata: which combinations of them can hold, and a text for each.
//!
//! Several automata run side by side over all texts at once, breadth first, so that the shortest texts
//! are found first. When every state that they can reach together was seen, all combinations are known;
//! when there are more states than the bound, those found are samples.

use std::collections::HashMap;

use foldhash::fast::FixedState;
use regex_automata::{
    MatchKind,
    dfa::{StartKind, dense},
};

use super::{
    domain::Domain,
    search::{Joint, Search},
};

/// Most bytes of one automaton.
const MAX_AUTOMATON: usize = 2 * 1024 * 1024;
/// Most memory while one is made.
const MAX_WORKSPACE: usize = 4 * 1024 * 1024;
/// Most bytes of all automata of one comparison. One that cannot be made counts as the largest.
const MAX_ALL: usize = 96 * 1024 * 1024;
/// Most searches that are remembered.
const MAX_KNOWN: usize = 10_000;
/// Most automata side by side.
const MAX_SIDE_BY_SIDE: usize = 24;
/// Steps that it takes to look for what is known, and one more for so many bytes of patterns.
const LOOK: usize = 4;
const LOOK_BYTES: usize = 32;
/// Steps that it takes to make an automaton, and one more for so many of its bytes.
const MAKE: usize = 300;
const MAKE_BYTES: usize = 4;
/// Steps that it takes to prepare a search.
const SEARCH: usize = 150;
/// Steps for a state that is seen, and one more for so many ways on from it.
const STATE: usize = 4;
const STATE_WAYS: usize = 8;

/// Texts by combination.
#[derive(Clone, Debug, Default)]
pub(crate) struct Texts {
    /// One or two of each combination that was found.
    pub(crate) groups: Vec<Vec<String>>,
    /// Whether there are no other combinations.
    pub(crate) complete: bool,
}

impl Texts {
    /// The same behind `prefix`.
    fn behind(&self, prefix: &str) -> Self {
        let group = |texts: &Vec<String>| texts.iter().map(|text| format!("{prefix}{text}")).collect();
        Self {
            groups: self.groups.iter().map(group).collect(),
            complete: self.complete,
        }
    }
}

/// Where a search begins and what it leaves out.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Start<'a> {
    /// What every text begins with.
    pub(crate) prefix: &'a str,
    /// Sorted: what must not come next up to a slash or the end.
    pub(crate) excluded: &'a [&'a str],
}

/// Automata that were made, by pattern.
pub(crate) struct Automata {
    made: HashMap<String, Option<dense::DFA<Vec<u32>>>, FixedState>,
    /// What was found behind where automata stood, by patterns and how many of them had to match.
    known: HashMap<(String, usize, Joint), Texts, FixedState>,
    /// Most states of one search.
    limit: usize,
    /// States that may still be seen by all searches.
    left: usize,
    /// Bytes of automata that may still be made.
    room: usize,
    /// Steps that may still be taken, of some 100 ns.
    allowed: usize,
    /// Steps that were taken since they were asked for.
    steps: usize,
}

impl Automata {
    pub(crate) fn new(limit: usize, total: usize) -> Self {
        Self {
            made: HashMap::default(),
            known: HashMap::default(),
            limit,
            left: total,
            room: MAX_ALL,
            allowed: usize::MAX,
            steps: 0,
        }
    }

    /// Lets so many steps be taken from now on; without this there is no such bound.
    pub(crate) fn allow(&mut self, steps: u64) {
        self.allowed = usize::try_from(steps).unwrap_or(usize::MAX);
    }

    /// Steps that were taken since this was asked last.
    pub(crate) fn take_steps(&mut self) -> u64 {
        std::mem::take(&mut self.steps) as u64
    }

    fn spend(&mut self, steps: usize) {
        self.steps = self.steps.saturating_add(steps);
        self.allowed = self.allowed.saturating_sub(steps);
    }

    /// Texts of `domain` that all of `wanted` match, for each combination of `free` that can hold.
    pub(crate) fn texts(
        &mut self,
        domain: Domain,
        start: Start<'_>,
        wanted: &[&str],
        free: &[String],
    ) -> Texts {
        let domain = domain.pattern();
        let patterns = || {
            let fixed = std::iter::once(domain.as_str()).chain(wanted.iter().copied());
            fixed.chain(free.iter().map(String::as_str))
        };
        self.spend(LOOK + patterns().map(str::len).sum::<usize>() / LOOK_BYTES);
        if patterns().count() > MAX_SIDE_BY_SIDE || self.left == 0 {
            return Texts::default();
        }
        for pattern in patterns() {
            if !self.made.contains_key(pattern) {
                if self.allowed == 0 {
                    return Texts::default();
                }
                let made = if self.room == 0 { None } else { make(pattern) };
                let size = made.as_ref().map_or(MAX_AUTOMATON, |one| one.memory_usage());
                self.spend(MAKE + size / MAKE_BYTES);
                self.room = self.room.saturating_sub(size);
                self.made.insert(pattern.into(), made);
            }
        }
        let automata: Option<Vec<_>> = patterns()
            .map(|pattern| self.made.get(pattern)?.as_ref())
            .collect();
        let Some(automata) = automata else {
            return Texts::default();
        };
        // What follows is the same wherever the automata stand alike and nothing is left out.
        let all: Vec<&str> = patterns().collect();
        let Some(joint) = Joint::after(&automata, start.prefix, start.excluded.len()) else {
            return Texts::default();
        };
        let alike = start
            .excluded
            .is_empty()
            .then(|| (all.join("\n"), wanted.len(), joint.clone()));
        if let Some(known) = alike.as_ref().and_then(|alike| self.known.get(alike)) {
            return known.behind(start.prefix);
        }
        if self.allowed <= SEARCH {
            return Texts::default();
        }
        let search = Search::new(automata, 1 + wanted.len(), start.excluded);
        let each = STATE + search.width() / STATE_WAYS;
        let limit = self.limit.min(self.left).min((self.allowed - SEARCH) / each);
        let (texts, seen) = search.run(joint, limit);
        self.left -= seen.min(self.left);
        self.spend(SEARCH + each.saturating_mul(seen));
        let found = texts.behind(start.prefix);
        // What was cut short is not all that is to be found by whoever may do more.
        if self.known.len() < MAX_KNOWN && (texts.complete || limit == self.limit) {
            self.known.extend(alike.map(|alike| (alike, texts)));
        }
        found
    }
}

fn make(pattern: &str) -> Option<dense::DFA<Vec<u32>>> {
    let config = dense::Config::new()
        .start_kind(StartKind::Anchored)
        .match_kind(MatchKind::All)
        .dfa_size_limit(Some(MAX_AUTOMATON))
        .determinize_size_limit(Some(MAX_WORKSPACE));
    dense::Builder::new().configure(config).build(pattern).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(domain: Domain, start: Start<'_>, wanted: &[&str], free: &[&str]) -> Texts {
        let whole = |pattern: &&str| format!("^(?:{pattern})$");
        let wanted: Vec<String> = wanted.iter().map(whole).collect();
        let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
        let free: Vec<String> = free.iter().map(whole).collect();
        Automata::new(10_000, 100_000).texts(domain, start, &wanted, &free)
    }

    #[test]
    fn every_combination_that_can_hold_has_a_text() {
        let texts = search(
            Domain::Header,
            Start::default(),
            &["[ab]+"],
            &["a.*", ".*b", "aab"],
        );
        assert!(texts.complete);
        let mut seen: Vec<_> = texts
            .groups
            .iter()
            .map(|group| {
                let text = &group[0];
                (text.starts_with('a'), text.ends_with('b'), text == "aab")
            })
            .collect();
        seen.sort_unstable();
        let all = [
            (false, false, false),
            (false, true, false),
            (true, false, false),
            (true, true, false),
            (true, true, true),
        ];
        assert_eq!(seen, all);
    }

    #[test]
    fn what_cannot_hold_has_none_and_that_is_certain() {
        let texts = search(Domain::Header, Start::default(), &["a+", "b+"], &[]);
        assert!(texts.complete && texts.groups.is_empty());
        let texts = search(Domain::Header, Start::default(), &["\u{e4}"], &[]);
        assert!(texts.complete && texts.groups.is_empty());
        assert_eq!(
            search(Domain::Query, Start::default(), &["\u{e4}"], &[]).groups,
            [["\u{e4}"]]
        );
    }

    #[test]
    fn a_path_goes_on_from_its_prefix_past_the_elements_that_are_left_out() {
        let start = Start {
            prefix: "/a/",
            excluded: &["b", "c"],
        };
        let texts = search(Domain::Path, start, &["/a/[bc]+"], &[]);
        assert_eq!(texts.groups, [["/a/bb", "/a/bc"]]);
        let texts = search(Domain::Path, start, &["/a/[bc]/?"], &[]);
        assert!(texts.complete && texts.groups.is_empty());
    }

    #[test]
    fn whatever_has_two_texts_shows_two_of_them() {
        for (pattern, two) in [
            ("/.x", true),
            ("/(foo|quux)x", true),
            ("/(ab)*", true),
            ("/a[0-9]b", true),
            ("/ab", false),
        ] {
            let texts = search(Domain::Path, Start::default(), &[pattern], &[]);
            let found = texts.groups.first().map_or(0, Vec::len);
            assert_eq!(found, if two { 2 } else { 1 }, "{pattern} {texts:?}");
        }
    }

    /// As many as a host may have paths: more than the bound on states, if each were gone into.
    #[test]
    fn many_elements_that_are_left_out_do_not_use_up_the_bound() {
        let elements: Vec<String> = (10_000..20_000).map(|at| format!("service-{at}")).collect();
        let excluded: Vec<&str> = elements.iter().map(String::as_str).collect();
        let start = Start {
            prefix: "/",
            excluded: &excluded,
        };
        let texts = search(Domain::Path, start, &[], &["/v[0-9]+", "/[^/]*/x"]);
        assert!(texts.complete);
        assert_eq!(texts.groups.len(), 3);
    }

    #[test]
    fn past_the_bound_what_was_found_is_not_all() {
        let all = ["(?:.*a.{9})", "(?:.*b.{8})"].map(|one| format!("^{one}$"));
        let texts = Automata::new(100, 100).texts(Domain::Header, Start::default(), &[], &all);
        assert!(!texts.complete && !texts.groups.is_empty());
    }
}
