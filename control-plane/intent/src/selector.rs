//! Label selectors as Kubernetes writes them.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::meta::Labels;
use crate::names::{LabelKey, LabelValue};

/// Selects by labels; every condition must hold, and without any it selects everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LabelSelector {
    /// Labels that must have exactly these values.
    #[serde(default, skip_serializing_if = "Labels::is_empty")]
    pub match_labels: Labels,
    /// Further conditions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub match_expressions: Vec<LabelExpression>,
}

/// One condition on one label.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LabelExpression {
    /// The label that is looked at.
    pub key: LabelKey,
    /// What must hold for its value.
    pub operator: LabelOperator,
    /// Values for `In` and `NotIn`; none for the others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub values: Vec<LabelValue>,
}

/// What must hold for a label's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum LabelOperator {
    /// It is one of the values.
    In,
    /// It is none of the values, or the label is not there.
    NotIn,
    /// The label is there.
    Exists,
    /// The label is not there.
    DoesNotExist,
}

impl LabelSelector {
    /// Whether something with these labels is selected.
    pub fn matches(&self, labels: &Labels) -> bool {
        self.match_labels
            .iter()
            .all(|(key, value)| labels.get(key) == Some(value))
            && self
                .match_expressions
                .iter()
                .all(|expression| expression.matches(labels))
    }

    /// Whether any labels are selected by both. Exact: labels do not depend on each other, so it is
    /// decided for each by itself.
    pub fn overlaps(&self, other: &Self) -> bool {
        let both = || [self, other].into_iter();
        let keys: BTreeSet<&str> = both().flat_map(Self::keys).collect();
        keys.into_iter().all(|key| {
            let mut wanted = Wanted::default();
            both().for_each(|selector| selector.narrow(key, &mut wanted));
            wanted.is_possible()
        })
    }

    fn keys(&self) -> impl Iterator<Item = &str> {
        let exact = self.match_labels.iter().map(|(key, _)| key);
        exact.chain(self.match_expressions.iter().map(|one| one.key.as_str()))
    }

    fn narrow<'a>(&'a self, key: &str, wanted: &mut Wanted<'a>) {
        if let Some(value) = self.match_labels.get(key) {
            wanted.one_of([value].into());
        }
        for expression in self
            .match_expressions
            .iter()
            .filter(|one| one.key.as_str() == key)
        {
            let values: BTreeSet<&str> = expression.values.iter().map(|value| value.as_str()).collect();
            match expression.operator {
                LabelOperator::In => wanted.one_of(values),
                LabelOperator::NotIn => wanted.without.extend(values),
                LabelOperator::Exists => wanted.present = true,
                LabelOperator::DoesNotExist => wanted.absent = true,
            }
        }
    }
}

/// What conditions leave open for one label.
#[derive(Default)]
struct Wanted<'a> {
    present: bool,
    absent: bool,
    /// `None`: any value.
    among: Option<BTreeSet<&'a str>>,
    without: BTreeSet<&'a str>,
}

impl<'a> Wanted<'a> {
    fn one_of(&mut self, values: BTreeSet<&'a str>) {
        self.present = true;
        self.among = Some(match self.among.take() {
            Some(before) => before.intersection(&values).copied().collect(),
            None => values,
        });
    }

    fn is_possible(&self) -> bool {
        let has_value = || match &self.among {
            Some(values) => values.difference(&self.without).next().is_some(),
            // There are more values than can be excluded.
            None => true,
        };
        !self.present || (!self.absent && has_value())
    }
}

impl LabelExpression {
    fn matches(&self, labels: &Labels) -> bool {
        let value = labels.get(self.key.as_str());
        let listed = || value.is_some_and(|value| self.values.iter().any(|known| known.as_str() == value));
        match self.operator {
            LabelOperator::In => listed(),
            LabelOperator::NotIn => !listed(),
            LabelOperator::Exists => value.is_some(),
            LabelOperator::DoesNotExist => value.is_none(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_condition_of_a_selector_must_hold() {
        let labels: Labels = serde_json::from_value(json!({"team": "shop", "tier": "1"})).unwrap();
        let selects = |selector: serde_json::Value| {
            serde_json::from_value::<LabelSelector>(selector)
                .unwrap()
                .matches(&labels)
        };
        let expression = |key: &str, operator: &str, values: &[&str]| json!({"matchExpressions": [{"key": key, "operator": operator, "values": values}]});
        assert!(selects(json!({})));
        assert!(selects(json!({"matchLabels": {"team": "shop"}})));
        assert!(!selects(json!({"matchLabels": {"team": "shop", "tier": "2"}})));
        assert!(selects(expression("tier", "In", &["1", "2"])));
        assert!(!selects(expression("zone", "In", &["1"])));
        assert!(selects(expression("zone", "NotIn", &["1"])));
        assert!(!selects(expression("tier", "NotIn", &["1"])));
        assert!(selects(expression("tier", "Exists", &[])));
        assert!(!selects(expression("tier", "DoesNotExist", &[])));
    }

    #[test]
    fn selectors_overlap_unless_no_labels_can_be_selected_by_both() {
        for (one, other, overlap) in [
            ("", "zone=a", true),
            ("zone=a", "zone=a", true),
            ("zone=a", "zone=b", false),
            ("zone=a", "tier=b", true),
            ("zone in (a,b)", "zone in (b,c)", true),
            ("zone in (a,b)", "zone in (c)", false),
            ("zone=a", "zone!=a", false),
            ("zone=a", "zone!=b", true),
            ("zone!=a", "zone!=b", true),
            ("zone in (a,b)", "zone notin (a,b)", false),
            ("zone", "!zone", false),
            ("zone=a", "!zone", false),
            ("zone!=a", "!zone", true),
            ("zone,zone!=a", "zone=a", false),
            ("zone=a,tier=1", "zone=a,tier=2", false),
            ("zone in (a,b),zone!=a", "zone in (a)", false),
        ] {
            let [first, second]: [LabelSelector; 2] = [one, other].map(|text| text.parse().unwrap());
            assert_eq!(first.overlaps(&second), overlap, "{one} | {other}");
            assert_eq!(second.overlaps(&first), overlap, "{other} | {one}");
        }
    }
}
