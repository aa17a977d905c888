//! The words in which a decision is told: an answer of the REST interface as they stand here.

use serde::Serialize;

/// What happens to one request, and what nearly happened.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// Key of the listener that takes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listener: Option<String>,
    /// What happens.
    pub decision: Decision,
    /// Copies that the rule makes of its requests.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mirrors: Vec<Copied>,
    /// What the rule says of the page's origin, if it says anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cors: Option<CrossOrigin>,
    /// Matches on the request's path that lost, best first; at most 100.
    pub near_misses: Vec<NearMiss>,
}

/// What happens to the request.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase", tag = "outcome")]
pub enum Decision {
    /// No listener has this port and host: 404.
    NoListener,
    /// No rule matches: 404.
    NoRoute,
    /// Answered with a redirect.
    Redirect {
        /// The rule.
        rule: Chosen,
        /// 301 to 308.
        status: u16,
        /// Where to.
        location: String,
    },
    /// A browser asks whether a page may: answered with 204.
    Preflight {
        /// The rule.
        rule: Chosen,
    },
    /// The rule has nowhere to send it: 500.
    NoBackends {
        /// The rule.
        rule: Chosen,
    },
    /// Sent on by weight.
    Split {
        /// The rule.
        rule: Chosen,
        /// Where to, with shares.
        backends: Vec<Share>,
    },
    /// Sent on by experiment.
    Experiment {
        /// The rule.
        rule: Chosen,
        /// Key of the experiment.
        experiment: String,
        /// The variant this request sees.
        variant: String,
        /// Its slot, when its unit was found.
        #[serde(skip_serializing_if = "Option::is_none")]
        slot: Option<u16>,
        /// Whether a header forced the variant.
        forced: bool,
        /// Where to, with shares.
        backends: Vec<Share>,
    },
}

/// A copy of requests.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Copied {
    /// Key of the backend; absent: the reference dangles, nothing is sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backend: Option<String>,
    /// Of the requests, in percent.
    pub percent: f64,
}

/// What a rule's CORS filter says of a request.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CrossOrigin {
    /// The origin that the request names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// Whether pages of it may read the answer.
    pub allowed: bool,
}

/// The rule that took the request.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Chosen {
    /// Key of the rule.
    pub key: String,
    /// `NAMESPACE/NAME` of its route.
    pub route: String,
    /// Place of the rule in its route.
    pub index: u32,
    /// Which of its matches held.
    pub match_index: usize,
}

/// One backend's part.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Share {
    /// Key of the backend; absent: the reference dangles, 500.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backend: Option<String>,
    /// Of all requests here, in percent.
    pub percent: f64,
    /// Endpoints it has now.
    pub endpoints: usize,
    /// What is changed for it alone: `requestHeaders`, `responseHeaders`, `rewrite`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub filters: Vec<&'static str>,
    /// Copies that are made of its requests alone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mirrors: Vec<Copied>,
}

/// A match on the path that did not get the request.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NearMiss {
    /// Key of the rule.
    pub rule: String,
    /// Which of its matches.
    pub match_index: usize,
    /// The first predicate that failed: `method`, `header`, `query`, or `precedence` when all held.
    pub lost_by: &'static str,
    /// What it asked for.
    pub detail: String,
}
