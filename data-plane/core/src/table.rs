//! The route table: listeners of a port, hostnames of a listener, paths of a hostname.

use std::{collections::BTreeSet, sync::Arc};

use sluice_model::{Hostname, Key, Limits, Listener, PathMatch, Route};

use crate::{
    candidate::{Candidate, CompiledRule},
    filter::redirect_location,
    hosts::Hosts,
    request::RequestView,
    trie::PathTable,
};

/// Hostnames that are looked at for what one candidate costs.
const NAMES: usize = 16;

/// The routes of every listener. Cloning costs nothing; what a change does not touch is shared.
#[derive(Clone)]
pub(crate) struct RouteTable {
    listeners: imbl::OrdMap<Key, ListenerTable>,
    ports: imbl::OrdMap<u16, Arc<Port>>,
}

#[derive(Clone)]
struct Port {
    /// Keys of its listeners, by hostname.
    hosts: Hosts<Key>,
    /// The strictest of its listeners.
    limits: Limits,
}

#[derive(Clone)]
struct ListenerTable {
    listener: Arc<Listener>,
    hosts: Hosts<PathTable>,
}

/// What a request met: the rule that takes it.
#[derive(Clone, Copy, Debug)]
pub struct Matched<'a> {
    /// The rule.
    pub rule: &'a Arc<CompiledRule>,
    /// Which of its matches held.
    pub match_index: usize,
    /// The listener it came through.
    pub listener: &'a Arc<Listener>,
}

impl Matched<'_> {
    /// The prefix that matched, without a trailing slash: what `ReplacePrefixMatch` replaces.
    /// `None` when the path was matched in another way.
    pub fn prefix(&self) -> Option<&str> {
        match &self.rule.rule.matches.get(self.match_index)?.path {
            PathMatch::Prefix(prefix) => Some(prefix),
            PathMatch::Exact(_) | PathMatch::Regex(_) => None,
        }
    }

    /// Where the rule redirects `request` to, if it does.
    pub(crate) fn location(&self, request: &RequestView<'_>) -> Option<String> {
        let redirect = self.rule.rule.filters.redirect.as_ref()?;
        let (port, scheme) = (self.listener.port, self.listener.scheme());
        Some(redirect_location(redirect, request, self.prefix(), port, scheme))
    }
}

impl RouteTable {
    pub(crate) fn new() -> Self {
        Self {
            listeners: imbl::OrdMap::new(),
            ports: imbl::OrdMap::new(),
        }
    }

    /// The rule for a request that came in on `port`.
    ///
    /// Listeners are isolated: the most specific one takes the request, even when only a route of
    /// another would match. Among a listener's routes the most specific hostname with a match wins.
    #[inline]
    pub(crate) fn find<'a>(&'a self, port: u16, request: &RequestView<'_>) -> Option<Matched<'a>> {
        let listener = self.listener(port, request.host)?;
        let candidate = listener
            .hosts
            .covering(request.host)
            .find_map(|paths| paths.find(request))?;
        Some(Matched {
            rule: &candidate.rule,
            match_index: candidate.at,
            listener: &listener.listener,
        })
    }

