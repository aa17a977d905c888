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
    /// The way through the table, from the port to the decision.
    pub steps: Vec<Step>,
    /// What holds for the requests of the rule that takes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<RulePolicy>,
    /// Copies that the rule makes of its requests.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mirrors: Vec<Copied>,
    /// What the rule says of the page's origin, if it says anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cors: Option<CrossOrigin>,
    /// Matches that did not get the request, nearest first; see [`ExplainBounds`].
    pub near_misses: Vec<NearMiss>,
    /// How many were found, those that are not told included.
    pub near_miss_count: usize,
    /// Whether all that were to be looked at were: otherwise there may be nearer ones.
    pub is_complete: bool,
}

/// How far near misses are looked for.
///
/// Looked at are, in this order, matches on the request's path at the hostnames that take it, matches of
/// other paths there, and matches on its path at hostnames and listeners that nearly take it: those of the
/// names above the host, of `www.` before it and of what is below it, and those of other ports.
#[derive(Clone, Copy, Debug)]
pub struct ExplainBounds {
    /// Most near misses that are told.
    pub near_misses: usize,
    /// Most matches and places of the table that are looked at for them.
    pub examined: usize,
    /// Whether the values are told that rules ask for in header fields and query parameters. Who may know them
    /// is not who may send requests.
    pub tells_values: bool,
}

impl Default for ExplainBounds {
    fn default() -> Self {
        Self {
            near_misses: 100,
            examined: 10_000,
            tells_values: true,
        }
    }
}

/// One step of the way through the table.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// What was decided: `port`, `listener`, `host`, `path`, `order` or `decision`.
    pub stage: &'static str,
    /// What came of it, and why.
    pub found: String,
    /// What else there was, in the order in which it is asked; the first 20.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub considered: Vec<String>,
}

/// What holds for the requests of a rule.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RulePolicy {
    /// From the request's arrival to the end of its answer; absent: no limit of the rule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_timeout_ms: Option<u64>,
    /// For one attempt at one endpoint; absent: the proxy's own limits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backend_request_timeout_ms: Option<u64>,
    /// Most bytes of a request's body; absent: any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_bytes: Option<u64>,
    /// Attempts of one request: the second follows when no connection could be made, and when a kept one
    /// was dead and the request can be sent again.
    pub attempts: u32,
    /// What the rule changes: `requestHeaders`, `responseHeaders`, `rewrite`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub filters: Vec<&'static str>,
}

/// What holds for requests to a backend.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BackendPolicy {
    /// `http` or `h2c`.
    pub protocol: &'static str,
    /// How connections are secured; absent: they are plain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsPolicy>,
    /// Time for a new connection.
    pub connect_timeout_ms: u64,
    /// How an endpoint is chosen: `twoChoices`, the less busy of two drawn by weight.
    pub balancing: &'static str,
    /// When an endpoint is taken out for failing.
    pub outlier: OutlierPolicy,
}

/// TLS to a backend.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TlsPolicy {
    /// The name that is sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sni: Option<String>,
    /// Any of which the certificate must have; none: that of `sni`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// Keys of the roots; none: those of the proxy's system.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub trust: Vec<String>,
    /// Key of the certificate that is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_certificate: Option<String>,
}

/// Passive health: the breaker of each endpoint.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OutlierPolicy {
    /// Failures in a row that eject an endpoint; 0: none do.
    pub failures: u32,
    /// For how long, times the number of ejections so far.
    pub base_ejection_ms: u64,
    /// The longest.
    pub max_ejection_ms: u64,
    /// Most endpoints at a time, in percent.
    pub max_ejected_percent: u8,
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
    /// What holds for requests to it; absent where `backend` is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<BackendPolicy>,
    /// What is changed for it alone: `requestHeaders`, `responseHeaders`, `rewrite`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub filters: Vec<&'static str>,
    /// Copies that are made of its requests alone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mirrors: Vec<Copied>,
}

/// A match that did not get the request.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NearMiss {
    /// Key of the rule.
    pub rule: String,
    /// Which of its matches.
    pub match_index: usize,
    /// The first predicate that failed, in this order: `listener`, `host`, `path`, `method`, `header`,
    /// `query`; or `precedence` when all held.
    pub lost_by: &'static str,
    /// What it asked for and what the request has. Values of the request's header fields and query
    /// parameters are never told.
    pub detail: String,
    /// Where all held, by what the winner is better: `hostname`, `path`, `method`, `headers`, `query`,
    /// `age`, `name`, `rule` or `match`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub precedence: Option<&'static str>,
}
