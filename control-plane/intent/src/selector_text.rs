//! Label selectors as one line of text, in the grammar of kubectl:
//! `team=shop,tier!=test,env in (a,b),zone notin (c),owner,!legacy`.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde_json::{Value, json};
use thiserror::Error;

use crate::selector::{LabelOperator, LabelSelector};

/// Most conditions of one selector.
const MAX_CONDITIONS: usize = 64;

/// Why a text is no selector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SelectorError {
    /// A condition that is none of the six forms.
    #[error("a condition is `key=value`, `key!=value`, `key in (a,b)`, `key notin (a,b)`, `key` or `!key`")]
    Condition,
    /// A key or a value that labels cannot have.
    #[error("a key or value is not one that labels can have")]
    Label,
    /// Too many conditions.
    #[error("it has more than 64 conditions")]
    Length,
}

impl FromStr for LabelSelector {
    type Err = SelectorError;

    /// Reads a selector. The empty text selects everything.
    fn from_str(text: &str) -> Result<Self, SelectorError> {
        let mut conditions = Vec::new();
        if !text.trim().is_empty() {
            for condition in split(text)? {
                conditions.push(expression(condition.trim())?);
            }
        }
        if conditions.len() > MAX_CONDITIONS {
            return Err(SelectorError::Length);
        }
        // Keys and values are checked by the types that they become.
        serde_json::from_value(json!({"matchExpressions": conditions})).map_err(|_| SelectorError::Label)
    }
}

/// In one spelling, whatever the order of conditions and values, so that texts that are equal select
/// the same.
impl fmt::Display for LabelSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = self
            .match_labels
            .iter()
            .map(|(key, value)| format!("{key}={value}"));
        let others = self.match_expressions.iter().map(|expression| {
            let key = expression.key.as_str();
            let values: BTreeSet<_> = expression.values.iter().map(|value| value.as_str()).collect();
            let values: Vec<_> = values.into_iter().collect();
            match (expression.operator, values.as_slice()) {
                (LabelOperator::In, [value]) => format!("{key}={value}"),
                (LabelOperator::In, values) => format!("{key} in ({})", values.join(",")),
                (LabelOperator::NotIn, [value]) => format!("{key}!={value}"),
                (LabelOperator::NotIn, values) => format!("{key} notin ({})", values.join(",")),
                (LabelOperator::Exists, _) => key.to_owned(),
                (LabelOperator::DoesNotExist, _) => format!("!{key}"),
            }
        });
        let conditions: BTreeSet<String> = exact.chain(others).collect();
        let conditions: Vec<_> = conditions.into_iter().collect();
        f.write_str(&conditions.join(","))
    }
}

/// Splits at the commas that are not in parentheses.
fn split(text: &str) -> Result<Vec<&str>, SelectorError> {
    let mut parts = Vec::new();
    let (mut start, mut inside) = (0, false);
    for (at, character) in text.char_indices() {
        match character {
            '(' if !inside => inside = true,
            ')' if inside => inside = false,
            '(' | ')' => return Err(SelectorError::Condition),
            ',' if !inside => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    if inside {
        return Err(SelectorError::Condition);
    }
    parts.push(&text[start..]);
    Ok(parts)
}

fn expression(text: &str) -> Result<Value, SelectorError> {
    if let Some((head, values)) = text.strip_suffix(')').and_then(|text| text.split_once('(')) {
        let words: Vec<_> = head.split_whitespace().collect();
        let (key, operator) = match words.as_slice() {
            [key, "in"] => (key, "In"),
            [key, "notin"] => (key, "NotIn"),
            _ => return Err(SelectorError::Condition),
        };
        let values: Vec<_> = values.split(',').map(str::trim).collect();
        return Ok(json!({"key": key, "operator": operator, "values": values}));
    }
    let (key, operator, value) = if let Some((key, value)) = text.split_once("!=") {
        (key, "NotIn", Some(value))
    } else if let Some((key, value)) = text.split_once("==").or_else(|| text.split_once('=')) {
        (key, "In", Some(value))
    } else if let Some(key) = text.strip_prefix('!') {
        (key, "DoesNotExist", None)
    } else {
        (text, "Exists", None)
    };
    let (key, value) = (key.trim(), value.map(str::trim));
    match key.is_empty() || key.contains(char::is_whitespace) {
        true => Err(SelectorError::Condition),
        false => Ok(json!({"key": key, "operator": operator, "values": Vec::from_iter(value)})),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meta::Labels;

    fn parse(text: &str) -> Result<LabelSelector, SelectorError> {
        text.parse()
    }

    #[test]
    fn every_form_of_a_condition_selects_as_in_kubectl() {
        let labels: Labels = serde_json::from_value(json!({"team": "shop", "tier": "1"})).unwrap();
        for (text, selected) in [
            ("", true),
            ("team=shop", true),
            ("team==shop", true),
            ("team = shop", true),
            ("team=shop,tier=2", false),
            ("tier!=2", true),
            ("zone!=a", true),
            ("team", true),
            ("zone", false),
            ("!zone", true),
            ("!team", false),
            ("tier in (1, 2), team in (shop)", true),
            ("tier notin (1,2)", false),
            ("zone notin (a)", true),
        ] {
            assert_eq!(parse(text).unwrap().matches(&labels), selected, "{text}");
        }
    }

    #[test]
    fn what_is_no_selector_is_refused() {
        for text in [
            ",",
            "a=b,",
            "=x",
            "a in b",
            "a in (b",
            "a b",
            "in (a)",
            "a out (b)",
            "a in ((b))",
            ")",
        ] {
            assert_eq!(parse(text), Err(SelectorError::Condition), "{text}");
        }
        for text in ["a=b c", "a=-", "-a", "a=b=c", "a in (b,c d)"] {
            assert_eq!(parse(text), Err(SelectorError::Label), "{text}");
        }
        let long = vec!["a"; MAX_CONDITIONS + 1].join(",");
        assert_eq!(parse(&long), Err(SelectorError::Length));
    }

    #[test]
    fn a_selector_has_one_spelling_and_reads_back_from_it() {
        let spelling = "!legacy,env in (a,b),owner,team=shop,tier!=test,zone notin (c,d)";
        for text in [
            spelling,
            "team = shop, tier!=test,env in ( b,a, b ),zone notin (d,c),owner,!legacy,owner",
        ] {
            let selector = parse(text).unwrap();
            assert_eq!(selector.to_string(), spelling);
            assert_eq!(parse(spelling).unwrap().to_string(), spelling);
        }
        assert_eq!(parse("").unwrap().to_string(), "");
    }
}
