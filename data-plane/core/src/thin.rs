//! Fewer kinds that stand for as many things.

/// Of weighted kinds, `most` at most, whose weights add up to what they did before; those that are few enough stay
/// as they are. What is expected of each, over all `offset`s, is the weight it had.
///
/// # How
/// All weights in a row, in the order of the kinds, are cut into `most` pieces of one length, and one place is taken
/// in each, at the same part of it (`offset`, of 2^64). The kind that lies there stands for the piece. So kinds that
/// are neighbours stand for each other.
pub fn thin<K>(kinds: Vec<(K, u64)>, most: usize, offset: u64) -> Vec<(K, u64)> {
    let most = most.max(1);
    if kinds.len() <= most {
        return kinds;
    }
    let all: u128 = kinds.iter().map(|(_, weight)| u128::from(*weight)).sum();
    let cut = |piece: usize| all * piece as u128 / most as u128;
    let (mut kept, mut end, mut piece) = (Vec::with_capacity(most), 0_u128, 0);
    for (kind, weight) in kinds {
        end += u128::from(weight);
        let mut stands_for = 0_u128;
        while piece < most {
            let (first, next) = (cut(piece), cut(piece + 1));
            let place = first + part(next - first, offset);
            // A piece of nothing has no place, and nothing to stand for.
            if place >= end && next > first {
                break;
            }
            stands_for += next - first;
            piece += 1;
        }
        if stands_for > 0 {
            kept.push((kind, u64::try_from(stands_for).unwrap_or(u64::MAX)));
        }
    }
    kept
}

/// The same, until what is left takes `bytes` at most, or is one.
pub fn thin_to<K>(
    mut kinds: Vec<(K, u64)>,
    bytes: usize,
    bytes_of: impl Fn(&K) -> usize,
    mut offset: impl FnMut() -> u64,
) -> Vec<(K, u64)> {
    loop {
        let taken: usize = kinds.iter().map(|(kind, _)| bytes_of(kind)).sum();
        if taken <= bytes || kinds.len() <= 1 {
            return kinds;
        }
        // As many as would fit if all took the same; it may be that those which are left take more.
        let fitting = (kinds.len() as u128 * bytes as u128 / taken as u128) as usize;
        let most = fitting.min(kinds.len() - 1);
        kinds = thin(kinds, most, offset());
    }
}

/// The part of `length` that `offset` is of 2^64.
fn part(length: u128, offset: u64) -> u128 {
    let (high, low) = (length >> 64, length & u128::from(u64::MAX));
    high * u128::from(offset) + ((low * u128::from(offset)) >> 64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn kinds() -> impl Strategy<Value = Vec<(usize, u64)>> {
        let weight = prop_oneof![4 => 1..20_u64, 2 => 1..5_000_u64, 1 => 1..=1_u64 << 48];
        prop::collection::vec(weight, 0..60).prop_map(|weights| weights.into_iter().enumerate().collect())
    }

    fn sum(kinds: &[(usize, u64)]) -> u128 {
        kinds.iter().map(|(_, weight)| u128::from(*weight)).sum()
    }

    proptest! {
        #[test]
        fn what_is_left_is_few_enough_and_stands_for_all(
            kinds in kinds(), most in 1..40_usize, offset in any::<u64>(),
        ) {
            let kept = thin(kinds.clone(), most, offset);
            prop_assert_eq!(sum(&kept), sum(&kinds));
            prop_assert!(kept.len() <= most.max(1));
            prop_assert!(kept.is_sorted_by(|a, b| a.0 < b.0), "each once, in their order");
            prop_assert!(kinds.len() > most || kept == kinds);
        }

        #[test]
        fn what_takes_too_much_is_thinned_until_it_does_not(kinds in kinds(), bytes in 0..2_000_usize) {
            let bytes_of = |kind: &usize| kind * 7 % 90;
            let mut turn = 0_u64;
            let offset = || { turn = turn.wrapping_add(0x9e37_79b9_7f4a_7c15); turn };
            let kept = thin_to(kinds.clone(), bytes, bytes_of, offset);
            prop_assert_eq!(sum(&kept), sum(&kinds));
            let taken: usize = kept.iter().map(|(kind, _)| bytes_of(kind)).sum();
            prop_assert!(taken <= bytes || kept.len() == 1);
        }

        #[test]
        fn what_is_expected_of_a_kind_is_its_weight(
            weights in prop::collection::vec(1..30_u64, 2..20), most in 1..12_u64,
        ) {
            let mut kinds: Vec<_> = weights.into_iter().enumerate().collect();
            let all: u64 = kinds.iter().map(|(_, weight)| weight).sum();
            // All pieces have one length, so each of their places comes up once.
            kinds[0].1 += (most - all % most) % most;
            let length = (all + (most - all % most) % most) / most;
            let mut sums = vec![0; kinds.len()];
            for place in 0..length {
                let offset = (u128::from(place) << 64).div_ceil(u128::from(length)) as u64;
                for (kind, weight) in thin(kinds.clone(), most as usize, offset) {
                    sums[kind] += weight;
                }
            }
            for ((kind, weight), sum) in kinds.iter().zip(sums) {
                prop_assert_eq!(sum, weight * length, "{}", kind);
            }
        }
    }
}
