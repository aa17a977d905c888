//! What is shown of proxies.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sluice_intent::Labels;
use sluice_model::Key;
use sluice_proto::v1;
use tokio::time::Instant;

use super::dates::Dates;
use super::member::Member;
use super::refusal::Refused;
use super::status::ProxyStatus;
use super::telemetry::TelemetryView;
use crate::live::{MAX_VIEWS, Published};

/// Whether a proxy counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ProxyState {
    /// Connected, or away for less than 15 seconds.
    Live,
    /// Away for longer. Still shown, but no part of receipts.
    Lost,
}

/// How a proxy is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Authentication {
    /// Its certificate says so.
    Certificate,
    /// It says so itself, and is on the control plane's machine.
    None,
}

/// One proxy in the list.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProxyView {
    /// Its id.
    pub id: String,
    /// The control plane that holds its stream, or did last.
    pub replica: String,
    /// How it is known that it is the one.
    pub authentication: Authentication,
    /// Until when its certificate is good, in milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate_expires_at_ms: Option<u64>,
    /// What it is selected by: as it says, in place of that as its join token
    /// says, and in place of both as operators say.
    pub labels: BTreeMap<String, String>,
    /// Those of the labels that operators set.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub operator_labels: BTreeMap<String, String>,
    /// The proxy selectors of Gateways that the labels match. Proxies that match the same ones get the
    /// same.
    pub view: Vec<String>,
    /// Whether it counts.
    pub state: ProxyState,
    /// Where it is with what is live.
    pub status: ProxyStatus,
    /// Whether its stream stands.
    pub connected: bool,
    /// The revision that it runs; absent while it runs nothing of this history.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<u64>,
    /// How many revisions are newer than that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub behind: Option<u64>,
    /// When the first revision that it lacks became live on the control plane that answers, in
    /// milliseconds since 1970; of one that runs nothing of this history, when it came. Absent when it
    /// lacks none. Of revisions from before that control plane started, when they were written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub behind_since_ms: Option<u64>,
    /// Digest of the config that it runs, in hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config_digest: Option<String>,
    /// Digest of the endpoints that it uses, in hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runtime_digest: Option<String>,
    /// Its version.
    pub version: String,
    /// Where its own admin endpoint listens.
    pub admin: String,
    /// When its process connected first, in milliseconds since 1970.
    pub since_ms: u64,
    /// What it bound.
    pub listeners: Vec<ListenerView>,
    /// How long it took to build what it runs, in microseconds.
    pub build_us: u64,
    /// What is not quite right with it.
    pub warnings: Vec<String>,
    /// What it refused last, until it applies something.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<RefusalView>,
    /// Access-log lines that it dropped since it connected.
    pub dropped_log_lines: u64,
}

/// One listener that a proxy bound.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ListenerView {
    /// Key of the listener.
    pub listener: String,
    /// `NAMESPACE/NAME` of its Gateway.
    pub gateway: String,
    /// Its name in the Gateway.
    pub name: String,
    /// `IP:PORT` where it is bound.
    pub address: String,
}

/// What a proxy refused, and why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RefusalView {
    /// The revision that was refused.
    pub refused_revision: u64,
    /// When the proxy refused it first, in milliseconds since 1970; absent when that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused_at_ms: Option<u64>,
    /// Every reason.
    pub violations: Vec<ViolationView>,
    /// Whether it tries again by itself: a local fault, such as a port that is taken.
    pub retrying: bool,
}

/// One reason, in the proxy's words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ViolationView {
    /// Key of the wire resource.
    pub resource: String,
    /// Path of the field.
    pub field: String,
    /// What is wrong, for scripts.
    pub code: String,
    /// What is wrong, for people.
    pub message: String,
}

/// One proxy with what it reports.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct ProxyDetail {
    /// As in the list.
    #[serde(flatten)]
    pub proxy: ProxyView,
    /// What it reported.
    #[serde(flatten)]
    pub telemetry: TelemetryView,
}

/// What came of forgetting a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forget {
    /// It is off the list.
    Done,
    /// It is off this list, and another replica has to be told.
    Elsewhere,
    /// Nobody has that id.
    Unknown,
}

impl ProxyView {
    pub(super) fn of(
        (id, replica): (&str, &str),
        member: &Member,
        published: &Published,
        dates: &Dates,
        now: Instant,
    ) -> Self {
        let history = published.version.history;
        let head = (history, published.revision());
        let revision = member.revision_in(history);
        let position = member.holds.map(|(_, position)| position);
        let state = if member.is_live(now) {
            ProxyState::Live
        } else {
            ProxyState::Lost
        };
        let mut warnings = member.warnings.clone();
        if member.displaced > 0 {
            let times = member.displaced;
            warnings.push(format!(
                "another process with this id was displaced {times} times: ids must be unique"
            ));
        }
        let overflowed = member.telemetry.overflowed();
        if overflowed > 0 {
            warnings.push(format!(
                "{overflowed} entries of its reports were not kept, as there were too many: its own /metrics has all"
            ));
        }
        if published.view(&member.view).is_none() && published.world.demanded().len() >= MAX_VIEWS {
            warnings.push(format!(
                "gets no changes: proxies match more than {MAX_VIEWS} combinations of proxy selectors"
            ));
        }
        let set = published.labels().of(id).into_iter().flat_map(Labels::iter);
        let operator_labels: BTreeMap<String, String> = set
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        let mut labels = member.labels.clone();
        labels.extend(operator_labels.clone());
        let selectors = member.view.selectors().iter();
        Self {
            id: id.to_owned(),
            replica: replica.to_owned(),
            authentication: match member.proxy() {
                Some(_) => Authentication::Certificate,
                None => Authentication::None,
            },
            certificate_expires_at_ms: None,
            labels,
            operator_labels,
            view: selectors.map(ToString::to_string).collect(),
            state,
            status: ProxyStatus::of(member, head, now),
            connected: member.broken.is_none(),
            revision: revision.map(|revision| revision.0),
            behind: revision.map(|revision| published.revision().0.saturating_sub(revision.0)),
            behind_since_ms: dates.behind_since(head, member).map(|since| since.0),
            config_digest: position.map(|position| position.config.to_string()),
            runtime_digest: position.map(|position| position.runtime.to_string()),
            version: member.version.clone(),
            admin: member.admin.clone(),
            since_ms: member.since.0,
            listeners: member.listeners.iter().map(ListenerView::from).collect(),
            build_us: member.build_us,
            warnings,
            refusal: member.refusal.as_ref().map(RefusalView::from),
            dropped_log_lines: member.telemetry.dropped_log_lines(),
        }
    }
}

impl From<&v1::BoundListener> for ListenerView {
    fn from(bound: &v1::BoundListener) -> Self {
        let key = Key::parse(&bound.listener).ok();
        Self {
            listener: bound.listener.clone(),
            gateway: key.as_ref().map(|key| key.owner().to_owned()).unwrap_or_default(),
            name: key
                .as_ref()
                .map(|key| key.segment(2).to_owned())
                .unwrap_or_default(),
            address: bound.address.clone(),
        }
    }
}

impl From<&Refused> for RefusalView {
    fn from(refused: &Refused) -> Self {
        let violation = |violation: &v1::Violation| ViolationView {
            resource: violation.resource.clone(),
            field: violation.field.clone(),
            code: violation.code.clone(),
            message: violation.message.clone(),
        };
        Self {
            refused_revision: refused.revision.0,
            refused_at_ms: refused.at.map(|at| at.0),
            violations: refused.words.violations().iter().map(violation).collect(),
            retrying: refused.retrying,
        }
    }
}
