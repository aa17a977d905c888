//! What a configuration is made of, to be compared with what the next snapshot has.

use sluice_core::Snapshot;
use sluice_model::{BackendTls, ClientValidation, Digest, Key, ListenerTls, Protocol, TlsVersion};

/// Digests of some resources, in order.
fn digests<'k>(snapshot: &Snapshot, keys: impl IntoIterator<Item = &'k Key>) -> Vec<(Key, Digest)> {
    let resources = snapshot.resources();
    let digest = |key: &Key| Some((key.clone(), resources.get(key)?.hash));
    keys.into_iter().filter_map(digest).collect()
}

/// What a listener's configuration is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OfListener {
    certificates: Vec<(Key, Digest)>,
    clients: Option<OfClients>,
    min_version: TlsVersion,
    tickets: Vec<(Key, Digest)>,
}

/// What is asked of a listener's clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OfClients {
    trust: Vec<(Key, Digest)>,
    optional: bool,
    max_depth: u8,
}

/// What the configuration of connections to a backend is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OfBackend {
    tls: BackendTls,
    protocol: Protocol,
    parts: Vec<(Key, Digest)>,
}

impl OfListener {
    pub(super) fn new(snapshot: &Snapshot, tls: &ListenerTls) -> Self {
        Self {
            certificates: digests(snapshot, &tls.certificates),
            clients: tls.client.as_ref().map(|client| OfClients::new(snapshot, client)),
            min_version: tls.min_version,
            tickets: digests(snapshot, snapshot.tickets().map(|tickets| &tickets.key)),
        }
    }

    pub(super) fn clients(&self) -> Option<&OfClients> {
        self.clients.as_ref()
    }

    /// Where the sessions of a listener belong: tickets of one scope open in no other.
    pub(super) fn scope(&self, listener: &Key) -> Vec<u8> {
        let mut scope = listener.as_str().as_bytes().to_vec();
        if let Some(clients) = &self.clients {
            // Keys are visible ASCII, so nothing of what follows can be part of one.
            scope.extend([0, u8::from(clients.optional), clients.max_depth]);
            for (_, digest) in &clients.trust {
                scope.extend(digest.0);
            }
        }
        scope
    }
}

impl OfClients {
    fn new(snapshot: &Snapshot, client: &ClientValidation) -> Self {
        Self {
            trust: digests(snapshot, &client.trust),
            optional: client.optional,
            max_depth: client.max_depth,
        }
    }
}

impl OfBackend {
    pub(super) fn new(snapshot: &Snapshot, tls: &BackendTls, protocol: Protocol) -> Self {
        Self {
            tls: tls.clone(),
            protocol,
            parts: digests(snapshot, tls.trust.iter().chain(&tls.client_certificate)),
        }
    }
}
