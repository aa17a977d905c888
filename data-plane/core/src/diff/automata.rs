//! Regular expressions as automata: which combinations of them can hold, and a text for each.
//!
//! Several automata run side by side over all texts at once, breadth first, so that the shortest texts
//! are found first. When every state that they can reach together was seen, all combinations are known;
//! when there are more states than the bound, those found are samples.

use std::collections::HashMap;

use foldhash::fast::FixedState;
use regex_automata::{
    Anchored, MatchKind,
    dfa::{Automaton, StartKind, dense},
    util::{primitives::StateID, start},
};
use smallvec::SmallVec;

use super::domain::Domain;

/// Most bytes of one automaton.
const MAX_AUTOMATON: usize = 2 * 1024 * 1024;
/// Most memory while one is made.
const MAX_WORKSPACE: usize = 4 * 1024 * 1024;
/// Most automata side by side.
const MAX_SIDE_BY_SIDE: usize = 24;
/// Texts for one combination: the second, if the first does not show what others do.
const TEXTS: usize = 2;

/// Texts by combination.
#[derive(Clone, Debug, Default)]
pub(super) struct Texts {
    /// One or two of each combination that was found.
    pub(super) groups: Vec<Vec<String>>,
    /// Whether there are no other combinations.
    pub(super) complete: bool,
}

/// Where a search begins and what it leaves out.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Start<'a> {
    /// What every text begins with.
    pub(super) prefix: &'a str,
    /// Sorted: what must not come next up to a slash or the end.
    pub(super) excluded: &'a [&'a str],
}

/// Automata that were made, by pattern.
pub(super) struct Automata {
    made: HashMap<String, Option<dense::DFA<Vec<u32>>>, FixedState>,
    /// Most states of one search.
    limit: usize,
    /// States that may still be seen by all searches.
    left: usize,
}

impl Automata {
    pub(super) fn new(limit: usize, total: usize) -> Self {
        Self {
            made: HashMap::default(),
            limit,
            left: total,
        }
    }

    /// Texts of `domain` that all of `wanted` match, for each combination of `free` that can hold.
    pub(super) fn texts(
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
        if patterns().count() > MAX_SIDE_BY_SIDE {
            return Texts::default();
        }
        for pattern in patterns() {
            if !self.made.contains_key(pattern) {
                self.made.insert(pattern.into(), make(pattern));
            }
        }
        let automata: Option<Vec<_>> = patterns()
            .map(|pattern| self.made.get(pattern)?.as_ref())
            .collect();
        let Some(automata) = automata else {
            return Texts::default();
        };
        let search = Search::new(automata, 1 + wanted.len(), start.excluded);
        let limit = self.limit.min(self.left);
        let (texts, seen) = search.run(start.prefix, limit);
        self.left -= seen.min(self.left);
        texts
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

/// What was read since the start, as far as the excluded elements go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Element {
    /// So many bytes, with which those of this range of the excluded begin.
    Begins { from: u32, to: u32, length: u32 },
    /// No excluded one any more.
    Other,
}

/// One state of all automata together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Joint {
    states: SmallVec<[StateID; 6]>,
    element: Element,
}

struct Search<'a> {
    automata: Vec<&'a dense::DFA<Vec<u32>>>,
    /// So many of them have to match.
    wanted: usize,
    excluded: &'a [&'a str],
    /// One byte of each class that anything tells apart, the readable ones first.
    bytes: Vec<u8>,
}

