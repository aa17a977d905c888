//! Where matched requests go: weighted splits and sticky experiments.

use http::HeaderName;
use sluice_proto::v1;

use crate::{Code, Filters, Key, Kind, SlotTable, Violation, problems::Problems};

/// Largest weight of one backend (Gateway API).
pub const MAX_WEIGHT: u32 = 1_000_000;
/// Most backends of one split or variant.
pub const MAX_BACKENDS: usize = 64;
/// Most variants of one experiment.
pub const MAX_VARIANTS: usize = 64;

/// Backends that share the requests of a rule by weight, request by request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// `split/NAMESPACE/ROUTE/RULE`
    pub key: Key,
    /// In the order written.
    pub backends: Vec<WeightedBackend>,
}

/// One share of a split.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WeightedBackend {
    /// `None`: the reference dangles, and its share answers 500.
    pub backend: Option<Key>,
    /// Relative weight, 0 to [`MAX_WEIGHT`]; 0 gets nothing.
    pub weight: u32,
    /// Changes on top of the rule's; neither a redirect nor CORS.
    pub filters: Filters,
}

/// A sticky split: the same unit always sees the same variant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Experiment {
    /// `experiment/NAMESPACE/NAME`
    pub key: Key,
    /// What is kept on one variant.
    pub unit: Unit,
    /// Fixed at creation; makes experiments independent of each other.
    pub salt: Box<str>,
    /// In the order written; slot owners are indices into it.
    pub variants: Vec<Variant>,
    /// Who owns which slot.
    pub slots: SlotTable,
    /// A request header that names the variant to use, for testers.
    pub override_header: Option<HeaderName>,
    /// The header that tells the upstream the variant's name.
    pub upstream_header: Option<HeaderName>,
}

/// One arm of an experiment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variant {
    /// Unique in its experiment.
    pub name: Box<str>,
    /// Where its requests go.
    pub backends: Vec<WeightedBackend>,
}

/// What identifies a user to an experiment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A cookie, issued when it is missing.
    Cookie(Box<str>),
    /// A request header.
    Header(HeaderName),
    /// A query parameter.
    Query(Box<str>),
    /// The client's address.
    ClientIp,
}

impl Split {
    pub(crate) fn read(key: &Key, wire: &v1::Split) -> Result<Self, Vec<Violation>> {
        let mut problems = Problems::of(key);
        let backends = weighted(&mut problems, "backends", &wire.backends);
        problems.finish(Some(Self {
            key: key.clone(),
            backends,
        }))
    }
}

fn weighted(problems: &mut Problems<'_>, field: &str, wire: &[v1::WeightedBackend]) -> Vec<WeightedBackend> {
    if wire.len() > MAX_BACKENDS {
        problems.add(
            field,
            Code::OutOfRange,
            format!("at most {MAX_BACKENDS} backends"),
        );
    }
    let mut backends = Vec::with_capacity(wire.len().min(MAX_BACKENDS));
    for (at, one) in wire.iter().take(MAX_BACKENDS).enumerate() {
        let backend = match one.backend.as_str() {
            "" => None,
            text => problems.key(&format!("{field}[{at}].backend"), text, Kind::Backend),
        };
        if one.weight > MAX_WEIGHT {
            let message = format!("a weight is at most {MAX_WEIGHT}");
            problems.add(format!("{field}[{at}].weight"), Code::OutOfRange, message);
        }
        let filters = one.filters.as_ref().map(|wire| {
            let field = format!("{field}[{at}].filters");
            Filters::of_backend(problems, &field, wire)
        });
        backends.push(WeightedBackend {
            backend,
            weight: one.weight,
            filters: filters.unwrap_or_default(),
        });
    }
    backends
}

impl Experiment {
    pub(crate) fn read(key: &Key, wire: &v1::Experiment) -> Result<Self, Vec<Violation>> {
        let mut problems = Problems::of(key);
        let unit = Unit::read(&mut problems, wire.unit.as_ref());
        if wire.variants.is_empty() || wire.variants.len() > MAX_VARIANTS {
            problems.add(
                "variants",
                Code::OutOfRange,
                format!("1 to {MAX_VARIANTS} variants"),
            );
        }
        let mut variants = Vec::with_capacity(wire.variants.len().min(MAX_VARIANTS));
        for (at, variant) in wire.variants.iter().take(MAX_VARIANTS).enumerate() {
            let backends = weighted(
                &mut problems,
                &format!("variants[{at}].backends"),
                &variant.backends,
            );
            // The name travels in headers.
            if http::HeaderValue::from_str(&variant.name).is_err() || variant.name.is_empty() {
                problems.add(
                    format!("variants[{at}].name"),
                    Code::Invalid,
                    "not fit for a header value",
                );
            }
            variants.push(Variant {
                name: variant.name.as_str().into(),
                backends,
            });
        }
        let slots = SlotTable::from_runs(&wire.slot_runs, variants.len());
        let slots = problems.keep(|| "slot_runs".into(), slots);
        let mut header = |field: &str, text: &str| match text {
            "" => None,
            text => problems.keep(|| field.into(), HeaderName::from_bytes(text.as_bytes())),
        };
        let override_header = header("override_header", &wire.override_header);
        let upstream_header = header("upstream_header", &wire.upstream_header);
        let salt = wire.salt.as_str().into();
        let experiment = unit.zip(slots).map(|(unit, slots)| Self {
            key: key.clone(),
            unit,
            salt,
            variants,
            slots,
            override_header,
            upstream_header,
        });
        problems.finish(experiment)
    }
}

impl Unit {
    fn read(problems: &mut Problems<'_>, wire: Option<&v1::Unit>) -> Option<Self> {
        use v1::unit::Source;
        match wire.and_then(|unit| unit.source.as_ref()) {
            // A cookie's name is a token (RFC 6265 section 4.1.1), as a header's is.
            Some(Source::Cookie(name)) => problems
                .keep(|| "unit.cookie".into(), HeaderName::from_bytes(name.as_bytes()))
                .map(|_| Self::Cookie(name.as_str().into())),
            Some(Source::Header(name)) => problems
                .keep(|| "unit.header".into(), HeaderName::from_bytes(name.as_bytes()))
                .map(Self::Header),
            Some(Source::Query(name)) => Some(Self::Query(name.as_str().into())),
            Some(Source::ClientIp(true)) => Some(Self::ClientIp),
            Some(Source::ClientIp(false)) | None => {
                problems.add("unit", Code::Missing, "a unit this proxy knows is needed");
                None
            }
        }
    }
}
