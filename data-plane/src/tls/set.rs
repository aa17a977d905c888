//! The configurations of one snapshot.

use std::{collections::HashMap, sync::Arc};

use rustls::{ClientConfig, ServerConfig, time_provider::DefaultTimeProvider};
use sluice_core::Snapshot;
use sluice_model::{BackendTls, Key, Listener, ListenerTls, Protocol, Secret, TlsVersion, Violation};
use sluice_tls::{
    ALPN_H2, ALPN_HTTP1, Clients, Fault, MinVersion, SubjectName, TICKET_KEY, Tickets, client_config,
    server_config,
};

use super::{
    connect::Dial,
    content::{OfBackend, OfListener},
    credentials::{Credentials, violation},
};

/// What the listeners and backends of one snapshot do TLS with.
#[derive(Debug, Default)]
pub(crate) struct Tls {
    credentials: Credentials,
    listeners: HashMap<Key, Arc<Listening>>,
    backends: HashMap<Key, Arc<Dialling>>,
}

/// One listener's.
#[derive(Debug)]
pub(crate) struct Listening {
    content: OfListener,
    pub(super) config: Arc<ServerConfig>,
    pub(super) clients: Option<Arc<Clients>>,
}

#[derive(Debug)]
struct Dialling {
    content: OfBackend,
    dial: Arc<Dial>,
}

/// Builds sets, each from the one before.
#[derive(Debug)]
pub(crate) struct Builder {
    /// Makes tickets while the control plane has sent no keys; nobody else opens them.
    own_key: Secret<[u8; TICKET_KEY]>,
    /// The system's roots, read when they are first asked for.
    system: std::sync::OnceLock<sluice_tls::Trust>,
}

impl Listening {
    /// Whether clients that were let in here would be let in `there`, and known by the same name.
    pub(crate) fn asks_the_same(&self, there: &Self) -> bool {
        self.content.clients() == there.content.clients()
    }
}

impl Tls {
    /// What `listener` serves with, if it does TLS.
    pub(crate) fn listener(&self, listener: &Key) -> Option<&Arc<Listening>> {
        self.listeners.get(listener)
    }

    /// How connections to `backend` are secured, if they are.
    pub(crate) fn backend(&self, backend: &Key) -> Option<&Arc<Dial>> {
        self.backends.get(backend).map(|held| &held.dial)
    }
}

impl Builder {
    /// # Errors
    /// When the system gives no random bytes.
    pub(crate) fn new() -> Result<Self, getrandom::Error> {
        let mut key = [0; TICKET_KEY];
        getrandom::fill(&mut key)?;
        Ok(Self {
            own_key: Secret::new(key),
            system: std::sync::OnceLock::new(),
        })
    }

    /// Builds what `snapshot` needs; what is made of the same content as in `before` is taken over.
    /// May read the system's roots from disk.
    ///
    /// # Errors
    /// Everything that is wrong with certificates, keys and roots.
    pub(crate) fn build(&self, snapshot: &Snapshot, before: &Tls) -> Result<Tls, Vec<Violation>> {
        let mut built = Tls {
            credentials: Credentials::read(snapshot, &before.credentials)?,
            ..Tls::default()
        };
        let mut violations = Vec::new();
        for listener in snapshot.listeners() {
            let Some(tls) = &listener.tls else { continue };
            let content = OfListener::new(snapshot, tls);
            let held = before.listeners.get(&listener.key);
            let listening = match held.filter(|held| held.content == content) {
                Some(held) => Ok(Arc::clone(held)),
                None => self.listening(snapshot, &built.credentials, listener, tls, content),
            };
            match listening {
                Ok(listening) => drop(built.listeners.insert(listener.key.clone(), listening)),
                Err(fault) => violations.push(violation(&listener.key, fault)),
            }
        }
        for state in snapshot.backends() {
            let backend = &state.backend;
            let Some(tls) = &backend.tls else { continue };
            let content = OfBackend::new(snapshot, tls, backend.protocol);
            let held = before.backends.get(&backend.key);
            let dialling = match held.filter(|held| held.content == content) {
                Some(held) => Ok(Arc::clone(held)),
                None => self.dialling(&built.credentials, tls, backend.protocol, content),
            };
            match dialling {
                Ok(dialling) => drop(built.backends.insert(backend.key.clone(), dialling)),
                Err(fault) => violations.push(violation(&backend.key, fault)),
            }
        }
        match violations.is_empty() {
            true => Ok(built),
            false => Err(violations),
        }
    }

    fn listening(
        &self,
        snapshot: &Snapshot,
        credentials: &Credentials,
        listener: &Listener,
        tls: &ListenerTls,
        content: OfListener,
    ) -> Result<Arc<Listening>, Fault> {
        let clients = tls.client.as_ref().map(|client| {
            let trust = credentials.trust(&client.trust);
            Arc::new(Clients::new(trust, client.optional, client.max_depth.into()))
        });
        let min_version = match tls.min_version {
            TlsVersion::Tls12 => MinVersion::Tls12,
            TlsVersion::Tls13 => MinVersion::Tls13,
        };
        let mut keys: Vec<_> = snapshot.tickets().flat_map(|tickets| &tickets.keys).collect();
        if keys.is_empty() {
            keys.push(&self.own_key);
        }
        let keys = keys.into_iter().map(Secret::expose);
        let tickets = Tickets::new(keys, &content.scope(&listener.key));
        let identities = credentials.identities(&tls.certificates);
        let clock = Arc::new(DefaultTimeProvider);
        let config = server_config(identities, clients.clone(), min_version, tickets, clock)?;
        Ok(Arc::new(Listening {
            content,
            config: Arc::new(config),
            clients,
        }))
    }

    fn dialling(
        &self,
        credentials: &Credentials,
        tls: &BackendTls,
        protocol: Protocol,
        content: OfBackend,
    ) -> Result<Arc<Dialling>, Fault> {
        let trust = match tls.trust.is_empty() {
            true => self.system.get_or_init(system_roots).clone(),
            false => credentials.trust(&tls.trust),
        };
        let names = tls.names.iter().filter_map(|name| match name {
            sluice_model::SubjectName::Dns(name) => {
                let name = rustls::pki_types::DnsName::try_from(name.to_string()).ok()?;
                Some(SubjectName::Dns(name))
            }
            sluice_model::SubjectName::Uri(uri) => Some(SubjectName::Uri(uri.clone())),
        });
        let names: Vec<_> = names.collect();
        if names.len() != tls.names.len() {
            return Err(Fault::Name);
        }
        let identity = credentials.identities(&tls.client_certificate).pop();
        let alpn = match protocol {
            Protocol::Http => ALPN_HTTP1,
            Protocol::H2c => ALPN_H2,
        };
        let config: ClientConfig = client_config(trust, names, identity, alpn)?;
        let dial = Dial::new(config, tls.sni.as_deref(), protocol)?;
        Ok(Arc::new(Dialling {
            content,
            dial: Arc::new(dial),
        }))
    }
}

/// What this machine trusts; nothing, when it has no roots: then no certificate is valid.
fn system_roots() -> sluice_tls::Trust {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "some of the system's roots cannot be read");
    }
    if found.certs.is_empty() {
        tracing::error!("the system has no roots: no upstream that needs them can be reached");
    }
    sluice_tls::Trust::of_system(&found.certs)
}
