//! The slot table of an experiment: stored content, because it depends on the tables before it.

use serde_json::{Value, json};
use sluice_core::slots;
use sluice_intent::{CarriedSlots, ExperimentSpec, ResourceId};
use sluice_model::{Revision, SlotTable};

/// Who owns which slot, and the salt that scatters units over them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allocation {
    /// Fixed at creation: a new salt would move every user.
    pub salt: String,
    /// Owners are indices into the experiment's variants.
    pub slots: SlotTable,
}

impl Allocation {
    /// The allocation of a new experiment. The salt names the experiment and the revision that
    /// created it, so that one that is deleted and made again is independent of the first.
    ///
    /// # Errors
    /// Shares that do not add up.
    pub fn initial(
        id: &ResourceId,
        created: Revision,
        spec: &ExperimentSpec,
    ) -> Result<Self, slots::AllocationError> {
        Ok(Self {
            salt: format!("{}/{}/{created}", id.namespace, id.name),
            slots: slots::initial(&shares(spec))?,
        })
    }

    /// The allocation after `old` became `new`, with the fewest moves. Variants are the same when
    /// their names are.
    ///
    /// # Errors
    /// Shares that do not add up.
    pub fn succeed(
        &self,
        old: &ExperimentSpec,
        new: &ExperimentSpec,
    ) -> Result<Self, slots::AllocationError> {
        let names = old.variants.iter().map(|variant| variant.name.as_str());
        follow(&self.salt, &self.slots, names, new)
    }

    /// The allocation of an experiment that comes from elsewhere with its table: the same one where
    /// it still has the same shares, else with the fewest moves from there.
    ///
    /// # Errors
    /// Shares that do not add up.
    pub fn carried(carried: &CarriedSlots, spec: &ExperimentSpec) -> Result<Self, slots::AllocationError> {
        let names = carried.variants.iter().map(|name| name.as_str());
        follow(&carried.salt, &carried.table, names, spec)
    }

    /// As it travels in files.
    pub(super) fn to_carried(&self, spec: &ExperimentSpec) -> CarriedSlots {
        CarriedSlots {
            salt: self.salt.clone(),
            variants: spec.variants.iter().map(|variant| variant.name.clone()).collect(),
            table: self.slots.clone(),
        }
    }

    /// As it stands in `status`: runs of slots with the names of their owners.
    pub(super) fn to_status(&self, spec: &ExperimentSpec) -> Value {
        let runs: Vec<Value> = self
            .slots
            .runs()
            .filter_map(|(count, owner)| {
                let variant = spec.variants.get(usize::from(owner))?;
                Some(json!({"variant": variant.name, "count": count}))
            })
            .collect();
        json!({"salt": self.salt, "slots": runs})
    }

    /// Reads what [`Allocation::to_status`] wrote.
    pub(super) fn from_status(status: &Value, spec: &ExperimentSpec) -> Option<Self> {
        let salt = status.get("salt")?.as_str()?.to_owned();
        let mut pairs = Vec::new();
        for run in status.get("slots")?.as_array()? {
            let name = run.get("variant")?.as_str()?;
            let owner = spec
                .variants
                .iter()
                .position(|variant| variant.name.as_str() == name)?;
            pairs.push(u32::try_from(run.get("count")?.as_u64()?).ok()?);
            pairs.push(u32::try_from(owner).ok()?);
        }
        let slots = SlotTable::from_runs(&pairs, spec.variants.len()).ok()?;
        Some(Self { salt, slots })
    }
}

/// The table after `table`, whose owners have these names, with the fewest moves.
fn follow<'a>(
    salt: &str,
    table: &SlotTable,
    names: impl Iterator<Item = &'a str>,
    new: &ExperimentSpec,
) -> Result<Allocation, slots::AllocationError> {
    let place = |name: &str| {
        let at = new
            .variants
            .iter()
            .position(|variant| variant.name.as_str() == name);
        at.and_then(|at| u16::try_from(at).ok())
    };
    let mapping: Vec<Option<u16>> = names.map(place).collect();
    Ok(Allocation {
        salt: salt.to_owned(),
        slots: slots::reallocate(table, &mapping, &shares(new))?,
    })
}

fn shares(spec: &ExperimentSpec) -> Vec<u32> {
    spec.variants
        .iter()
        .map(|variant| u32::from(variant.share.basis_points()))
        .collect()
}
