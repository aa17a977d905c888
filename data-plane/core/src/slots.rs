//! Slots of an experiment: which one a unit falls into, and who owns which after shares change.
//!
//! Owners change hands along the order in which they stand in the table: who gains takes from the
//! near end of who loses. So a table stays in few runs, and with two variants, which stand side by
//! side from [`initial`] on, the table is a function of the shares: when they return, so does every
//! owner. (Only renumbering a variant while it has no slot loses its side. Three or more variants
//! get the fewest moves, and nothing more.)

use sluice_model::{SLOTS, SlotTable};
use xxhash_rust::xxh3::Xxh3Default;

use crate::choose::scale;

/// Why shares cannot be turned into slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AllocationError {
    /// The shares do not sum to 10,000 basis points.
    #[error("the shares do not sum to 100 percent")]
    Total,
    /// An owner in the old table is not mapped, or to a variant that has no share.
    #[error("a variant of the old slot table is not accounted for")]
    Mapping,
}

/// The slot of `unit`, 0 to 9,999: `(xxh3_64(salt, 0, unit) * 10000) >> 64`.
///
/// Stable for ever: users would change variants if it were not.
pub fn slot_of(salt: &str, unit: &[u8]) -> u16 {
    let mut hasher = Xxh3Default::new();
    hasher.update(salt.as_bytes());
    hasher.update(&[0]);
    hasher.update(unit);
    slot_at(hasher.digest())
}

/// The slot at `position` of the 64-bit range; uniform if `position` is.
pub(crate) fn slot_at(position: u64) -> u16 {
    // Below SLOTS, so it fits.
    scale(position, u64::from(SLOTS)) as u16
}

/// The table of a new experiment: one run for each variant, in their order.
///
/// `shares` are in basis points, one for each variant.
///
/// # Errors
/// When the shares do not sum to 10,000, or there are more than 65,536.
pub fn initial(shares: &[u32]) -> Result<SlotTable, AllocationError> {
    check_total(shares)?;
    let pairs: Vec<u32> = (0u32..)
        .zip(shares)
        .flat_map(|(variant, share)| [*share, variant])
        .collect();
    SlotTable::from_runs(&pairs, shares.len()).map_err(|_| AllocationError::Mapping)
}

/// The table that gives every variant its share with the fewest slots moved from `old`: as many as
/// the shares that grow do grow.
///
/// `mapping` has, for each variant of `old`, its index among the new ones, or `None` if it is gone.
/// `shares` are in basis points, one for each new variant. The same input gives the same table.
///
/// # Errors
/// When the shares do not sum to 10,000, or an owner in `old` is not in `mapping`, or mapped to a
/// variant without a share.
pub fn reallocate(
    old: &SlotTable,
    mapping: &[Option<u16>],
    shares: &[u32],
) -> Result<SlotTable, AllocationError> {
    check_total(shares)?;
    let mut owners = renumber(old, mapping, shares.len())?;
    let mut held = vec![Vec::new(); shares.len() + mapping.len()];
    for (slot, owner) in owners.iter().enumerate() {
        held[*owner].push(slot);
    }
    let order = table_order(&held, shares.len());
    // Those that are gone have no share, and so lose everything.
    let due = |owner: usize| shares.get(owner).map_or(0, |share| *share as usize);
    let mut growing: Vec<Growth> = (order.iter().enumerate())
        .map(|(place, owner)| Growth {
            place,
            owner: *owner,
            missing: due(*owner).saturating_sub(held[*owner].len()),
        })
        .rev()
        .collect();
    for (place, loser) in order.iter().enumerate() {
        let surplus = held[*loser].len().saturating_sub(due(*loser));
        hand_over(&held[*loser], place, surplus, &mut growing, &mut owners);
    }
    SlotTable::from_owners(|slot| owners[usize::from(slot)] as u16, shares.len())
        .map_err(|_| AllocationError::Mapping)
}

/// A variant that is still to get `missing` slots, and its place in the order.
struct Growth {
    place: usize,
    owner: usize,
    missing: usize,
}

/// Gives `surplus` of the slots that the owner at `place` holds to those first in need (at the end
/// of `growing`): its lowest slots to those that stand before it, its highest to those after.
fn hand_over(held: &[usize], place: usize, surplus: usize, growing: &mut Vec<Growth>, owners: &mut [usize]) {
    let mut takers = Vec::with_capacity(surplus);
    let mut before = 0;
    while takers.len() < surplus
        && let Some(growth) = growing.last_mut()
    {
        let amount = growth.missing.min(surplus - takers.len());
        takers.extend(std::iter::repeat_n(growth.owner, amount));
        if growth.place < place {
            before += amount;
        }
        growth.missing -= amount;
        if growth.missing == 0 {
            growing.pop();
        }
    }
    let after = takers.len() - before;
    let given = held[..before].iter().chain(&held[held.len() - after..]);
    for (slot, taker) in given.zip(takers) {
        owners[*slot] = taker;
    }
}

