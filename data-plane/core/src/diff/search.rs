//! Runs automata over all texts at once, breadth first.

use std::collections::HashMap;

use foldhash::fast::FixedState;
use regex_automata::{
    Anchored,
    dfa::{Automaton, dense},
    util::{primitives::StateID, start},
};
use smallvec::SmallVec;

use super::automata::Texts;

/// Texts for one combination: the second, if the first does not show what others do.
const TEXTS: usize = 2;

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
pub(super) struct Joint {
    states: SmallVec<[StateID; 6]>,
    element: Element,
}

impl Joint {
    /// Where `automata` stand after `prefix`, with so many excluded elements ahead.
    pub(super) fn after(automata: &[&dense::DFA<Vec<u32>>], prefix: &str, excluded: usize) -> Option<Self> {
        let config = start::Config::new().anchored(Anchored::Yes);
        let run = |automaton: &&dense::DFA<Vec<u32>>| {
            let mut state = automaton.start_state(&config).ok()?;
            for byte in prefix.bytes() {
                state = automaton.next_state(state, byte);
            }
            Some(state)
        };
        let states: Option<_> = automata.iter().map(run).collect();
        let element = match excluded {
            0 => Element::Other,
            to => Element::Begins {
                from: 0,
                to: to as u32,
                length: 0,
            },
        };
        Some(Self {
            states: states?,
            element,
        })
    }

    /// The same past the excluded elements: whatever can follow this can follow that.
    fn freed(&self) -> Option<Self> {
        (self.element != Element::Other).then(|| Self {
            states: self.states.clone(),
            element: Element::Other,
        })
    }
}

/// Which of the free automata match.
type Combination = SmallVec<[bool; 8]>;

/// A state that was seen.
struct Seen {
    joint: Joint,
    /// The place of the one before it on the shortest way, and the byte between the two.
    way: (usize, u8),
    /// Another way, if there is one.
    other: Option<(usize, u8)>,
}

/// Texts by combination, in the order of their finding.
#[derive(Default)]
struct Groups {
    places: HashMap<Combination, usize, FixedState>,
    texts: Vec<Vec<String>>,
    /// The last step of each first text.
    ends: Vec<(Combination, Option<(usize, u8)>)>,
}

impl Groups {
    fn add(
        &mut self,
        combination: Combination,
        end: Option<(usize, u8)>,
        text: impl FnOnce() -> Option<String>,
    ) {
        if self.is_full(&combination) {
            return;
        }
        let Some(text) = text() else { return };
        let place = *self.places.entry(combination.clone()).or_insert_with(|| {
            self.ends.push((combination, end));
            self.texts.push(Vec::new());
            self.texts.len() - 1
        });
        let texts = &mut self.texts[place];
        if !texts.contains(&text) {
            texts.push(text);
        }
    }

    fn is_full(&self, combination: &Combination) -> bool {
        let place = self.places.get(combination);
        place.is_some_and(|place| self.texts[*place].len() == TEXTS)
    }
}

/// Automata side by side.
pub(super) struct Search<'a> {
    automata: Vec<&'a dense::DFA<Vec<u32>>>,
    /// So many of them have to match.
    wanted: usize,
    excluded: &'a [&'a str],
    /// One byte of each class that anything tells apart, and another if it has one; the readable first.
    bytes: Vec<(u8, Option<u8>)>,
}

