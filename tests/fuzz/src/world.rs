//! Worlds of few names, so that everything collides: mostly right, now and then wrong.

use std::collections::BTreeMap;

use arbitrary::{Error, Result, Unstructured};
use prost::Message;
use sluice_core::{Difference, Entry, ResourceSet};
use sluice_model::{Digest, Key, Kind};
use sluice_proto::v1;

use crate::messages::{
    HOSTNAMES, MILLIS, NAMES, SUBJECTS, WEIGHTS, backend, certificate, cors, endpoints, good, header_edit,
    list, listener, one_match, rarely, redirect, rewrite, tickets, trust,
};

/// Most resources that one change brings, of each kind.
const MAX_NEW: usize = 3;

/// The encoded resources of a snapshot that may or may not be built.
#[derive(Clone, Debug, Default)]
pub struct World(BTreeMap<Key, Vec<u8>>);

impl World {
    /// A listener that takes all, and one backend: what most routes need.
    ///
    /// # Errors
    /// None that can come: the keys are well-formed.
    pub fn small() -> Result<Self> {
        let mut world = Self::default();
        let mut calm = Unstructured::new(&[]);
        for kind in [Kind::Listener, Kind::Backend, Kind::Endpoints] {
            world.add(kind, &mut calm)?;
        }
        for kind in [Kind::Split, Kind::Route, Kind::Rule] {
            world.add(kind, &mut calm)?;
        }
        Ok(world)
    }

    /// The world as a set.
    pub fn resources(&self) -> ResourceSet {
        let entry = |(key, body): (&Key, &Vec<u8>)| Entry {
            key: key.clone(),
            hash: Digest::of(body),
            body: body.clone().into(),
            min_wire: 1,
        };
        let upserts = self.0.iter().map(entry).collect();
        ResourceSet::empty().apply(&Difference {
            upserts,
            removals: vec![],
        })
    }

    /// Takes some away, brings and replaces others, and now and then spoils one.
    ///
    /// # Errors
    /// When `steer` cannot be read any further, which costs nothing but this input.
    pub fn change(&mut self, steer: &mut Unstructured<'_>) -> Result<()> {
        for _ in 0..steer.int_in_range(0..=MAX_NEW)? {
            if let Some(key) = self.any(steer, |_| true)? {
                self.0.remove(&key);
            }
        }
        for kind in Kind::ALL {
            for _ in 0..steer.int_in_range(0..=MAX_NEW)? {
                self.add(kind, steer)?;
            }
        }
        if rarely(steer)?
            && let Some(key) = self.any(steer, |_| true)?
        {
            let rest = steer.int_in_range(0..=16)?;
            let extra = steer.bytes(rest.min(steer.len()))?;
            let body = self.0.entry(key).or_default();
            body.truncate(steer.int_in_range(0..=body.len())?);
            body.extend_from_slice(extra);
        }
        Ok(())
    }

    fn add(&mut self, kind: Kind, steer: &mut Unstructured<'_>) -> Result<()> {
        let key = self.key(kind, steer)?;
        let body = match kind {
            Kind::Certificate => certificate(steer)?.encode_to_vec(),
            Kind::Trust => trust(steer)?.encode_to_vec(),
            Kind::Tickets => tickets(steer)?.encode_to_vec(),
            Kind::Listener => self.listener(steer)?.encode_to_vec(),
            Kind::Backend => self.backend(steer)?.encode_to_vec(),
            Kind::Endpoints => endpoints(steer)?.encode_to_vec(),
            Kind::Split => v1::Split {
                backends: self.weighted(steer)?,
            }
            .encode_to_vec(),
            Kind::Experiment => self.experiment(steer)?.encode_to_vec(),
            Kind::Route => self.route(steer)?.encode_to_vec(),
            Kind::Rule => self.rule(steer)?.encode_to_vec(),
        };
        self.0.insert(key, body);
        Ok(())
    }