/// Owner of each slot by its new number; one that is gone gets a number past the new ones.
fn renumber(
    old: &SlotTable,
    mapping: &[Option<u16>],
    variants: usize,
) -> Result<Vec<usize>, AllocationError> {
    let mut owners = Vec::with_capacity(usize::from(SLOTS));
    for (length, owner) in old.runs() {
        let owner = usize::from(owner);
        let new = match mapping.get(owner).ok_or(AllocationError::Mapping)? {
            None => variants + owner,
            Some(new) => usize::from(*new),
        };
        if new >= variants && mapping[owner].is_some() {
            return Err(AllocationError::Mapping);
        }
        owners.extend(std::iter::repeat_n(new, usize::from(length)));
    }
    Ok(owners)
}

/// Owners by their lowest slot. A new variant without slots stands before the first one of higher
/// number, so that it has a side of its own to grow from.
fn table_order(held: &[Vec<usize>], variants: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..held.len()).filter(|owner| !held[*owner].is_empty()).collect();
    order.sort_by_key(|owner| held[*owner].first().copied());
    for absent in (0..variants).filter(|owner| held[*owner].is_empty()) {
        let place = order
            .iter()
            .position(|owner| *owner > absent)
            .unwrap_or(order.len());
        order.insert(place, absent);
    }
    order
}