impl<'a> Search<'a> {
    fn new(automata: Vec<&'a dense::DFA<Vec<u32>>>, wanted: usize, excluded: &'a [&'a str]) -> Self {
        let mut named = [false; 256];
        named[usize::from(b'/')] = !excluded.is_empty();
        for byte in excluded.iter().flat_map(|element| element.bytes()) {
            named[usize::from(byte)] = true;
        }
        let readable = (b'a'..=b'z').chain(b'0'..=b'9').chain(*b"-/_");
        let mut classes = std::collections::HashSet::<_, FixedState>::default();
        let bytes = readable.chain(0..=255).filter(|byte| {
            let own = named[usize::from(*byte)].then_some(*byte);
            let of = |automaton: &&dense::DFA<Vec<u32>>| automaton.byte_classes().get(*byte);
            let class: SmallVec<[u8; 6]> = automata.iter().map(of).collect();
            classes.insert((own, class))
        });
        let bytes = bytes.collect();
        Self {
            automata,
            wanted,
            excluded,
            bytes,
        }
    }

    /// What was found, and how many states were seen.
    fn run(&self, prefix: &str, limit: usize) -> (Texts, usize) {
        let Some(start) = self.start(prefix) else {
            return (Texts::default(), 0);
        };
        let mut found: HashMap<SmallVec<[bool; 8]>, Vec<String>, FixedState> = HashMap::default();
        let mut order = Vec::new();
        let mut note = |combination: SmallVec<[bool; 8]>, text: &dyn Fn() -> Option<String>| {
            let texts = found.entry(combination.clone()).or_default();
            if texts.is_empty() {
                order.push(combination);
            }
            if texts.len() < TEXTS {
                texts.extend(text().filter(|text| !texts.contains(text)));
            }
        };
        let mut seen: HashMap<Joint, u32, FixedState> = HashMap::default();
        // Each state that was seen, by which byte, and from which one.
        let mut path: Vec<(Joint, u32, u8)> = vec![(start.clone(), 0, 0)];
        seen.insert(start.clone(), 0);
        if let Some(combination) = self.accepts(&start) {
            note(combination, &|| Some(prefix.to_owned()));
        }
        let mut at = 0;
        let mut complete = true;
        while let Some((joint, ..)) = path.get(at) {
            let joint = joint.clone();
            for byte in &self.bytes {
                let Some(next) = self.step(&joint, *byte) else {
                    continue;
                };
                if let Some(combination) = self.accepts(&next) {
                    note(combination, &|| spell(prefix, &path, at, *byte));
                }
                if seen.contains_key(&next) {
                    continue;
                }
                if path.len() >= limit {
                    complete = false;
                    continue;
                }
                seen.insert(next.clone(), path.len() as u32);
                path.push((next, at as u32, *byte));
            }
            at += 1;
        }
        let mut groups: Vec<_> = order
            .into_iter()
            .filter_map(|combination| found.remove(&combination))
            .collect();
        groups.retain(|texts| !texts.is_empty());
        (Texts { groups, complete }, path.len())
    }

    fn start(&self, prefix: &str) -> Option<Joint> {
        let config = start::Config::new().anchored(Anchored::Yes);
        let run = |automaton: &&dense::DFA<Vec<u32>>| {
            let start = automaton.start_state(&config).ok()?;
            Some(
                prefix
                    .bytes()
                    .fold(start, |state, byte| automaton.next_state(state, byte)),
            )
        };
        let states: Option<_> = self.automata.iter().map(run).collect();
        let element = match self.excluded.len() {
            0 => Element::Other,
            to => Element::Begins {
                from: 0,
                to: to as u32,
                length: 0,
            },
        };
        Some(Joint {
            states: states?,
            element,
        })
    }

    /// `None` when no text goes on like this.
    fn step(&self, joint: &Joint, byte: u8) -> Option<Joint> {
        let mut states = SmallVec::with_capacity(joint.states.len());
        for (at, (automaton, state)) in self.automata.iter().zip(&joint.states).enumerate() {
            let next = automaton.next_state(*state, byte);
            if (at < self.wanted && automaton.is_dead_state(next)) || automaton.is_quit_state(next) {
                return None;
            }
            states.push(next);
        }
        let element = match joint.element {
            Element::Other => Element::Other,
            Element::Begins { .. } if byte == b'/' => {
                if self.is_excluded(joint.element) {
                    return None;
                }
                Element::Other
            }
            Element::Begins { from, to, length } => self.narrow(from, to, length, byte),
        };
        Some(Joint { states, element })
    }

    fn narrow(&self, from: u32, to: u32, length: u32, byte: u8) -> Element {
        let range = &self.excluded[from as usize..to as usize];
        let at = length as usize;
        let before = range.partition_point(|one| one.as_bytes().get(at).is_none_or(|own| *own < byte));
        let until = range.partition_point(|one| one.as_bytes().get(at).is_none_or(|own| *own <= byte));
        match before < until {
            true => Element::Begins {
                from: from + before as u32,
                to: from + until as u32,
                length: length + 1,
            },
            false => Element::Other,
        }
    }

    fn is_excluded(&self, element: Element) -> bool {
        match element {
            Element::Other => false,
            Element::Begins { from, length, .. } => self.excluded[from as usize].len() == length as usize,
        }
    }

    /// Which of the free ones match a text that ends here; `None` if not all that have to do.
    fn accepts(&self, joint: &Joint) -> Option<SmallVec<[bool; 8]>> {
        if self.is_excluded(joint.element) {
            return None;
        }
        let mut free = SmallVec::new();
        for (at, (automaton, state)) in self.automata.iter().zip(&joint.states).enumerate() {
            let matches = automaton.is_match_state(automaton.next_eoi_state(*state));
            match at < self.wanted {
                true if !matches => return None,
                true => {}
                false => free.push(matches),
            }
        }
        Some(free)
    }
}

/// The text that leads to the state at `at` and on by `byte`.
fn spell(prefix: &str, path: &[(Joint, u32, u8)], mut at: usize, byte: u8) -> Option<String> {
    let mut reversed = vec![byte];
    while at != 0 {
        let (_, from, byte) = &path[at];
        reversed.push(*byte);
        at = *from as usize;
    }
    reversed.extend(prefix.bytes().rev());
    reversed.reverse();
    String::from_utf8(reversed).ok()
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
    fn past_the_bound_what_was_found_is_not_all() {
        let all = ["(?:.*a.{9})", "(?:.*b.{8})"].map(|one| format!("^{one}$"));
        let texts = Automata::new(100, 100).texts(Domain::Header, Start::default(), &[], &all);
        assert!(!texts.complete && !texts.groups.is_empty());
    }
}