    /// Candidates on the path that come before `taken`, best first; without it, all of them.
    pub(crate) fn better<'a>(
        &'a self,
        port: u16,
        (host, path): (&str, &str),
        taken: Option<Matched<'_>>,
    ) -> impl Iterator<Item = &'a Candidate> {
        let listener = self.listener(port, host).into_iter();
        let paths = listener.flat_map(move |listener| listener.hosts.covering(host));
        let candidates =
            paths.flat_map(move |paths| paths.contenders(path, move |regex| regex.is_match(path)));
        candidates.take_while(move |candidate| {
            !taken.is_some_and(|taken| candidate.is(taken.rule, taken.match_index))
        })
    }

    /// All listeners of `port` that could take `host`, from the one that does.
    pub(crate) fn listeners_for<'a>(
        &'a self,
        port: u16,
        host: &'a str,
    ) -> impl Iterator<Item = &'a Arc<Listener>> {
        let port = self.ports.get(&port).into_iter();
        port.flat_map(|port| port.hosts.covering(host))
            .filter_map(|key| self.get(key))
    }

    /// As [`Self::tables`], with the hostnames and without the listener.
    pub(crate) fn named_tables(&self, port: u16, host: &str) -> Vec<(Hostname, &PathTable)> {
        let listener = self.listener(port, host).into_iter();
        listener
            .flat_map(|listener| listener.hosts.covering_named(host))
            .collect()
    }

    /// Paths of hostnames that do not take a request for `host` on `port` and nearly do, the nearest first:
    /// of the same listener, of others of the port, of other ports. At most `most`.
    pub(crate) fn neighbours(&self, port: u16, host: &str, most: usize) -> Vec<&PathTable> {
        let here = self.listener(port, host);
        let mut found: Vec<&PathTable> = here.iter().flat_map(|one| one.hosts.beside(host)).collect();
        let this = self.ports.get(&port);
        let others = self.ports.iter().filter(|(number, _)| **number != port);
        for port in this.into_iter().chain(others.map(|(_, port)| port)) {
            if found.len() >= most {
                break;
            }
            let keys = port.hosts.covering(host).chain(port.hosts.beside(host));
            let tables = keys.filter_map(|key| self.listeners.get(key));
            let others =
                tables.filter(|table| here.is_none_or(|here| here.listener.key != table.listener.key));
            found.extend(others.flat_map(|table| table.hosts.covering(host).chain(table.hosts.beside(host))));
        }
        found.truncate(most);
        found
    }

    /// The listener that takes `host` on `port`, and the paths of its hostnames that have it, from the
    /// most specific.
    pub(crate) fn tables(&self, port: u16, host: &str) -> Option<(&Arc<Listener>, Vec<&PathTable>)> {
        let listener = self.listener(port, host)?;
        Some((&listener.listener, listener.hosts.covering(host).collect()))
    }

    /// The paths that stand under exactly this hostname of a listener.
    pub(crate) fn paths(&self, listener: &Key, hostname: &Hostname) -> Option<&PathTable> {
        self.listeners.get(listener)?.hosts.get(hostname)
    }

    /// The paths under `hostname` of a listener, and under hostnames beneath it. `left` is how much may be looked
    /// at, in candidates of a path; what was is taken off.
    pub(crate) fn beneath<'a>(
        &'a self,
        listener: &Key,
        hostname: &Hostname,
        left: &mut usize,
    ) -> Vec<&'a PathTable> {
        let Some(table) = self.listeners.get(listener) else {
            return Vec::new();
        };
        let mut found: Vec<&PathTable> = table.hosts.get(hostname).into_iter().collect();
        if matches!(hostname, Hostname::Wildcard(_)) {
            let names = table.hosts.len() / NAMES;
            match left.checked_sub(names) {
                Some(rest) => {
                    *left = rest;
                    found.extend(table.hosts.beneath(hostname));
                }
                None => *left = 0,
            }
        }
        found
    }

    /// The other listeners of the port of `listener`.
    pub(crate) fn beside<'a>(&'a self, listener: &'a Listener) -> impl Iterator<Item = &'a Key> {
        let port = self.ports.get(&listener.port).into_iter();
        let keys = port.flat_map(|port| port.hosts.values());
        keys.filter(|key| **key != listener.key)
    }

    /// Hostnames that matter on `port`: its listeners', and those of routes attached to them.
    pub(crate) fn hostnames(&self, port: u16) -> Vec<Hostname> {
        let Some(port) = self.ports.get(&port) else {
            return Vec::new();
        };
        let tables = port.hosts.values().filter_map(|key| self.listeners.get(key));
        let names = tables.flat_map(|table| table.hosts.names());
        port.hosts.names().chain(names).collect()
    }

    #[inline]
    fn listener(&self, port: u16, host: &str) -> Option<&ListenerTable> {
        let key = self.ports.get(&port)?.hosts.covering(host).next()?;
        self.listeners.get(key)
    }

    pub(crate) fn listener_for(&self, port: u16, host: &str) -> Option<&Arc<Listener>> {
        self.listener(port, host).map(|table| &table.listener)
    }

    /// The listener for a connection that names no host: the one without a hostname, or the only one.
    pub(crate) fn nameless(&self, port: u16) -> Option<&Arc<Listener>> {
        let hosts = &self.ports.get(&port)?.hosts;
        let mut all = hosts.values();
        let only = all.next().filter(|_| all.next().is_none());
        self.get(hosts.any().or(only)?)
    }

    pub(crate) fn limits(&self, port: u16) -> Limits {
        self.ports
            .get(&port)
            .map_or_else(Limits::default, |port| port.limits)
    }

    pub(crate) fn get(&self, key: &Key) -> Option<&Arc<Listener>> {
        self.listeners.get(key).map(|table| &table.listener)
    }

    /// Makes the limits of `ports` those of their listeners, as these are now.
    ///
    /// # Errors
    /// The listeners of ports on which some are plain and others are not: those that are.
    pub(crate) fn settle_ports(&mut self, ports: &BTreeSet<u16>) -> Result<(), Vec<Key>> {
        let mut mixed = Vec::new();
        for number in ports {
            let Some(port) = self.ports.get(number) else {
                continue;
            };
            let all: Vec<&Arc<Listener>> = port.hosts.values().filter_map(|key| self.get(key)).collect();
            let plain = all.iter().filter(|listener| listener.tls.is_none());
            if (1..all.len()).contains(&plain.clone().count()) {
                mixed.extend(plain.map(|listener| listener.key.clone()));
            }
            let limits = all
                .iter()
                .map(|listener| listener.limits)
                .reduce(Limits::strictest);
            if let Some(port) = self.ports.get_mut(number) {
                Arc::make_mut(port).limits = limits.unwrap_or_default();
            }
        }
        if mixed.is_empty() { Ok(()) } else { Err(mixed) }
    }

    pub(crate) fn listeners(&self) -> impl Iterator<Item = &Arc<Listener>> {
        self.listeners.values().map(|table| &table.listener)
    }

    pub(crate) fn ports(&self) -> impl Iterator<Item = u16> {
        self.ports.keys().copied()
    }

    /// Adds or changes a listener.
    ///
    /// # Errors
    /// The listener that already has this port and hostname.
    pub(crate) fn put_listener(&mut self, listener: Listener) -> Result<(), Key> {
        self.forget_port(&listener.key);
        let port = self.ports.entry(listener.port).or_insert_with(|| {
            Arc::new(Port {
                hosts: Hosts::new(),
                limits: listener.limits,
            })
        });
        let holder = Arc::make_mut(port)
            .hosts
            .entry(&listener.hostname, || listener.key.clone());
        if *holder != listener.key {
            return Err(holder.clone());
        }
        let key = listener.key.clone();
        let listener = Arc::new(listener);
        match self.listeners.get_mut(&key) {
            Some(table) => table.listener = listener,
            None => drop(self.listeners.insert(
                key,
                ListenerTable {
                    listener,
                    hosts: Hosts::new(),
                },
            )),
        }
        Ok(())
    }

    /// Lets go of the port and hostname a listener has; it may be about to get others.
    pub(crate) fn forget_port(&mut self, key: &Key) {
        let Some(table) = self.listeners.get(key) else {
            return;
        };
        let port = table.listener.port;
        let Some(entry) = self.ports.get_mut(&port) else {
            return;
        };
        let hosts = &mut Arc::make_mut(entry).hosts;
        if hosts
            .get_mut(&table.listener.hostname)
            .is_some_and(|holder| holder == key)
        {
            hosts.remove(&table.listener.hostname);
        }
        if hosts.is_empty() {
            self.ports.remove(&port);
        }
    }

    /// Takes a listener away.
    ///
    /// # Errors
    /// When routes are still attached to it.
    pub(crate) fn remove_listener(&mut self, key: &Key) -> Result<(), Attached> {
        self.forget_port(key);
        match self.listeners.remove(key) {
            Some(table) if !table.hosts.is_empty() => Err(Attached),
            Some(_) | None => Ok(()),
        }
    }

    /// Lets the route's listener keys be those that stand here: one text for thousands of routes.
    pub(crate) fn share_keys(&self, route: &mut Route) {
        for attachment in &mut route.attachments {
            if let Some((key, _)) = self.listeners.get_key_value(&attachment.listener) {
                attachment.listener = key.clone();
            }
        }
    }

    /// Puts the matches of a rule under every hostname its route has.
    ///
    /// # Errors
    /// Listeners that its route names and that do not exist.
    pub(crate) fn attach(&mut self, rule: &Arc<CompiledRule>) -> Result<(), Vec<Key>> {
        let mut missing = Vec::new();
        for attachment in &rule.route.attachments {
            let Some(table) = self.listeners.get_mut(&attachment.listener) else {
                missing.push(attachment.listener.clone());
                continue;
            };
            for hostname in &attachment.hostnames {
                let paths = table.hosts.entry(hostname, PathTable::default);
                for at in 0..rule.rule.matches.len() {
                    paths.insert(Candidate {
                        rule: Arc::clone(rule),
                        at,
                    });
                }
            }
        }
        if missing.is_empty() { Ok(()) } else { Err(missing) }
    }

    /// Takes a rule out again.
    pub(crate) fn detach(&mut self, rule: &CompiledRule) {
        for attachment in &rule.route.attachments {
            let Some(table) = self.listeners.get_mut(&attachment.listener) else {
                continue;
            };
            for hostname in &attachment.hostnames {
                detach_from(&mut table.hosts, hostname, rule);
            }
        }
    }
}

/// Routes are still attached to a listener that is to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Attached;

fn detach_from(hosts: &mut Hosts<PathTable>, hostname: &Hostname, rule: &CompiledRule) {
    let Some(paths) = hosts.get_mut(hostname) else {
        return;
    };
    for at in 0..rule.rule.matches.len() {
        paths.remove(rule, at);
    }
    if paths.is_empty() {
        hosts.remove(hostname);
    }
}