    /// A key for a new resource: endpoints and rules usually of a backend or route that is there.
    fn key(&self, kind: Kind, steer: &mut Unstructured<'_>) -> Result<Key> {
        let name = *steer.choose(&["a", "b", "c"])?;
        let id = *steer.choose(&["0", "1"])?;
        let owner = match kind {
            Kind::Endpoints => Some(Kind::Backend),
            Kind::Rule => Some(Kind::Route),
            Kind::Certificate
            | Kind::Trust
            | Kind::Tickets
            | Kind::Listener
            | Kind::Backend
            | Kind::Split
            | Kind::Experiment
            | Kind::Route => None,
        };
        let owner = match owner {
            Some(owner) if !rarely(steer)? => self.any(steer, |key| key.kind() == owner)?,
            Some(_) | None => None,
        };
        let owner = owner.as_ref().map_or(name, |owner| owner.segment(1));
        let segments: &[&str] = match kind {
            Kind::Listener | Kind::Split | Kind::Rule => &["default", owner, id],
            Kind::Certificate
            | Kind::Trust
            | Kind::Tickets
            | Kind::Backend
            | Kind::Endpoints
            | Kind::Experiment
            | Kind::Route => &["default", owner],
        };
        Key::new(kind, segments).map_err(|_| Error::IncorrectFormat)
    }

    fn any(&self, steer: &mut Unstructured<'_>, wanted: impl Fn(&Key) -> bool) -> Result<Option<Key>> {
        let keys: Vec<&Key> = self.0.keys().filter(|key| wanted(key)).collect();
        match keys.is_empty() {
            true => Ok(None),
            false => steer.choose(&keys).map(|key| Some((*key).clone())),
        }
    }

    /// The key of something of one of `kinds` that is there, or of nothing, or of something else.
    fn reference(&self, kinds: &[Kind], steer: &mut Unstructured<'_>) -> Result<String> {
        let of_kind = |key: &Key| kinds.contains(&key.kind());
        let key = match steer.arbitrary::<u8>()? {
            255 => self.any(steer, |_| true)?,
            254 => Some(self.key(*steer.choose(kinds)?, steer)?),
            250..254 => None,
            _ => self.any(steer, of_kind)?,
        };
        Ok(key.map_or_else(String::new, |key| key.as_str().into()))
    }

    /// Now and then with TLS, which its certificate has to be there for.
    fn listener(&self, steer: &mut Unstructured<'_>) -> Result<v1::Listener> {
        let mut listener = listener(steer)?;
        if steer.int_in_range(0..=7)? == 7 {
            let client = v1::ClientValidation {
                trust: vec![self.reference(&[Kind::Trust], steer)?],
                optional: steer.arbitrary()?,
                max_depth: steer
                    .arbitrary::<bool>()?
                    .then(|| good(&[0, 1, 16, 17], steer))
                    .transpose()?,
            };
            listener.protocol = if rarely(steer)? { 1 } else { 2 };
            listener.tls = Some(v1::ListenerTls {
                certificates: vec![self.reference(&[Kind::Certificate], steer)?],
                client: steer.arbitrary::<bool>()?.then_some(client),
                min_version: good(&[0, 1, 2, 3], steer)?,
            });
        }
        Ok(listener)
    }

    fn backend(&self, steer: &mut Unstructured<'_>) -> Result<v1::Backend> {
        let mut backend = backend(steer)?;
        if steer.int_in_range(0..=7)? == 7 {
            backend.tls = Some(v1::BackendTls {
                sni: good(&HOSTNAMES, steer)?.into(),
                names: list(steer, 0, |steer| Ok(good(&SUBJECTS, steer)?.into()))?,
                trust: list(steer, 0, |steer| self.reference(&[Kind::Trust], steer))?,
                client_certificate: self.reference(&[Kind::Certificate], steer)?,
            });
        }
        Ok(backend)
    }

