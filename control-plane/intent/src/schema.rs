//! JSON Schemas of the kinds: for the OpenAPI document, for editors, and for the
//! walk that finds violations.
//!
//! Beside the words of JSON Schema 2020-12 there are three of our own:
//! `x-sluice-unsupported` lists fields (of an object) or values (of a string) that the
//! language has and this build has not; `x-sluice-union` maps each value of `type` to
//! the one field that goes with it; `x-sluice-secret` marks values that are never quoted.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use schemars::generate::SchemaSettings;
use schemars::transform::transform_subschemas;
use schemars::{JsonSchema as _, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

use crate::backend::BackendSpec;
use crate::config_map::ConfigMapSpec;
use crate::experiment::ExperimentSpec;
use crate::gateway::{GatewayClassSpec, GatewaySpec};
use crate::httproute::HttpRouteSpec;
use crate::kind::Kind;
use crate::lint_policy::LintPolicySpec;
use crate::meta::Metadata;
use crate::reference_grant::ReferenceGrantSpec;
use crate::secret::SecretFields;
use crate::tls::BackendTlsPolicySpec;
use crate::traffic_policy::TrafficPolicySpec;

/// Fields or values that the language has and this build has not.
pub(crate) const UNSUPPORTED: &str = "x-sluice-unsupported";
/// For each value of `type`, the field that goes with it.
pub(crate) const UNION: &str = "x-sluice-union";

/// The schema of a manifest of `kind`, complete in itself.
pub fn schema(kind: Kind) -> Schema {
    let mut generator = settings()
        .with(|settings| settings.inline_subschemas = true)
        .into_generator();
    let mut schema = manifest(kind, &mut generator);
    without_null(&mut schema);
    schema
}

/// The schemas of every kind and of all they are made of, by name, for the
/// `components/schemas` of an OpenAPI 3.1 document; references are relative to it.
pub fn json_schemas() -> BTreeMap<String, Value> {
    let mut generator = settings()
        .with(|settings| settings.definitions_path = "/components/schemas".into())
        .into_generator();
    let kinds: Vec<_> = Kind::ALL
        .map(|kind| (kind.as_str().to_owned(), manifest(kind, &mut generator)))
        .into();
    let parts = generator
        .take_definitions(false)
        .into_iter()
        .filter_map(|(name, part)| {
            // Every definition was made from a `Schema`, so none is dropped here.
            Schema::try_from(part).ok().map(|part| (name, part))
        });
    kinds
        .into_iter()
        .chain(parts)
        .map(|(name, mut schema)| {
            without_null(&mut schema);
            with_null(&mut schema);
            (name, schema.to_value())
        })
        .collect()
}

/// The schema that manifests of `kind` are walked against.
pub(crate) fn walked(kind: Kind) -> &'static Value {
    static SCHEMAS: LazyLock<BTreeMap<Kind, Value>> =
        LazyLock::new(|| Kind::ALL.map(|kind| (kind, schema(kind).to_value())).into());
    SCHEMAS.get(&kind).unwrap_or(&Value::Bool(true))
}

/// The schema of a `List`, whose items are looked at one by one.
pub(crate) fn list() -> &'static Value {
    static LIST: LazyLock<Value> = LazyLock::new(|| {
        json_schema!({
            "type": "object",
            "required": ["apiVersion", "kind", "items"],
            "properties": {
                "apiVersion": {"type": "string", "enum": ["v1"]},
                "kind": {"type": "string", "enum": ["List"]},
                "metadata": true,
                "items": {"type": "array"}
            }
        })
        .to_value()
    });
    &LIST
}

fn settings() -> SchemaSettings {
    SchemaSettings::draft2020_12().with(|settings| settings.meta_schema = None)
}

