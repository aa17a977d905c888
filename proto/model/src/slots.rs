//! The slot table: which variant owns which part of the users.

/// Parts that an experiment divides its users into.
pub const SLOTS: u16 = 10_000;

/// Owner of every slot, as runs. Stored content of a revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotTable {
    /// First slot after the run, and who owns the run; ends ascend to [`SLOTS`].
    runs: Vec<(u16, u16)>,
}

/// Why runs are no slot table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SlotError {
    /// An odd number of integers.
    #[error("runs come as pairs of length and variant")]
    Odd,
    /// The lengths do not sum to [`SLOTS`].
    #[error("the lengths of the runs do not sum to 10000")]
    Sum,
    /// A variant that the experiment does not have.
    #[error("a run belongs to a variant that does not exist")]
    Variant,
}

impl SlotTable {
    /// Reads pairs of length and index of variant.
    ///
    /// # Errors
    /// When the lengths do not sum to [`SLOTS`] or an index is not below `variants`.
    pub fn from_runs(pairs: &[u32], variants: usize) -> Result<Self, SlotError> {
        if !pairs.len().is_multiple_of(2) {
            return Err(SlotError::Odd);
        }
        let mut runs: Vec<(u16, u16)> = Vec::new();
        let mut end = 0u64;
        for pair in pairs.chunks_exact(2) {
            end += u64::from(pair[0]);
            let stop = u16::try_from(end)
                .ok()
                .filter(|stop| *stop <= SLOTS)
                .ok_or(SlotError::Sum)?;
            let owner = u16::try_from(pair[1]).map_err(|_| SlotError::Variant)?;
            if usize::from(owner) >= variants {
                return Err(SlotError::Variant);
            }
            match runs.last_mut() {
                Some(last) if last.1 == owner => last.0 = stop,
                _ if pair[0] == 0 => {}
                _ => runs.push((stop, owner)),
            }
        }
        match end == u64::from(SLOTS) {
            true => Ok(Self { runs }),
            false => Err(SlotError::Sum),
        }
    }

    /// The table in which `owner(slot)` owns each slot.
    ///
    /// # Errors
    /// When an owner is not below `variants`.
    pub fn from_owners(owner: impl Fn(u16) -> u16, variants: usize) -> Result<Self, SlotError> {
        let pairs: Vec<u32> = (0..SLOTS).flat_map(|slot| [1, u32::from(owner(slot))]).collect();
        Self::from_runs(&pairs, variants)
    }

    /// Who owns `slot`; slots past the last belong to the last owner.
    pub fn owner(&self, slot: u16) -> u16 {
        let at = self.runs.partition_point(|(end, _)| *end <= slot);
        self.runs
            .get(at)
            .or(self.runs.last())
            .map_or(0, |(_, owner)| *owner)
    }

    /// Pairs of length and owner, neighbours with one owner joined.
    pub fn runs(&self) -> impl Iterator<Item = (u16, u16)> + '_ {
        let starts = std::iter::once(0).chain(self.runs.iter().map(|(end, _)| *end));
        self.runs
            .iter()
            .zip(starts)
            .map(|((end, owner), start)| (end - start, *owner))
    }

    /// The runs as they travel.
    pub fn to_runs(&self) -> Vec<u32> {
        self.runs()
            .flat_map(|(length, owner)| [u32::from(length), u32::from(owner)])
            .collect()
    }

    /// Slots owned by each of `variants`.
    pub fn shares(&self, variants: usize) -> Vec<u16> {
        let mut shares = vec![0; variants];
        for (length, owner) in self.runs() {
            if let Some(share) = shares.get_mut(usize::from(owner)) {
                *share += length;
            }
        }
        shares
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_knows_the_owner_of_every_slot() {
        let table = SlotTable::from_runs(&[9000, 0, 1000, 1], 2).unwrap();
        assert_eq!(
            (
                table.owner(0),
                table.owner(8999),
                table.owner(9000),
                table.owner(9999)
            ),
            (0, 0, 1, 1)
        );
        assert_eq!(table.to_runs(), [9000, 0, 1000, 1]);
        assert_eq!(table.shares(2), [9000, 1000]);
    }

    #[test]
    fn runs_that_do_not_fit_are_refused() {
        assert_eq!(SlotTable::from_runs(&[9999, 0], 1), Err(SlotError::Sum));
        assert_eq!(
            SlotTable::from_runs(&[u32::MAX, 0, u32::MAX, 0], 1),
            Err(SlotError::Sum)
        );
        assert_eq!(SlotTable::from_runs(&[10_000, 1], 1), Err(SlotError::Variant));
        assert_eq!(SlotTable::from_runs(&[10_000], 1), Err(SlotError::Odd));
    }
}
