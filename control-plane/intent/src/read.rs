//! From a value to a resource: identified, walked along its schema, deserialised, validated.

use serde_json::{Map, Value};
use sluice_model::{Code, Violation};

use crate::grammar::Grammar;
use crate::kind::Kind;
use crate::meta::{Metadata, SERVER_OWNED};
use crate::nearest::nearest;
use crate::report::{Quoting, Report, Violations, described};
use crate::resource::{Resource, ResourceId, Spec};
use crate::schema;
use crate::secret::LAST_APPLIED;
use crate::validate::{Regexes, validate};
use crate::walk::walk;

impl Resource {
    /// Reads one manifest, with every check that [`parse`](fn@crate::parse) makes; a `List` is refused.
    ///
    /// # Errors
    /// Every violation of the manifest, each at its path.
    pub fn from_json(manifest: Value, default_namespace: &str) -> Result<Self, Vec<Violation>> {
        let mut violations = Violations::default();
        let resource = read(
            manifest,
            "manifest",
            default_namespace,
            &mut Regexes::default(),
            &mut violations,
        );
        resource.ok_or_else(|| violations.into_vec())
    }
}

/// Reads one manifest that stands at `origin` of its input. Without a resource, there is a violation.
pub(crate) fn read(
    manifest: Value,
    origin: &str,
    default_namespace: &str,
    regexes: &mut Regexes,
    violations: &mut Violations,
) -> Option<Resource> {
    let Value::Object(mut manifest) = without_nulls(manifest) else {
        violations.push(
            origin,
            "",
            Code::WrongType,
            "must be an object with apiVersion, kind and metadata",
        );
        return None;
    };
    let quoting = quoting(&manifest);
    let resource = name_of(&manifest, origin, default_namespace, quoting);
    let before = violations.total();
    let mut report = Report::new(&resource, violations, quoting);
    let kind = identify(&manifest, &mut report)?;
    strip_server_owned(&mut manifest, default_namespace);

    let manifest = Value::Object(manifest);
    walk(schema::walked(kind), &manifest, &mut report);
    let typed = typed(kind, manifest);
    if let Ok(resource) = &typed {
        validate(resource, regexes, &mut report);
    }
    match typed {
        Ok(resource) if violations.total() == before => Some(resource),
        Err(error) if violations.total() == before => {
            // The walk finds all that deserialising refuses (a property holds it to that);
            // should it ever not, the input is still refused and says why.
            violations.push(&resource, "", Code::Malformed, error);
            None
        }
        _ => None,
    }
}

/// A manifest is taken for a Secret's as soon as anything says so: its kind may be misspelt, or be where
/// something else should be.
fn quoting(manifest: &Map<String, Value>) -> Quoting {
    let kind = manifest.get("kind").and_then(Value::as_str);
    let is_secret = kind.is_some_and(|kind| match Kind::by_name(kind) {
        Some(kind) => kind == Kind::Secret,
        None => Kind::nearest(kind) == Some(Kind::Secret),
    });
    let holds_values = VALUES.iter().any(|field| manifest.contains_key(*field));
    match is_secret || holds_values {
        true => Quoting::Never,
        false => Quoting::Short,
    }
}

/// What violations call the manifest: its id as far as it has one, else where it stands.
fn name_of(manifest: &Map<String, Value>, origin: &str, default_namespace: &str, quoting: Quoting) -> String {
    let metadata = manifest.get("metadata");
    let text = |field: &str| {
        metadata
            .and_then(|metadata| metadata.get(field))
            .and_then(Value::as_str)
    };
    let short = |text: &&str| match quoting {
        Quoting::Short => text.len() <= 253,
        Quoting::Never => Grammar::Subdomain.check(text).is_ok(),
    };
    let namespace = text("namespace").filter(short).unwrap_or(default_namespace);
    let kind = manifest.get("kind").and_then(Value::as_str);
    let kind = kind.filter(|kind| match quoting {
        Quoting::Short => short(kind),
        Quoting::Never => Kind::by_name(kind).is_some(),
    });
    match (kind, text("name").filter(short)) {
        (Some(kind), Some(name)) => format!("{kind}/{namespace}/{name}"),
        _ => origin.to_owned(),
    }
}

