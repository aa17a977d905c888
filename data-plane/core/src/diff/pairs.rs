//! Which rule before and which after may have one and the same request.

use std::collections::HashMap;

use foldhash::fast::FixedState;

/// Pairs of places, and how they were found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Pairs {
    /// A place before and one after.
    pub(super) found: Vec<(usize, usize)>,
    /// Pairs that were looked at.
    pub(super) looked: u64,
    /// Whether that is all.
    pub(super) complete: bool,
}

/// What of a candidate decides which others it may be paired with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Traits {
    /// The same number for the same conditions besides the path, on both sides.
    pub(super) conditions: u32,
    /// The same number for the same outcome, on both sides.
    pub(super) outcome: u32,
    /// Whether it is not on both sides as it is.
    pub(super) is_touched: bool,
}

/// Pairs of places in two lists, best candidate first, of which each request has one pair; those left
/// out cannot be, or have one outcome. The last of each list takes everything. With `all`, the lists are
/// of different listeners, so that what is touched says nothing. At most `limit` pairs are looked at.
///
/// A candidate takes nothing if one with the same conditions stands before it. If it wins on one side,
/// the other side's winner stands no later than the first with the same conditions there.
pub(super) fn pairs(old: &[Traits], new: &[Traits], all: bool, limit: u64) -> Pairs {
    let (first_old, first_new) = (first(old), first(new));
    let last_new = new.len().saturating_sub(1);
    let touched_new: Vec<usize> = (0..new.len()).filter(|at| new[*at].is_touched).collect();
    let every_new: Vec<usize> = (0..new.len()).collect();
    let mut pairs = Pairs {
        complete: true,
        ..Pairs::default()
    };
    for (at, one) in old.iter().enumerate() {
        if first_old.get(&one.conditions) != Some(&at) {
            continue;
        }
        let until = first_new.get(&one.conditions).copied().unwrap_or(last_new);
        let partners = if all || one.is_touched {
            &every_new
        } else {
            &touched_new
        };
        for partner in partners.iter().take_while(|partner| **partner <= until) {
            if pairs.looked == limit {
                pairs.complete = false;
                return pairs;
            }
            pairs.looked += 1;
            let other = &new[*partner];
            let is_first = first_new.get(&other.conditions) == Some(partner);
            let reaches = first_old.get(&other.conditions).is_none_or(|first| at <= *first);
            if is_first && reaches && one.outcome != other.outcome {
                pairs.found.push((at, *partner));
            }
        }
    }
    pairs
}

/// The first place of each kind of conditions.
fn first(list: &[Traits]) -> HashMap<u32, usize, FixedState> {
    let mut first = HashMap::default();
    for (at, one) in list.iter().enumerate() {
        first.entry(one.conditions).or_insert(at);
    }
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(all: &[(u32, u32, bool)]) -> Vec<Traits> {
        let one = |(conditions, outcome, is_touched): &(u32, u32, bool)| Traits {
            conditions: *conditions,
            outcome: *outcome,
            is_touched: *is_touched,
        };
        all.iter().map(one).collect()
    }

    #[test]
    fn a_changed_rule_meets_itself_and_not_what_stands_before_or_behind_it() {
        let old = list(&[(1, 1, false), (2, 2, true), (3, 3, false), (0, 0, false)]);
        let new = list(&[(1, 1, false), (2, 9, true), (3, 3, false), (0, 0, false)]);
        assert_eq!(pairs(&old, &new, false, 100).found, [(1, 1)]);
    }

    #[test]
    fn a_rule_that_goes_leaves_its_requests_to_those_behind_it() {
        let old = list(&[(1, 1, false), (2, 2, true), (3, 3, false), (0, 0, false)]);
        let new = list(&[(1, 1, false), (3, 3, false), (0, 0, false)]);
        assert_eq!(pairs(&old, &new, false, 100).found, [(1, 1), (1, 2)]);
        assert_eq!(pairs(&new, &old, false, 100).found, [(1, 1), (2, 1)]);
    }

    #[test]
    fn a_list_that_turns_round_is_looked_at_in_pairs_up_to_the_limit() {
        let old = list(&[(1, 1, true), (2, 2, true), (3, 3, true)]);
        let new = list(&[(3, 3, true), (2, 2, true), (1, 1, true)]);
        assert_eq!(pairs(&old, &new, false, 100).found, [(0, 0), (0, 1), (1, 0)]);
        let some = pairs(&old, &new, false, 2);
        assert_eq!((&some.found[..], some.complete), (&[(0, 0), (0, 1)][..], false));
    }

    #[test]
    fn renaming_everything_leaves_nothing_to_look_at() {
        let rules = list(&[(1, 1, true), (2, 2, true), (0, 0, false)]);
        assert_eq!(pairs(&rules, &rules, false, 100).found, []);
    }
}
