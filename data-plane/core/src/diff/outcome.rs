//! What happens to a request, in words that can be compared, told and sent.

use serde::{Serialize, Serializer};

/// What happens to a request: the same value for the same experience, whatever the rule is called.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// The answer, or where it goes.
    pub verdict: Verdict,
    /// What pages of other origins may do, if the rule says anything of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cors: Option<String>,
    /// Most bytes of the body, if the rule has its own limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_bytes: Option<u64>,
}

/// The answer, or where the request goes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase", tag = "kind")]
pub enum Verdict {
    /// Nothing listens on the port.
    Closed,
    /// TLS, and no listener has the name: the handshake fails.
    Unserved,
    /// No listener of a plain port has the host, or no rule matches: 404.
    NotFound,
    /// A rule takes it and has nowhere to send it: 500.
    NoBackends,
    /// Answered with a redirect.
    Redirect(RedirectTerms),
    /// Sent on.
    Forward(Box<Forward>),
}

/// A redirect, with what it leaves to the listener filled in.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RedirectTerms {
    /// 301, 302, 303, 307 or 308.
    pub status: u16,
    /// `http` or `https`.
    pub scheme: &'static str,
    /// `None`: the request's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// Left out of the location where the scheme implies it.
    pub port: u16,
    /// `None`: the request's path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathChange>,
    /// On the answer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub response_headers: Vec<HeaderChange>,
}

/// A change of the path.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase", tag = "kind")]
pub enum PathChange {
    /// Another path.
    Full {
        /// It.
        path: String,
    },
    /// Another beginning.
    Prefix {
        /// The prefix that matched, without a trailing slash.
        matched: String,
        /// What stands there instead, without a trailing slash.
        replacement: String,
    },
}

/// What becomes of one header. Those that stay as they are have none.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HeaderChange {
    /// Lower case.
    pub name: String,
    /// Whether what there was goes.
    pub replaced: bool,
    /// What is there then, or besides; `replaced` and none: the header is taken out.
    pub values: Vec<String>,
}

/// A request sent on: to one of the arms, by chance or by user.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Forward {
    /// By variant and backend; those that get nothing are left out unless a header can ask for them.
    pub arms: Vec<Arm>,
    /// How users are kept on their variant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub experiment: Option<ExperimentTerms>,
    /// Milliseconds to the end of the response; `None` is no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_timeout_ms: Option<u64>,
    /// Milliseconds of one attempt; `None` is no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backend_request_timeout_ms: Option<u64>,
}

/// One part of the requests, and what becomes of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Arm {
    /// Name of the variant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// Key of the backend; `None`: the reference dangles, 500.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backend: Option<String>,
    /// Of all requests of the outcome.
    #[serde(rename = "percent")]
    pub share: Fraction,
    /// On the way up: the rule's and then the backend's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub request_headers: Vec<HeaderChange>,
    /// On the way down: the rule's and then the backend's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub response_headers: Vec<HeaderChange>,
    /// Another URL on the way up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rewrite: Option<RewriteTerms>,
    /// Who else gets a copy.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mirrors: Vec<MirrorTerms>,
    /// How the backend is spoken to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<BackendPolicy>,
}

/// Another URL on the way up.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RewriteTerms {
    /// New Host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// New path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathChange>,
}

/// A copy of a part of the requests.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MirrorTerms {
    /// Key of the backend.
    pub backend: String,
    /// Of the requests.
    #[serde(rename = "percent")]
    pub share: Fraction,
}

/// How a backend is spoken to. Its endpoints are no part of it: they change without a revision.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BackendPolicy {
    /// `http` or `h2c`.
    pub protocol: &'static str,
    /// Milliseconds that a connection may take.
    pub connect_timeout_ms: u64,
    /// Failures in a row that eject an endpoint; 0: none do.
    pub outlier_failures: u32,
    /// Milliseconds of the first ejection.
    pub base_ejection_ms: u64,
    /// Milliseconds of the longest.
    pub max_ejection_ms: u64,
    /// Of the endpoints, at once.
    pub max_ejected_percent: u8,
    /// How connections are protected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<String>,
}

/// How users are told apart and kept on a variant.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExperimentTerms {
    /// Its key; another name alone changes nothing.
    pub key: String,
    /// `cookie NAME`, `header NAME`, `query NAME` or `client IP`.
    pub unit: String,
    /// What users are spread by.
    pub salt: String,
    /// Lets a request ask for a variant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub override_header: Option<String>,
    /// Tells the upstream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream_header: Option<String>,
    /// Who owns the slots: lengths, which sum to 10,000, and names of variants.
    pub slots: Vec<(u16, String)>,
}

/// A part of a whole in its lowest terms; sent as percent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fraction {
    part: u64,
    whole: u64,
}

impl Fraction {
    /// `part` of `whole`; nothing of nothing is nothing.
    pub fn new(part: u64, whole: u64) -> Self {
        let divisor = gcd(part, whole).max(1);
        match part {
            0 => Self { part: 0, whole: 1 },
            _ => Self {
                part: part / divisor,
                whole: whole / divisor,
            },
        }
    }

    /// 0 to 100.
    pub fn percent(self) -> f64 {
        self.part as f64 * 100.0 / self.whole as f64
    }

    /// Whether it is no part at all.
    pub fn is_zero(self) -> bool {
        self.part == 0
    }
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

impl Serialize for Fraction {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.percent())
    }
}

impl Outcome {
    pub(super) fn bare(verdict: Verdict) -> Self {
        Self {
            verdict,
            cors: None,
            body_bytes: None,
        }
    }

    /// Whether requests of this outcome get no answer of a backend's and no redirect.
    pub fn is_failing(&self) -> bool {
        match self.verdict {
            Verdict::Closed | Verdict::Unserved | Verdict::NotFound | Verdict::NoBackends => true,
            Verdict::Redirect(_) | Verdict::Forward(_) => false,
        }
    }

    /// Whether what it does depends on the request's host or path.
    pub(super) fn follows_the_request(&self) -> bool {
        match &self.verdict {
            Verdict::Redirect(_) => true,
            Verdict::Forward(forward) => forward.arms.iter().any(|arm| arm.rewrite.is_some()),
            Verdict::Closed | Verdict::Unserved | Verdict::NotFound | Verdict::NoBackends => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_parts_are_one_fraction() {
        assert_eq!(Fraction::new(50, 100), Fraction::new(1, 2));
        assert_eq!(Fraction::new(0, 7), Fraction::new(0, 0));
        assert!((Fraction::new(3, 400).percent() - 0.75).abs() < 1e-12);
    }
}