    fn mirrors(&self, steer: &mut Unstructured<'_>) -> Result<Vec<v1::Mirror>> {
        list(steer, 0, |steer| {
            Ok(v1::Mirror {
                backend: self.reference(&[Kind::Backend], steer)?,
                numerator: good(&[0, 1, 2, u32::MAX], steer)?,
                denominator: good(&[2, 100, 0], steer)?,
            })
        })
    }

    fn backend_filters(&self, steer: &mut Unstructured<'_>) -> Result<Option<v1::BackendFilters>> {
        if steer.int_in_range(0..=3)? != 3 {
            return Ok(None);
        }
        Ok(Some(v1::BackendFilters {
            request_headers: Some(header_edit(steer)?),
            response_headers: None,
            rewrite: steer.arbitrary::<bool>()?.then(|| rewrite(steer)).transpose()?,
            mirrors: self.mirrors(steer)?,
        }))
    }

    fn weighted(&self, steer: &mut Unstructured<'_>) -> Result<Vec<v1::WeightedBackend>> {
        list(steer, 1, |steer| {
            let backend = self.reference(&[Kind::Backend], steer)?;
            Ok(v1::WeightedBackend {
                backend,
                weight: good(&WEIGHTS, steer)?,
                filters: self.backend_filters(steer)?,
            })
        })
    }

    fn experiment(&self, steer: &mut Unstructured<'_>) -> Result<v1::Experiment> {
        use v1::unit::Source;
        let name: String = good(&NAMES, steer)?.into();
        let source = match steer.int_in_range(0..=3)? {
            0 => Source::Cookie(name),
            1 => Source::Header(name),
            2 => Source::Query(name),
            _ => Source::ClientIp(!rarely(steer)?),
        };
        let first = steer.int_in_range(0..=10_000)?;
        let variants = list(steer, 2, |steer| {
            let name = steer.choose(&["1", "0", "off"])?.to_string();
            Ok(v1::Variant {
                name,
                backends: self.weighted(steer)?,
            })
        })?;
        Ok(v1::Experiment {
            unit: (!rarely(steer)?).then_some(v1::Unit { source: Some(source) }),
            salt: "salt".into(),
            variants,
            slot_runs: vec![first, 0, 10_000 - first, 1],
            override_header: steer.choose(&["", "x-b"])?.to_string(),
            upstream_header: steer.choose(&["", "x-variant"])?.to_string(),
        })
    }

    fn route(&self, steer: &mut Unstructured<'_>) -> Result<v1::Route> {
        let attachments = list(steer, 1, |steer| {
            let listener = self.reference(&[Kind::Listener], steer)?;
            let hostnames = list(steer, 1, |steer| Ok(good(&HOSTNAMES, steer)?.into()))?;
            Ok(v1::Attachment { listener, hostnames })
        })?;
        Ok(v1::Route {
            creation_revision: steer.int_in_range(0..=3)?,
            attachments,
        })
    }

    fn rule(&self, steer: &mut Unstructured<'_>) -> Result<v1::Rule> {
        let mut rule = v1::Rule {
            matches: list(steer, 0, one_match)?,
            target: self.reference(&[Kind::Split, Kind::Experiment], steer)?,
            index: steer.int_in_range(0..=2)?,
            ..Default::default()
        };
        match steer.int_in_range(0..=9)? {
            8 => rule.mirrors = self.mirrors(steer)?,
            9 => rule.cors = Some(cors(steer)?),
            5 => rule.redirect = Some(redirect(steer)?),
            6 => rule.rewrite = Some(rewrite(steer)?),
            7 => rule.request_headers = Some(header_edit(steer)?),
            _ => {}
        }
        rule.request_timeout_ms = *steer.choose(&MILLIS)?;
        rule.backend_request_timeout_ms = *steer.choose(&MILLIS)?;
        Ok(rule)
    }
}