/// The kind, if `apiVersion` and `kind` are of one that this build reads.
fn identify(manifest: &Map<String, Value>, report: &mut Report<'_>) -> Option<Kind> {
    let version = text_field(manifest, "apiVersion", report);
    let name = text_field(manifest, "kind", report)?;
    let Some(kind) = Kind::by_name(name) else {
        if Kind::is_planned(name) {
            report.add_in(
                "kind",
                Code::Unsupported,
                format_args!("`{name}` is not supported by this version"),
            );
        } else {
            let hint = match Kind::nearest(name) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("there are {}", Kind::ALL.map(Kind::as_str).join(", ")),
            };
            let unknown = report.naming("unknown kind", name);
            report.add_in("kind", Code::UnknownKind, format_args!("{unknown}; {hint}"));
        }
        return None;
    };
    let version = version?;
    if !kind.api_versions().contains(&version) {
        let hint = match nearest(version, kind.api_versions().iter().copied()) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("`{kind}` is of {}", kind.api_version()),
        };
        let none = format_args!("has no kind `{kind}` that is read here; {hint}");
        let message = report.quoting(version, none);
        report.add_in("apiVersion", Code::UnknownKind, message);
        return None;
    }
    Some(kind)
}

fn text_field<'a>(manifest: &'a Map<String, Value>, name: &str, report: &mut Report<'_>) -> Option<&'a str> {
    match manifest.get(name) {
        Some(Value::String(text)) => Some(text),
        Some(other) => {
            let message = report.instead_of("must be a string", described(other));
            report.add_in(name, Code::WrongType, message);
            None
        }
        None => {
            report.add_in(name, Code::Missing, "is required");
            None
        }
    }
}

/// Takes out what the server owns, and fills in the namespace.
fn strip_server_owned(manifest: &mut Map<String, Value>, default_namespace: &str) {
    manifest.remove("status");
    if let Some(Value::Object(metadata)) = manifest.get_mut("metadata") {
        for field in SERVER_OWNED {
            metadata.remove(*field);
        }
        metadata
            .entry("namespace")
            .or_insert_with(|| default_namespace.into());
    }
}

fn typed(kind: Kind, mut manifest: Value) -> Result<Resource, serde_json::Error> {
    let mut take = |field: &str| manifest.get_mut(field).map(Value::take).unwrap_or_default();
    let mut metadata: Metadata = serde_json::from_value(take("metadata"))?;
    if kind == Kind::Secret {
        // kubectl keeps the whole manifest there, values and all. That it did is worth a warning.
        metadata.annotations.blank(LAST_APPLIED);
    }
    let spec = match kind {
        Kind::Secret | Kind::ConfigMap => manifest,
        _ => take("spec"),
    };
    let spec = Spec::from_value(kind, spec)?;
    let namespace = metadata
        .namespace
        .ok_or_else(|| serde::de::Error::missing_field("namespace"))?;
    Ok(Resource {
        id: ResourceId {
            kind,
            namespace,
            name: metadata.name,
        },
        labels: metadata.labels,
        annotations: metadata.annotations,
        spec,
    })
}

/// Fields that only Secrets have, beside `metadata`.
const VALUES: [&str; 2] = ["data", "stringData"];

/// Members that are null count as left out, as everywhere in Kubernetes.
fn without_nulls(value: Value) -> Value {
    // Hardly anything has any, and a tree is not made anew for nothing.
    match has_nulls(&value) {
        true => stripped(value),
        false => value,
    }
}

fn stripped(value: Value) -> Value {
    match value {
        Value::Object(members) => members
            .into_iter()
            .filter(|(_, member)| !member.is_null())
            .map(|(name, member)| (name, stripped(member)))
            .collect(),
        Value::Array(items) => items.into_iter().map(stripped).collect(),
        other => other,
    }
}

/// Whether a member of any object in it is null.
fn has_nulls(value: &Value) -> bool {
    match value {
        Value::Object(members) => members
            .values()
            .any(|member| member.is_null() || has_nulls(member)),
        Value::Array(items) => items.iter().any(has_nulls),
        _ => false,
    }
}
