//! What changes for connections: listeners that come, go, or are set differently.
//!
//! A listener is what stands at a port and a hostname; another name for it changes nothing. Told apart
//! from classes of requests, as it concerns all requests of a listener in the same way.

use std::collections::BTreeMap;

use serde::Serialize;
use sluice_model::{Hostname, Limits, Listener};

use crate::Snapshot;

/// A listener that comes, goes, or is set differently.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ListenerChange {
    /// Key of the listener; the new one, if it is there after the change.
    pub listener: String,
    /// The port that the Gateway names.
    pub port: u16,
    /// `*` for all hosts.
    pub hostname: String,
    /// Whether it is there before.
    pub is_before: bool,
    /// Whether it is there after.
    pub is_after: bool,
    /// What is different, if it is there before and after.
    pub settings: Vec<Setting>,
}

/// One setting that changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Setting {
    /// What is set, as the model calls it.
    pub name: &'static str,
    /// Now.
    pub before: String,
    /// Then.
    pub after: String,
}

/// All listeners that come, go, or are set differently, by port and hostname.
pub(super) fn changes(before: &Snapshot, after: &Snapshot) -> Vec<ListenerChange> {
    let (old, new) = (by_place(before), by_place(after));
    let mut places: Vec<_> = old.keys().chain(new.keys()).collect();
    places.sort_unstable();
    places.dedup();
    let change = |(port, hostname): &(u16, Hostname)| {
        let place = (*port, hostname.clone());
        let (old, new) = (old.get(&place), new.get(&place));
        let settings = old
            .zip(new)
            .map_or_else(Vec::new, |(old, new)| settings(old, new));
        let is_same = old.is_some() && new.is_some() && settings.is_empty();
        let listener = new.or(old).filter(|_| !is_same)?;
        Some(ListenerChange {
            listener: listener.key.to_string(),
            port: *port,
            hostname: match hostname {
                Hostname::Any => "*".into(),
                name => name.to_string(),
            },
            is_before: old.is_some(),
            is_after: new.is_some(),
            settings,
        })
    };
    places.into_iter().filter_map(change).collect()
}

fn by_place(snapshot: &Snapshot) -> BTreeMap<(u16, Hostname), &Listener> {
    let place = |listener: &'_ Listener| (listener.port, listener.hostname.clone());
    let listeners = snapshot.listeners();
    listeners.map(|listener| (place(listener), &**listener)).collect()
}

/// Name and text of everything that may be different.
fn texts(listener: &Listener) -> [(&'static str, String); 15] {
    let tls = listener.tls.as_ref();
    let shown = |text: Option<String>| text.unwrap_or_else(|| "none".into());
    // Named one by one, so that a limit that is added cannot be forgotten here.
    let Limits {
        connections,
        connections_per_client,
        header_bytes,
        header_count,
        uri_bytes,
        body_bytes,
        requests_per_connection,
        head_timeout,
        body_timeout,
        idle_timeout,
        body_min_rate,
        response_min_rate,
    } = listener.limits;
    [
        (
            "certificates",
            shown(tls.map(|tls| format!("{:?}", tls.certificates))),
        ),
        (
            "clientCertificates",
            shown(
                tls.and_then(|tls| tls.client.as_ref())
                    .map(|client| format!("{client:?}")),
            ),
        ),
        (
            "minVersion",
            shown(tls.map(|tls| format!("{:?}", tls.min_version))),
        ),
        ("connections", connections.to_string()),
        ("connectionsPerClient", connections_per_client.to_string()),
        ("headerBytes", header_bytes.to_string()),
        ("headerCount", header_count.to_string()),
        ("uriBytes", uri_bytes.to_string()),
        ("bodyBytes", body_bytes.to_string()),
        ("requestsPerConnection", requests_per_connection.to_string()),
        ("headTimeout", format!("{head_timeout:?}")),
        ("bodyTimeout", format!("{body_timeout:?}")),
        ("idleTimeout", format!("{idle_timeout:?}")),
        ("bodyMinRate", body_min_rate.to_string()),
        ("responseMinRate", response_min_rate.to_string()),
    ]
}

fn settings(old: &Listener, new: &Listener) -> Vec<Setting> {
    let pairs = texts(old).into_iter().zip(texts(new));
    pairs
        .filter(|(old, new)| old.1 != new.1)
        .map(|((name, before), (_, after))| Setting { name, before, after })
        .collect()
}
