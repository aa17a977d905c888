//! Label selectors as Kubernetes writes them.

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
}
