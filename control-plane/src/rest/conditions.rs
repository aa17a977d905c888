//! The state of a resource in the Gateway API's words: is it accepted, do its references resolve,
//! does the fleet run it.

use serde::Serialize;
use sluice_model::Revision;
use tokio::time::Instant;

use super::Api;
use crate::compile::{Doubt, Intent, Reason, World, sources_of};
use crate::discovery::{Board, SourceState, SourceStatus};
use crate::fleet::ProxyState;
use crate::live::Published;

/// What the live fleet runs, in ascending order.
#[derive(Debug, Default)]
pub(super) struct Programming {
    /// Of each live proxy; 0 while it runs nothing.
    running: Vec<u64>,
    /// Of each live proxy that refused something: the revision.
    refused: Vec<u64>,
}

/// One condition.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Condition {
    #[serde(rename = "type")]
    name: &'static str,
    status: &'static str,
    reason: &'static str,
    message: String,
}

impl Programming {
    /// As the fleet is now.
    pub(super) fn now(api: &Api, published: &Published) -> Self {
        let proxies = api.fleet.proxies(published, Instant::now());
        let live = proxies.iter().filter(|proxy| proxy.state == ProxyState::Live);
        let (running, refused): (Vec<_>, Vec<_>) = live
            .map(|proxy| {
                let refused = proxy.refusal.as_ref().map(|refusal| refusal.refused_revision);
                (proxy.revision.unwrap_or_default(), refused)
            })
            .unzip();
        Self::new(running, refused.into_iter().flatten().collect())
    }

    fn new(mut running: Vec<u64>, mut refused: Vec<u64>) -> Self {
        running.sort_unstable();
        refused.sort_unstable();
        Self { running, refused }
    }

    /// Whether the fleet runs what `revision` brought.
    fn condition(&self, revision: Revision) -> Condition {
        let fleet = self.running.len();
        let applied = at_least(&self.running, revision);
        let refused = at_least(&self.refused, revision);
        let message = format!("{applied} of {fleet} proxies run revision {revision}");
        let (status, reason) = match (fleet, applied, refused) {
            (0, _, _) => ("Unknown", "NoProxies"),
            (fleet, applied, _) if fleet == applied => ("True", "Programmed"),
            (_, _, 0) => ("False", "Pending"),
            _ => ("False", "Refused"),
        };
        Condition {
            name: "Programmed",
            status,
            reason,
            message,
        }
    }
}

/// How many of `sorted` are not below `revision`.
fn at_least(sorted: &[u64], revision: Revision) -> usize {
    sorted.len() - sorted.partition_point(|one| *one < revision.0)
}

/// The conditions of one resource.
pub(super) fn conditions(
    world: &World,
    intent: &Intent,
    programming: &Programming,
    board: &Board,
) -> Vec<Condition> {
    let doubts = world.doubts(intent);
    let condition = |name: &'static str| {
        let about: Vec<_> = doubts
            .iter()
            .filter(|doubt| doubt.reason.condition() == Some(name))
            .collect();
        match about.first() {
            None => holds(name),
            Some(first) => fails(name, first.reason, &about),
        }
    };
    let (accepted, resolved) = (condition("Accepted"), condition("ResolvedRefs"));
    let programmed = programming.condition(intent.revision);
    let statuses: Vec<_> = sources_of(&intent.resource)
        .filter_map(|source| board.status(&source))
        .collect();
    [accepted, resolved, programmed]
        .into_iter()
        .chain(discovered(&statuses))
        .collect()
}

/// Whether the sources of a Backend's endpoints answer; `None` when it has none.
fn discovered(sources: &[SourceStatus]) -> Option<Condition> {
    let worst = sources.iter().max_by_key(|source| match source.state {
        SourceState::Up => (0, source.skipped),
        SourceState::Pending => (1, 0),
        SourceState::Down => (2, 0),
    })?;
    let (status, reason) = match worst.state {
        SourceState::Up if worst.skipped > 0 => ("True", "SomeSkipped"),
        SourceState::Up => ("True", "Discovered"),
        SourceState::Pending => ("Unknown", "Pending"),
        SourceState::Down => ("False", "Unreachable"),
    };
    let (endpoints, skipped) = sources.iter().fold((0, 0), |(endpoints, skipped), source| {
        (endpoints + source.endpoints, skipped + source.skipped)
    });
    let mut message = format!("{endpoints} endpoints found");
    if skipped > 0 {
        message.push_str(&format!(", {skipped} values skipped"));
    }
    if let Some(complaint) = &worst.complaint {
        message.push_str(&format!("; {complaint}"));
    }
    Some(Condition {
        name: "Discovered",
        status,
        reason,
        message,
    })
}

/// Conditions that hold have their own name for a reason.
fn holds(name: &'static str) -> Condition {
    Condition {
        name,
        status: "True",
        reason: name,
        message: String::new(),
    }
}

fn fails(name: &'static str, reason: Reason, doubts: &[&Doubt]) -> Condition {
    let messages: Vec<_> = doubts
        .iter()
        .map(|Doubt { violation, .. }| format!("{}: {}", violation.field, violation.message))
        .collect();
    Condition {
        name,
        status: "False",
        reason: reason.as_str(),
        message: messages.join("; "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backend_is_as_discovered_as_the_worst_of_its_sources() {
        let source = |state, skipped, complaint: &str| SourceStatus {
            state,
            endpoints: 2,
            skipped,
            complaint: (!complaint.is_empty()).then(|| complaint.to_owned()),
            ..SourceStatus::default()
        };
        let told = |sources: &[SourceStatus]| {
            discovered(sources).map(|condition| (condition.status, condition.reason, condition.message))
        };
        let up = || source(SourceState::Up, 0, "");
        assert_eq!(told(&[]), None);
        assert_eq!(
            told(&[up()]),
            Some(("True", "Discovered", "2 endpoints found".into()))
        );
        assert_eq!(
            told(&[up(), source(SourceState::Up, 1, "bad")]),
            Some((
                "True",
                "SomeSkipped",
                "4 endpoints found, 1 values skipped; bad".into()
            ))
        );
        assert_eq!(
            told(&[source(SourceState::Pending, 0, ""), up()]).map(|told| told.1),
            Some("Pending")
        );
        assert_eq!(
            told(&[source(SourceState::Down, 0, "away"), up()]),
            Some(("False", "Unreachable", "4 endpoints found; away".into()))
        );
    }

    #[test]
    fn programmed_means_that_the_whole_live_fleet_runs_it() {
        let state = |running: &[u64], refused: &[u64]| {
            let condition = Programming::new(running.into(), refused.into()).condition(Revision(7));
            (condition.status, condition.reason)
        };
        assert_eq!(state(&[9, 7], &[]), ("True", "Programmed"));
        assert_eq!(state(&[9, 6], &[]), ("False", "Pending"));
        assert_eq!(state(&[9, 6], &[6]), ("False", "Pending"));
        assert_eq!(state(&[9, 6], &[8]), ("False", "Refused"));
        assert_eq!(state(&[], &[]), ("Unknown", "NoProxies"));
    }
}
