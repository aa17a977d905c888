//! What the control plane answers, as far as commands look into it. Unknown members are ignored,
//! so that an older command understands a newer server.

use std::fmt;

use serde::Deserialize;

use crate::client::Violation;

/// The answer to `apply` and `rollback`.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Applied {
    /// The revision that holds the change; the newest one when nothing changed.
    pub(crate) revision: u64,
    /// What happened to each resource.
    pub(crate) changes: Vec<Change>,
    /// What is allowed but probably not meant.
    #[serde(default)]
    pub(crate) warnings: Vec<Warning>,
}

/// What happened to one resource.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Change {
    /// Its kind.
    pub(crate) kind: String,
    /// Its namespace.
    pub(crate) namespace: String,
    /// Its name.
    pub(crate) name: String,
    /// `created`, `updated`, `deleted` or `unchanged`.
    pub(crate) action: String,
}

/// A warning: a sentence, or a violation that was let pass.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Warning {
    /// In words.
    Text(String),
    /// With the place it is about.
    At(Violation),
}

/// Who runs a revision, and how fast that was.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Receipt {
    /// The revision asked for.
    pub(crate) revision: u64,
    /// Live proxies.
    pub(crate) fleet: usize,
    /// Those that run this revision or a later one.
    pub(crate) applied: usize,
    /// Those that refused it; at most 100 are named.
    #[serde(default)]
    pub(crate) refused: Vec<Refusal>,
    /// How many refused it, when the list is cut short.
    pub(crate) refused_count: Option<usize>,
    /// How many of those that refused it try again by themselves.
    #[serde(default)]
    pub(crate) retrying_count: usize,
    /// Those that have not said anything yet; at most 100 are named.
    #[serde(default)]
    pub(crate) pending: Vec<String>,
    /// How many are pending, when the list is cut short.
    pub(crate) pending_count: Option<usize>,
    /// From the commit to the acknowledgement; absent while nobody has applied it.
    pub(crate) applied_ms: Option<Percentiles>,
}

/// A proxy that refused a revision.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Refusal {
    /// Which one.
    pub(crate) proxy: String,
    /// Why.
    #[serde(default)]
    pub(crate) violations: Vec<Violation>,
}

/// Over the proxies, in milliseconds.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Percentiles {
    /// Median.
    pub(crate) p50: f64,
    /// 99th percentile.
    pub(crate) p99: f64,
    /// Slowest.
    pub(crate) max: f64,
}

/// One line of the history.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Revision {
    /// Its number.
    pub(crate) revision: u64,
    /// When it was written, in milliseconds since 1970.
    pub(crate) created_at_ms: u64,
    /// Who wrote it.
    #[serde(default)]
    pub(crate) author: String,
    /// Why.
    #[serde(default)]
    pub(crate) message: String,
    /// What happened to which resource.
    #[serde(default)]
    pub(crate) changes: Vec<Change>,
    /// How many resources changed, when the list is cut short.
    pub(crate) changes_count: Option<usize>,
    /// Who ran it, as far as that is known.
    pub(crate) receipt: Option<Receipt>,
}

impl Receipt {
    /// How many proxies refused the revision.
    pub(crate) fn refusals(&self) -> usize {
        self.refused_count.unwrap_or(self.refused.len())
    }

    /// How many of those do not try again by themselves.
    pub(crate) fn refusals_for_good(&self) -> usize {
        self.refusals()
            .saturating_sub(self.retrying_count)
            .min(self.fleet)
    }

    /// How many proxies have not said anything yet.
    pub(crate) fn unanswered(&self) -> usize {
        self.pending_count.unwrap_or(self.pending.len())
    }
}

/// In one line: `2 of 3 proxies, 1 pending, p50 3 ms, max 5 ms`.
impl fmt::Display for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} proxies", self.applied, self.fleet)?;
        for (count, what) in [(self.refusals(), "refused"), (self.unanswered(), "pending")] {
            if count > 0 {
                write!(f, ", {count} {what}")?;
            }
        }
        match self.applied_ms {
            Some(ms) => write!(f, ", p50 {:.0} ms, max {:.0} ms", ms.p50, ms.max),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::At(at) if at.field.is_empty() => write!(f, "{}: {}", at.resource, at.message),
            Self::At(at) => write!(f, "{}: {}: {}", at.resource, at.field, at.message),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_receipt_is_summed_up_in_one_line() {
        let receipt: Receipt = serde_json::from_value(json!({
            "revision": 7, "fleet": 205, "applied": 1, "pending": ["edge-2"], "pendingCount": 203,
            "refused": [{"proxy": "edge-3", "violations": []}],
            "appliedMs": {"p50": 3.4, "p95": 3.4, "p99": 3.4, "max": 5.1},
        }))
        .unwrap();
        assert_eq!(
            receipt.to_string(),
            "1 of 205 proxies, 1 refused, 203 pending, p50 3 ms, max 5 ms"
        );
        let nobody: Receipt =
            serde_json::from_value(json!({"revision": 1, "fleet": 0, "applied": 0})).unwrap();
        assert_eq!(nobody.to_string(), "0 of 0 proxies");
    }

    #[test]
    fn warnings_come_as_words_or_with_their_place() {
        let warnings: Vec<Warning> = serde_json::from_value(json!([
            "as words",
            {"resource": "HTTPRoute/default/shop", "field": "", "code": "dangling", "message": "nowhere"},
        ]))
        .unwrap();
        let printed: Vec<_> = warnings.iter().map(Warning::to_string).collect();
        assert_eq!(printed, ["as words", "HTTPRoute/default/shop: nowhere"]);
    }
}
