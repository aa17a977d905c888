//! The slot table of an Experiment as it travels in files, from one control plane to another.
//!
//! Who sees which variant depends on the tables before, so shares alone do not bring it back. An export
//! carries the table in an annotation, which counts where the Experiment is created and nowhere else.

use serde::{Deserialize, Serialize};
use sluice_model::{SlotError, SlotTable};

use crate::ResourceId;
use crate::names::VariantName;

/// The annotation of an Experiment that holds its slot table.
pub const CARRIED_SLOTS: &str = "sluice.dev/slots";

/// Longest text of it, in bytes: 10,000 runs of one slot, and as many variants as there may be.
const MAX_BYTES: usize = 64 * 1024;
/// Longest salt, in bytes; one names an experiment and a revision.
const MAX_SALT: usize = 512;
/// Most variants, as an Experiment has.
const MAX_VARIANTS: usize = 32;

/// A slot table with the names of the variants that own its slots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CarriedSlots {
    /// What scatters units over slots: 1 to 512 visible ASCII characters.
    pub salt: String,
    /// The variants, each once; the table's owners are indices into them.
    pub variants: Vec<VariantName>,
    /// Who owns which slot.
    pub table: SlotTable,
}

/// Why a text is no slot table.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CarriedSlotsError {
    /// Longer than any table.
    #[error("must have at most {MAX_BYTES} bytes")]
    Length,
    /// Not of this form.
    #[error(r#"must be `{{"salt": TEXT, "variants": [NAME, ...], "runs": [COUNT, VARIANT, ...]}}`"#)]
    Form,
    /// A salt that this version does not make.
    #[error("the salt must be 1 to {MAX_SALT} visible ASCII characters")]
    Salt,
    /// None, too many, or one twice.
    #[error("there must be 1 to {MAX_VARIANTS} variants, each once")]
    Variants,
    /// Runs that do not make a table.
    #[error("{0}")]
    Runs(#[from] SlotError),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    salt: String,
    variants: Vec<VariantName>,
    /// Pairs of the number of slots and the index of their owner.
    runs: Vec<u32>,
}

impl CarriedSlots {
    /// Whether it is the table of `experiment`, after which its salt is named. That of another one, as a copied file
    /// has it, would bind the variants of two experiments together.
    pub fn is_of(&self, experiment: &ResourceId) -> bool {
        let rest = self.salt.strip_prefix(experiment.namespace.as_str());
        let rest = rest.and_then(|rest| rest.strip_prefix('/')?.strip_prefix(experiment.name.as_str()));
        rest.is_some_and(|rest| rest.starts_with('/'))
    }

    /// The text of the annotation: JSON on one line.
    pub fn to_text(&self) -> String {
        let written = Written {
            salt: self.salt.clone(),
            variants: self.variants.clone(),
            runs: self.table.to_runs(),
        };
        // Strings and numbers: there is nothing in it that JSON cannot hold.
        serde_json::to_string(&written).unwrap_or_default()
    }
}

impl std::str::FromStr for CarriedSlots {
    type Err = CarriedSlotsError;

    fn from_str(text: &str) -> Result<Self, CarriedSlotsError> {
        if text.len() > MAX_BYTES {
            return Err(CarriedSlotsError::Length);
        }
        let Written { salt, variants, runs } =
            serde_json::from_str(text).map_err(|_| CarriedSlotsError::Form)?;
        if !(1..=MAX_SALT).contains(&salt.len()) || !salt.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(CarriedSlotsError::Salt);
        }
        let repeats = |(at, name): (usize, &VariantName)| variants[..at].contains(name);
        if !(1..=MAX_VARIANTS).contains(&variants.len()) || variants.iter().enumerate().any(repeats) {
            return Err(CarriedSlotsError::Variants);
        }
        let table = SlotTable::from_runs(&runs, variants.len())?;
        Ok(Self {
            salt,
            variants,
            table,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(salt: &str, variants: &str, runs: &str) -> String {
        format!(r#"{{"salt":"{salt}","variants":[{variants}],"runs":[{runs}]}}"#)
    }

    #[test]
    fn a_table_reads_back_as_it_was_written() {
        let text = written("default/pay/7", r#""old","new""#, "4000,1,6000,0");
        let slots: CarriedSlots = text.parse().unwrap();
        assert_eq!(slots.table.owner(3_999), 1);
        assert_eq!(slots.to_text(), text);
    }

    #[test]
    fn a_table_is_of_the_experiment_that_its_salt_names() {
        let text = written("default/pay/7", r#""old","new""#, "4000,1,6000,0");
        let slots: CarriedSlots = text.parse().unwrap();
        let is_of = |id: &str| slots.is_of(&id.parse().unwrap());
        assert!(is_of("Experiment/default/pay"));
        assert!(!is_of("Experiment/default/pa") && !is_of("Experiment/default/checkout"));
        assert!(!is_of("Experiment/other/pay"));
    }

    #[test]
    fn the_longest_table_there_is_fits() {
        let names: Vec<VariantName> = (0..MAX_VARIANTS)
            .map(|at| format!("{at:0>63}").parse().unwrap())
            .collect();
        let slots = CarriedSlots {
            salt: "s".repeat(MAX_SALT),
            table: SlotTable::from_owners(|slot| 10 + slot % 22, MAX_VARIANTS).unwrap(),
            variants: names,
        };
        assert_eq!(slots.to_text().parse(), Ok(slots));
    }

    #[test]
    fn what_is_no_table_is_refused_with_the_reason() {
        use CarriedSlotsError as Error;
        let pair = r#""a","b""#;
        for (text, error) in [
            (String::new(), Error::Form),
            ("[".repeat(1_000), Error::Form),
            (" ".repeat(MAX_BYTES + 1), Error::Length),
            (written("s", pair, "-1,0"), Error::Form),
            (written("s", r#""A b""#, "10000,0"), Error::Form),
            (
                written("s", pair, "10000,0").replace("}", r#","more":1}"#),
                Error::Form,
            ),
            (written("", pair, "10000,0"), Error::Salt),
            (written("two words", pair, "10000,0"), Error::Salt),
            (written(&"s".repeat(MAX_SALT + 1), pair, "10000,0"), Error::Salt),
            (written("s", "", "10000,0"), Error::Variants),
            (written("s", r#""a","a""#, "10000,0"), Error::Variants),
            (written("s", pair, "9999,0"), Error::Runs(SlotError::Sum)),
            (
                written("s", pair, "4294967295,0,10001,1"),
                Error::Runs(SlotError::Sum),
            ),
            (written("s", pair, "10000,2"), Error::Runs(SlotError::Variant)),
            (written("s", pair, "10000"), Error::Runs(SlotError::Odd)),
        ] {
            assert_eq!(text.parse::<CarriedSlots>(), Err(error), "{text}");
        }
    }
}