impl<'a> Search<'a> {
    /// The first `wanted` of them have to match, no text goes on with one of `excluded` (sorted).
    pub(super) fn new(
        automata: Vec<&'a dense::DFA<Vec<u32>>>,
        wanted: usize,
        excluded: &'a [&'a str],
    ) -> Self {
        let mut named = [false; 256];
        named[usize::from(b'/')] = !excluded.is_empty();
        for byte in excluded.iter().flat_map(|element| element.bytes()) {
            named[usize::from(byte)] = true;
        }
        let readable = (b'a'..=b'z').chain(b'0'..=b'9').chain(*b"-/_");
        let mut classes: HashMap<_, usize, FixedState> = HashMap::default();
        let mut bytes: Vec<(u8, Option<u8>)> = Vec::new();
        for byte in readable.chain(0..=255) {
            let own = named[usize::from(byte)].then_some(byte);
            let of = |automaton: &&dense::DFA<Vec<u32>>| automaton.byte_classes().get(byte);
            let class: SmallVec<[u8; 6]> = automata.iter().map(of).collect();
            let place = *classes.entry((own, class)).or_insert(bytes.len());
            match bytes.get_mut(place) {
                None => bytes.push((byte, None)),
                Some((first, mate)) if *first != byte => *mate = mate.or(Some(byte)),
                Some(_) => {}
            }
        }
        Self {
            automata,
            wanted,
            excluded,
            bytes,
        }
    }

    /// How many ways on from a state are tried, one for each automaton.
    pub(super) fn width(&self) -> usize {
        self.bytes.len() * self.automata.len()
    }

    /// What was found among the texts that go on from `start`, and how many states were seen.
    pub(super) fn run(&self, start: Joint, limit: usize) -> (Texts, usize) {
        let mut groups = Groups::default();
        if let Some(combination) = self.accepts(&start) {
            groups.add(combination, None, || Some(String::new()));
        }
        let mut places: HashMap<Joint, usize, FixedState> = HashMap::default();
        places.insert(start.clone(), 0);
        let mut path = vec![Seen::new(start, (0, 0))];
        let mut complete = true;
        let mut at = 0;
        while let Some(Seen { joint, way, .. }) = path.get(at) {
            let (joint, way) = (joint.clone(), *way);
            let freed = joint.freed().and_then(|freed| places.get(&freed));
            if let Some(freed) = freed {
                path[*freed].other.get_or_insert(way);
                at += 1;
                continue;
            }
            for (byte, _) in &self.bytes {
                let Some(next) = self.step(&joint, *byte) else {
                    continue;
                };
                if let Some(combination) = self.accepts(&next) {
                    groups.add(combination, Some((at, *byte)), || spell(&path, at, &[*byte]));
                }
                if let Some(place) = places.get(&next) {
                    path[*place].other.get_or_insert((at, *byte));
                } else if self.is_over(&next) && groups.is_full(&self.nothing()) {
                } else if path.len() >= limit {
                    complete = false;
                } else {
                    places.insert(next.clone(), path.len());
                    path.push(Seen::new(next, (at, *byte)));
                }
            }
            at += 1;
        }
        for (texts, (combination, end)) in groups.texts.iter_mut().zip(&groups.ends) {
            if texts.len() < TEXTS {
                texts.extend(self.second(&path, *end, combination));
            }
        }
        let texts = Texts {
            groups: groups.texts,
            complete,
        };
        (texts, path.len())
    }

    /// Another text of a combination than the one whose last step is `end`: the same but for a byte that
    /// nothing tells from its own, or by another way to one of its states.
    fn second(&self, path: &[Seen], end: Option<(usize, u8)>, combination: &Combination) -> Option<String> {
        let (mut at, mut byte) = end?;
        let mut rest = Vec::new();
        loop {
            let mates = self.bytes.iter().filter(|(first, _)| *first == byte);
            let mate = mates
                .filter_map(|(_, mate)| *mate)
                .map(|mate| (at, mate, 0))
                .next();
            let other = path[at].other.filter(|_| at != 0).map(|(from, by)| (from, by, 1));
            for (from, by, own) in [mate, other].into_iter().flatten() {
                let tail: Vec<u8> = std::iter::once(by)
                    .chain((own == 1).then_some(byte))
                    .chain(rest.iter().rev().copied())
                    .collect();
                let text = spell(path, from, &tail);
                if let Some(text) = text.filter(|text| self.judge(path, text).as_ref() == Some(combination)) {
                    return Some(text);
                }
            }
            if at == 0 {
                return None;
            }
            rest.push(byte);
            (at, byte) = path[at].way;
        }
    }

    /// The combination of a whole text; `None` if it does not belong here.
    fn judge(&self, path: &[Seen], text: &str) -> Option<Combination> {
        let mut joint = path.first()?.joint.clone();
        for byte in text.bytes() {
            joint = self.step(&joint, byte)?;
        }
        self.accepts(&joint)
    }

    /// Whether no free automaton can match any more.
    fn is_over(&self, joint: &Joint) -> bool {
        let free = self.automata.iter().zip(&joint.states).skip(self.wanted);
        free.into_iter()
            .all(|(automaton, state)| automaton.is_dead_state(*state))
    }

    /// The combination in which no free automaton matches.
    fn nothing(&self) -> Combination {
        smallvec::smallvec![false; self.automata.len() - self.wanted]
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
    fn accepts(&self, joint: &Joint) -> Option<Combination> {
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

impl Seen {
    fn new(joint: Joint, way: (usize, u8)) -> Self {
        Self {
            joint,
            way,
            other: None,
        }
    }
}

/// The text that leads from the start to the state at `at`, and then on by `tail`.
fn spell(path: &[Seen], mut at: usize, tail: &[u8]) -> Option<String> {
    let mut reversed: Vec<u8> = tail.iter().rev().copied().collect();
    while at != 0 {
        let (from, byte) = path[at].way;
        reversed.push(byte);
        at = from;
    }
    reversed.reverse();
    String::from_utf8(reversed).ok()
}