fn manifest(kind: Kind, generator: &mut SchemaGenerator) -> Schema {
    let spec = match kind {
        Kind::GatewayClass => generator.subschema_for::<GatewayClassSpec>(),
        Kind::Gateway => generator.subschema_for::<GatewaySpec>(),
        Kind::HTTPRoute => generator.subschema_for::<HttpRouteSpec>(),
        Kind::ReferenceGrant => generator.subschema_for::<ReferenceGrantSpec>(),
        Kind::BackendTLSPolicy => generator.subschema_for::<BackendTlsPolicySpec>(),
        Kind::Secret => return flat(kind, &SecretFields::json_schema(generator), generator),
        Kind::ConfigMap => return flat(kind, &ConfigMapSpec::json_schema(generator), generator),
        Kind::Backend => generator.subschema_for::<BackendSpec>(),
        Kind::Experiment => generator.subschema_for::<ExperimentSpec>(),
        Kind::TrafficPolicy => generator.subschema_for::<TrafficPolicySpec>(),
        Kind::LintPolicy => generator.subschema_for::<LintPolicySpec>(),
    };
    let mut schema = head(kind, generator);
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        properties.insert("spec".to_owned(), spec.to_value());
    }
    if let Some(Value::Array(required)) = schema.get_mut("required") {
        required.push("spec".into());
    }
    schema
}

/// The manifest of a kind that has its fields beside `metadata`.
fn flat(kind: Kind, fields: &Schema, generator: &mut SchemaGenerator) -> Schema {
    let mut schema = head(kind, generator);
    let own = fields.get("properties").and_then(Value::as_object);
    if let (Some(Value::Object(properties)), Some(own)) = (schema.get_mut("properties"), own) {
        properties.extend(own.clone());
    }
    if let Some(unsupported) = fields.get(UNSUPPORTED) {
        schema.insert(UNSUPPORTED.to_owned(), unsupported.clone());
    }
    schema
}

/// What all manifests have.
fn head(kind: Kind, generator: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "description": kind.summary(),
        "required": ["apiVersion", "kind", "metadata"],
        "properties": {
            "apiVersion": {"type": "string", "enum": kind.api_versions()},
            "kind": {"type": "string", "enum": [kind.as_str()]},
            "metadata": generator.subschema_for::<Metadata>(),
            "status": {"type": "object", "description": "What the server says of it; ignored in what is written."}
        }
    })
}

/// Takes `null` out of optional fields: a field that is null counts as left out, and
/// the schema reads better without.
fn without_null(schema: &mut Schema) {
    let is_null = |value: &Value| value.get("type").is_some_and(|kind| kind == "null");
    if let Some(object) = schema.as_object_mut() {
        if let Some(Value::Array(types)) = object.get_mut("type") {
            types.retain(|name| name != "null");
            if let [only] = types.as_slice() {
                let only = only.clone();
                object.insert("type".to_owned(), only);
            }
        }
        if let Some(Value::Array(values)) = object.get_mut("enum") {
            values.retain(|value| !value.is_null());
        }
        if let Some(Value::Array(options)) = object.get_mut("anyOf") {
            options.retain(|option| !is_null(option));
            if let [Value::Object(only)] = options.as_slice() {
                let only = only.clone();
                object.remove("anyOf");
                merge(object, only);
            }
        }
    }
    transform_subschemas(&mut without_null, schema);
}

/// Lets members be null that may be left out: it counts as that, and whoever reads the document should know.
fn with_null(schema: &mut Schema) {
    if let Some(object) = schema.as_object_mut() {
        let required = match object.get("required") {
            Some(Value::Array(names)) => names.clone(),
            _ => Vec::new(),
        };
        if let Some(Value::Object(properties)) = object.get_mut("properties") {
            let optional = properties.iter_mut();
            let optional = optional.filter(|(name, _)| !required.iter().any(|one| one == name.as_str()));
            optional.for_each(|(_, property)| allow_null(property));
        }
        if let Some(members) = object.get_mut("additionalProperties") {
            allow_null(members);
        }
    }
    transform_subschemas(&mut with_null, schema);
}

/// Allows null beside what `schema` allows.
fn allow_null(schema: &mut Value) {
    let Value::Object(object) = schema else { return };
    let words = ["$ref", "anyOf", "oneOf", "allOf", "const"];
    if words.iter().any(|word| object.contains_key(*word)) {
        let description = object.remove("description");
        let given = std::mem::take(object);
        object.extend(description.map(|text| ("description".to_owned(), text)));
        object.insert("anyOf".to_owned(), json!([given, {"type": "null"}]));
        return;
    }
    if let Some(Value::String(one)) = object.get("type") {
        let types = json!([one, "null"]);
        object.insert("type".to_owned(), types);
    }
    if let Some(Value::Array(values)) = object.get_mut("enum") {
        values.push(Value::Null);
    }
}