fn check_total(shares: &[u32]) -> Result<(), AllocationError> {
    let total: u64 = shares.iter().map(|share| u64::from(*share)).sum();
    (total == u64::from(SLOTS))
        .then_some(())
        .ok_or(AllocationError::Total)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Shares of `variants` variants, many of them zero, summing to 10,000.
    fn shares(variants: usize) -> impl Strategy<Value = Vec<u32>> {
        let cut = prop_oneof![Just(0), Just(10_000), 0u32..=10_000];
        prop::collection::vec(cut, variants - 1).prop_map(|mut cuts| {
            cuts.extend([0, 10_000]);
            cuts.sort_unstable();
            cuts.windows(2).map(|pair| pair[1] - pair[0]).collect()
        })
    }

    /// A table as it may stand after some changes: any runs at all.
    fn table(variants: usize) -> impl Strategy<Value = SlotTable> {
        prop::collection::vec((shares(2), 0..variants), 0..12).prop_map(move |steps| {
            let mut owners = vec![0u16; usize::from(SLOTS)];
            for (cut, owner) in steps {
                owners[cut[0] as usize..].fill(owner as u16);
            }
            SlotTable::from_owners(|slot| owners[usize::from(slot)], variants).unwrap()
        })
    }

    fn mapping(old: usize, new: usize) -> impl Strategy<Value = Vec<Option<u16>>> {
        let targets: Vec<Option<u16>> = (0..new as u16)
            .map(Some)
            .chain(std::iter::repeat_n(None, old))
            .collect();
        Just(targets)
            .prop_shuffle()
            .prop_map(move |targets| targets[..old].to_vec())
    }

    fn change() -> impl Strategy<Value = (SlotTable, Vec<Option<u16>>, Vec<u32>)> {
        (1usize..6, 1usize..6).prop_flat_map(|(old, new)| (table(old), mapping(old, new), shares(new)))
    }

    fn kept_order(variants: u16) -> Vec<Option<u16>> {
        (0..variants).map(Some).collect()
    }

    #[test]
    fn a_unit_has_the_slot_it_always_had() {
        // Computed with the C implementation, xxHash 0.8.4.
        let long = "x".repeat(300);
        let vectors = [
            ("", "", 7667),
            ("checkout", "user-1", 6705),
            ("checkout", "user-2", 9355),
            ("search", "user-1", 1148),
            ("checkout", "203.0.113.7", 8806),
            ("checkout", "2001:db8::1", 2333),
            ("5f0c2a", "0123456789abcdef0123456789abcdef", 7370),
            ("long", &long, 8724),
        ];
        for (salt, unit, slot) in vectors {
            assert_eq!(slot_of(salt, unit.as_bytes()), slot, "{salt} {unit}");
        }
    }

    #[test]
    fn units_spread_evenly_and_salts_are_independent() {
        let units = 100_000u32;
        let (mut low, mut both) = (0i64, 0i64);
        for unit in 0..units {
            let unit = format!("user-{unit}");
            let first = slot_of("checkout", unit.as_bytes()) < 5000;
            low += i64::from(first);
            both += i64::from(first && slot_of("search", unit.as_bytes()) < 5000);
        }
        // Six standard deviations: 158 of a fair half, 137 of a fair quarter.
        assert!((low - 50_000).abs() < 950, "{low}");
        assert!((both - 25_000).abs() < 825, "{both}");
    }

    #[test]
    fn the_ends_of_the_range_are_the_first_and_the_last_slot() {
        assert_eq!(slot_at(0), 0);
        assert_eq!(slot_at(u64::MAX), 9_999);
        assert_eq!(slot_at(u64::MAX / 2), 4_999);
    }

    #[test]
    fn a_new_experiment_has_one_run_for_each_share() {
        assert_eq!(initial(&[9000, 0, 1000]).unwrap().to_runs(), [9000, 0, 1000, 2]);
        assert_eq!(initial(&[5000, 4999]), Err(AllocationError::Total));
        assert_eq!(initial(&[]), Err(AllocationError::Total));
        assert_eq!(
            initial(&[u32::MAX, u32::MAX, 10_002]),
            Err(AllocationError::Total)
        );
    }

    #[test]
    fn a_removed_variant_leaves_its_slots_to_its_neighbours() {
        let old = initial(&[3000, 4000, 3000]).unwrap();
        let new = reallocate(&old, &[Some(0), None, Some(1)], &[5000, 5000]).unwrap();
        assert_eq!(new.to_runs(), [5000, 0, 5000, 1]);
    }

    #[test]
    fn an_added_variant_takes_from_those_that_shrink_only() {
        let old = initial(&[5000, 5000]).unwrap();
        let new = reallocate(&old, &[Some(0), Some(1)], &[5000, 4000, 1000]).unwrap();
        assert_eq!(new.to_runs(), [5000, 0, 4000, 1, 1000, 2]);
    }

    #[test]
    fn an_owner_nobody_accounts_for_is_refused() {
        let old = initial(&[5000, 5000]).unwrap();
        assert_eq!(
            reallocate(&old, &[Some(0)], &[10_000]),
            Err(AllocationError::Mapping)
        );
        assert_eq!(
            reallocate(&old, &[Some(0), Some(1)], &[10_000]),
            Err(AllocationError::Mapping)
        );
        assert_eq!(
            reallocate(&old, &[None, None], &[9_999]),
            Err(AllocationError::Total)
        );
    }

    proptest! {
        #[test]
        fn shares_are_met_exactly_with_the_fewest_moves((old, mapping, shares) in change()) {
            let new = reallocate(&old, &mapping, &shares).unwrap();
            prop_assert_eq!(new.shares(shares.len()), shares.iter().map(|s| *s as u16).collect::<Vec<_>>());
            let mapped = |slot| mapping[usize::from(old.owner(slot))];
            let moved = (0..SLOTS).filter(|slot| mapped(*slot) != Some(new.owner(*slot))).count();
            let grown: usize = shares.iter().enumerate().map(|(variant, share)| {
                let had = (0..SLOTS).filter(|slot| mapped(*slot) == Some(variant as u16)).count();
                (*share as usize).saturating_sub(had)
            }).sum();
            prop_assert_eq!(moved, grown);
            prop_assert_eq!(reallocate(&old, &mapping, &shares).unwrap(), new);
        }

        #[test]
        fn two_variants_have_the_same_owners_whenever_they_have_the_same_shares(
            walk in prop::collection::vec(shares(2), 1..8),
        ) {
            let mut table = initial(&walk[0]).unwrap();
            for shares in &walk {
                table = reallocate(&table, &kept_order(2), shares).unwrap();
                prop_assert_eq!(&table, &initial(shares).unwrap());
            }
        }

        #[test]
        fn two_variants_that_swap_places_in_the_list_keep_their_owners(first in 1u32..9_999, then in 1u32..9_999) {
            let before = initial(&[first, 10_000 - first]).unwrap();
            let moved = reallocate(&before, &[Some(1), Some(0)], &[10_000 - then, then]).unwrap();
            let back = reallocate(&moved, &[Some(1), Some(0)], &[first, 10_000 - first]).unwrap();
            prop_assert_eq!(back, before);
        }
    }
}
