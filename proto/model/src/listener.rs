//! Listeners and the routes attached to them.

use sluice_proto::v1;

use crate::{Code, Hostname, Key, Kind, Limits, ListenerTls, Scheme, Violation, problems::Problems};

/// A place where requests come in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// `listener/NAMESPACE/GATEWAY/NAME`
    pub key: Key,
    /// The port its Gateway names; a proxy may bind another (`--port-map`).
    pub port: u16,
    /// Hosts it takes; the most specific listener on a port takes a request.
    pub hostname: Hostname,
    /// How it ends TLS; `None`: it is plain.
    pub tls: Option<ListenerTls>,
    /// What clients may do.
    pub limits: Limits,
}

/// Where a route is served, and how old it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// `route/NAMESPACE/NAME`
    pub key: Key,
    /// The revision that created it; the older route wins a tie.
    pub creation_revision: u64,
    /// Listeners that serve it.
    pub attachments: Vec<Attachment>,
}

/// One listener of a route, with the hosts that both name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// Key of the [`Listener`].
    pub listener: Key,
    /// The intersection of the route's and the listener's hostnames; never empty.
    pub hostnames: Vec<Hostname>,
}

impl Listener {
    /// How its requests come in.
    pub fn scheme(&self) -> Scheme {
        match self.tls {
            Some(_) => Scheme::Https,
            None => Scheme::Http,
        }
    }

    pub(crate) fn read(key: &Key, wire: &v1::Listener) -> Result<Self, Vec<Violation>> {
        let mut problems = Problems::of(key);
        let port = u16::try_from(wire.port).ok().filter(|port| *port != 0);
        if port.is_none() {
            problems.add(
                "port",
                Code::OutOfRange,
                format!("{} is no port; use 1 to 65535", wire.port),
            );
        }
        match (v1::listener::Protocol::try_from(wire.protocol), &wire.tls) {
            (Ok(v1::listener::Protocol::Http), None) | (Ok(v1::listener::Protocol::Https), Some(_)) => {}
            (Ok(v1::listener::Protocol::Http | v1::listener::Protocol::Https), _) => {
                problems.add(
                    "tls",
                    Code::Conflict,
                    "an HTTPS listener has it, an HTTP listener has not",
                );
            }
            (Ok(v1::listener::Protocol::Unspecified) | Err(_), _) => {
                problems.add(
                    "protocol",
                    Code::Unsupported,
                    "this proxy serves HTTP and HTTPS listeners",
                );
            }
        }
        let tls = wire.tls.as_ref().map(|tls| ListenerTls::read(&mut problems, tls));
        let hostname = problems.keep(|| "hostname".into(), Hostname::parse(&wire.hostname));
        let listener = port.zip(hostname).map(|(port, hostname)| Self {
            key: key.clone(),
            port,
            hostname,
            tls,
            limits: wire.limits.as_ref().map_or_else(Limits::default, Limits::read),
        });
        problems.finish(listener)
    }
}

impl Route {
    pub(crate) fn read(key: &Key, wire: &v1::Route) -> Result<Self, Vec<Violation>> {
        let mut problems = Problems::of(key);
        let mut attachments = Vec::with_capacity(wire.attachments.len());
        for (at, attachment) in wire.attachments.iter().enumerate() {
            let field = |rest: &str| format!("attachments[{at}].{rest}");
            let listener = problems.keep(|| field("listener"), Key::parse(&attachment.listener));
            let hostnames: Vec<_> = attachment
                .hostnames
                .iter()
                .filter_map(|name| problems.keep(|| field("hostnames"), Hostname::parse(name)))
                .collect();
            if hostnames.is_empty() {
                problems.add(
                    field("hostnames"),
                    Code::Missing,
                    "an attachment names at least one host",
                );
            }
            match listener {
                Some(key) if key.kind() != Kind::Listener => {
                    problems.add(field("listener"), Code::Invalid, format!("{key} is no listener"));
                }
                Some(listener) => attachments.push(Attachment { listener, hostnames }),
                None => {}
            }
        }
        let creation_revision = wire.creation_revision;
        problems.finish(Some(Self {
            key: key.clone(),
            creation_revision,
            attachments,
        }))
    }
}