/// Adds what `outer`, the schema of a field, does not say itself.
fn merge(outer: &mut Map<String, Value>, inner: Map<String, Value>) {
    for (word, value) in inner {
        outer.entry(word).or_insert(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grammar::Grammar;
    use crate::quantity::QUANTITY;
    use crate::secret::SECRET;
    use crate::share::PERCENT;

    /// Every object within `value`.
    fn objects<'a>(value: &'a Value, found: &mut Vec<&'a Map<String, Value>>) {
        match value {
            Value::Object(object) => {
                found.push(object);
                object.values().for_each(|value| objects(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| objects(value, found)),
            _ => {}
        }
    }

    #[test]
    fn the_walk_knows_every_word_that_the_schemas_use() {
        let known = [
            "type",
            "description",
            "title",
            "examples",
            "format",
            "default",
            "properties",
            "required",
            "items",
            "additionalProperties",
            "propertyNames",
            "enum",
            "oneOf",
            "const",
            "minimum",
            "maximum",
            "multipleOf",
            "minLength",
            "maxLength",
            "minItems",
            "maxItems",
            "minProperties",
            "maxProperties",
            "writeOnly",
            UNSUPPORTED,
            UNION,
            SECRET,
        ];
        fn check(schema: &Value, known: &[&str]) {
            let Some(object) = schema.as_object() else { return };
            for (word, value) in object {
                assert!(known.contains(&word.as_str()), "{word}: {value}");
                match word.as_str() {
                    "properties" => value
                        .as_object()
                        .unwrap()
                        .values()
                        .for_each(|part| check(part, known)),
                    "items" | "additionalProperties" | "propertyNames" => check(value, known),
                    "oneOf" => value.as_array().unwrap().iter().for_each(|part| {
                        assert!(part.get("const").is_some(), "{part}");
                    }),
                    "format" => {
                        let text = value.as_str().unwrap();
                        let number = text.starts_with("uint") || text == PERCENT || text == QUANTITY;
                        assert!(number || Grammar::by_name(text).is_some(), "{text}");
                    }
                    _ => {}
                }
            }
        }
        for kind in Kind::ALL {
            check(walked(kind), &known);
        }
    }

    #[test]
    fn components_refer_only_to_components_and_describe_every_field() {
        let components = json_schemas();
        for kind in Kind::ALL {
            assert!(components.contains_key(kind.as_str()));
        }
        for (name, component) in &components {
            let mut found = Vec::new();
            objects(component, &mut found);
            for object in found {
                if let Some(Value::String(reference)) = object.get("$ref") {
                    let target = reference.strip_prefix("#/components/schemas/").unwrap();
                    assert!(components.contains_key(target), "{reference}");
                }
            }
            for (field, part) in component["properties"].as_object().into_iter().flatten() {
                let refers = part.get("$ref").is_some() || part.get("anyOf").is_some();
                let documented = part.get("description").is_some() || refers;
                assert!(documented || part.get("enum").is_some(), "{name}.{field}");
            }
        }
    }

    #[test]
    fn what_may_be_left_out_may_be_null_and_nothing_else() {
        let components = json_schemas();
        let class = &components["GatewayClassSpec"];
        let of = |name: &str| class["properties"][name].clone();
        assert_eq!(of("controllerName")["type"], "string");
        assert_eq!(of("description")["type"], json!(["string", "null"]));
        let reference = json!([{"$ref": "#/components/schemas/ParametersRef"}, {"type": "null"}]);
        assert_eq!(of("parametersRef")["anyOf"], reference);
        assert_eq!(
            components["Metadata"]["properties"]["labels"]["additionalProperties"]["type"],
            json!(["string", "null"])
        );
    }

    #[test]
    fn a_schema_is_complete_in_itself() {
        for kind in Kind::ALL {
            let mut found = Vec::new();
            let schema = schema(kind).to_value();
            objects(&schema, &mut found);
            assert!(found.iter().all(|object| !object.contains_key("$ref")), "{kind}");
        }
    }
}
